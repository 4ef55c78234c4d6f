//! One cell of the table: a workload beside a subject.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::account::{Account, Wanted};
use crate::latency::{Latency, Quantiles};
use crate::pairs::Runs;
use crate::peer::Peers;
use crate::probe::Probe;
use crate::profile::{Profile, Unit};
use crate::statistics::{Summary, median};
use crate::subject::{Running, Subject};
use crate::usage::Usage;
use crate::workload::{Done, Workload};

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    pub(crate) subject: Subject,
    /// Operations of one run.
    pub(crate) operations: u64,
    /// What the figures below count.
    pub(crate) unit: Unit,
    /// Of an operation without the subject, median.
    pub(crate) alone: f64,
    /// With the subject over without, by group or half of a group.
    pub(crate) ratios: Vec<f64>,
    pub(crate) summary: Summary,
    pub(crate) account: Account,
    /// What the subject took for the work of all groups; peaks are the highest.
    pub(crate) usage: Usage,
    /// Of all runs without the subject.
    pub(crate) without: u64,
    /// Of all runs, as many, with it.
    pub(crate) with: u64,
    /// Of the records of an agent.
    pub(crate) latency: Option<Quantiles>,
    /// Which hooks an agent had.
    #[serde(skip)]
    pub(crate) probes: Vec<Probe>,
}

impl Cell {
    /// What the subject took for a record that it told, nanoseconds or instructions.
    pub(crate) fn own_for_a_record(&self) -> Option<f64> {
        let told = self.account.told;
        (told > 0).then(|| self.usage.cpu_ns as f64 / told as f64)
    }

    /// The same together with what it added to the work.
    pub(crate) fn all_for_a_record(&self) -> Option<f64> {
        let added = (self.with as f64 - self.without as f64) / self.account.told as f64;
        self.own_for_a_record().map(|own| own + added)
    }

    /// Wakeups of the subject in a second of the work.
    pub(crate) fn wakeups_per_second(&self) -> f64 {
        self.usage.wakeups as f64 / (self.with as f64 / 1e9)
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
    let (mut usage, mut without, mut with) = (Usage::default(), 0, 0);
    let (mut latency, mut probes) = (Latency::default(), Vec::new());
    let unit = profile.unit();
    // The first of all finds nothing where it looks: pages, names, what the kernel makes when it is first wanted.
    Runs { workload, operations, tag: "bench-unmeasured", file: &file }.once()?;
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
        let both = [runs.once()?, runs.once()?];
        // What is on its way still costs.
        std::thread::park_timeout(std::time::Duration::from_millis(200));
        let used = running.usage()?.since(before);
        if let Some(observed) = running.observed() {
            latency = latency.plus(&observed.latency);
            probes = observed.probes;
        }
        let wanted = Wanted::of(workload, subject, &tag, watched);
        let told = running.stop(wanted.as_ref())?;
        let last = runs.once()?;
        let cost = |runs: [Done; 2]| runs.map(|run| run.cost(unit));
        let (each_without, each_with) = (cost([first, last]), cost(both));
        let (of_without, of_with) = (each_without.iter().sum::<u64>(), each_with.iter().sum::<u64>());
        match unit {
            Unit::Nanosecond => ratios.push(of_with as f64 / of_without as f64),
            // They do not drift: each half of a group has a ratio of its own.
            Unit::Instruction => {
                let halves = each_with.iter().zip(each_without);
                ratios.extend(halves.map(|(with, without)| *with as f64 / without as f64));
            }
        }
        alone.push(of_without as f64 / (2 * operations) as f64);
        let expected = wanted.map_or(told.expected, |wanted| wanted.each * 2 * operations);
        account = account.plus(Account { expected, ..told });
        without += of_without;
        with += of_with;
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
        unit,
        alone: median(alone),
        ratios,
        summary,
        account,
        usage,
        without,
        with,
        latency: latency.quantiles(),
        probes,
    })
}
