//! One cell of the table: a workload beside a subject.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::account::{Account, Wanted};
use crate::pairs::Runs;
use crate::peer::Peers;
use crate::profile::Profile;
use crate::statistics::{Summary, median};
use crate::subject::{Running, Subject};
use crate::usage::Usage;
use crate::workload::Workload;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    pub(crate) subject: Subject,
    /// Operations of one run.
    pub(crate) operations: u64,
    /// Time of an operation without the subject, median, nanoseconds.
    pub(crate) alone_ns: f64,
    /// Time with the subject over time without, by group.
    pub(crate) ratios: Vec<f64>,
    pub(crate) summary: Summary,
    pub(crate) account: Account,
    /// What the subject took for the work of all groups; peaks are the highest.
    pub(crate) usage: Usage,
    /// Time of all runs beside the subject, nanoseconds.
    pub(crate) beside_ns: u64,
}

impl Cell {
    /// Processor seconds of the subject for a million records that it told.
    pub(crate) fn cpu_seconds_per_million(&self) -> Option<f64> {
        let told = self.account.told;
        (told > 0).then(|| self.usage.cpu_ns as f64 / 1e9 / told as f64 * 1e6)
    }

    /// Wakeups of the subject in a second of the work.
    pub(crate) fn wakeups_per_second(&self) -> f64 {
        self.usage.wakeups as f64 / (self.beside_ns as f64 / 1e9)
    }
}

/// Measures it.
pub(crate) fn measure(
    workload: Workload,
    subject: Subject,
    profile: Profile,
    designs: &Path,
    peers: &Peers,
) -> Result<Cell> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let file = folder.path().join("watched-file");
    std::fs::write(&file, "x")?;
    let watched = file.to_str().context("temporary folders are named in UTF-8")?;
    let operations = profile.operations(workload.operations());
    let (mut ratios, mut alone, mut account) = (Vec::new(), Vec::new(), Account::default());
    let (mut usage, mut beside_ns) = (Usage::default(), 0);
    let groups = if subject.peer().is_some() { profile.peer_groups() } else { profile.groups() };
    for group in 0..groups {
        eprint!("\r{} beside {}: group {} of {} ", workload.name(), subject.name(), group + 1, groups);
        let tag = format!("bench-{}-{}-{group}", std::process::id(), subject.name());
        let runs = Runs { workload, operations, tag: &tag, file: &file };
        let first = runs.once()?;
        let running = match subject.peer() {
            Some(peer) => Running::Peer(peers.start(peer, workload, &file)?),
            None => subject.start(designs, &file)?,
        };
        let before = running.usage()?;
        let with = [runs.once()?, runs.once()?];
        // What is on its way still costs.
        std::thread::park_timeout(std::time::Duration::from_millis(200));
        let used = running.usage()?.since(before);
        let wanted = Wanted::of(workload, subject, &tag, watched);
        let told = running.stop(wanted.as_ref())?;
        let last = runs.once()?;
        let sum = |runs: [crate::workload::Done; 2]| runs.iter().map(|run| run.nanoseconds).sum::<u64>();
        let (without_ns, with_ns) = (sum([first, last]), sum(with));
        ratios.push(with_ns as f64 / without_ns as f64);
        alone.push(without_ns as f64 / (2 * operations) as f64);
        let expected = wanted.map_or(told.expected, |wanted| wanted.each * 2 * operations);
        account = account.plus(Account { expected, ..told });
        beside_ns += with_ns;
        usage = Usage {
            cpu_ns: usage.cpu_ns + used.cpu_ns,
            wakeups: usage.wakeups + used.wakeups,
            rss_peak_bytes: usage.rss_peak_bytes.max(used.rss_peak_bytes),
            map_bytes: usage.map_bytes.max(used.map_bytes),
        };
    }
    eprint!("\r");
    let summary = Summary::of(&ratios);
    Ok(Cell {
        workload,
        subject,
        operations,
        alone_ns: median(alone),
        ratios,
        summary,
        account,
        usage,
        beside_ns,
    })
}
