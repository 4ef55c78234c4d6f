//! Agents of other designs: they load their kernel programs, read what these tell, and do as little more as they can.

mod attach;
mod read;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use aya::maps::PerCpuArray;
use serde::{Deserialize, Serialize};

/// What a design says once it sees everything.
pub(crate) const READY: &str = "ready";

/// A design that others use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Design {
    /// Programs at the entry and exit of every system call
    EarlyOut,
    /// One ring, and a wakeup for each record
    WakeupEach,
    /// A record for each packet
    PacketRecords,
    /// A table of flows that each packet is looked up in
    FlowTable,
}

impl Design {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EarlyOut => "early-out",
            Self::WakeupEach => "wakeup-each",
            Self::PacketRecords => "packet-records",
            Self::FlowTable => "flow-table",
        }
    }
}

/// Arguments of `design`.
#[derive(clap::Args)]
pub(crate) struct Args {
    design: Design,
    /// Object file of the kernel programs
    #[arg(long)]
    object: PathBuf,
}

/// What a design has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Records read, or flows of a table.
    pub(crate) read: u64,
    /// What the kernel programs had no room for.
    pub(crate) dropped: u64,
}

/// Runs until standard input ends, then prints what was counted.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut programs = attach::load(args.design, &args.object)?;
    let tally =
        PerCpuArray::<_, u64>::try_from(programs.take_map("TALLY").context("the object has a tally")?)?;
    let source = read::Source::of(args.design, &mut programs)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || source.read_until(&is_over)
    });
    println!("{READY}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    is_over.store(true, Ordering::Relaxed);
    let read = reader.join().map_err(|_| anyhow::anyhow!("the reader has panicked"))??;
    let dropped = tally.get(&1, 0)?.iter().sum();
    println!("{}", serde_json::to_string(&Tally { read, dropped })?);
    Ok(())
}
