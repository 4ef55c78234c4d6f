//! The highest rate of which nothing is lost, while the agent has one processor and the work another.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Finding, Going, Trial};
use crate::account::{Account, Wanted};
use crate::profile::Profile;
use crate::subject::Subject;
use crate::workload::Workload;

/// Rates that are tried, events a second, until one is too much.
const RATES: [u64; 9] = [25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000];
/// How long a rate is kept, seconds in the quick profile.
const SECONDS: u64 = 3;
/// Of the rate that was asked for, what the work has to reach for it to count as tried.
const REACHED: f64 = 0.95;
/// The agent's processor and the work's.
const PROCESSORS: [usize; 2] = [0, 1];

pub(super) fn run(profile: Profile, designs: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for rate in RATES {
        let finding = keep(rate, profile, designs)?;
        let is_kept = finding.account.told == finding.account.expected;
        let is_reached = finding.each_second >= rate as f64 * REACHED;
        findings.push(finding);
        if !is_kept || !is_reached {
            break;
        }
    }
    Ok(findings)
}

fn keep(rate: u64, profile: Profile, designs: &Path) -> Result<Finding> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let file = folder.path().join("watched-file");
    std::fs::write(&file, "x")?;
    let watched = file.to_str().context("temporary folders are named in UTF-8")?;
    let tag = format!("sustained-{}", std::process::id());
    let running = Subject::All.start(designs, &file)?;
    running.keep_to(PROCESSORS[0])?;
    let before = running.usage()?;
    let operations = profile.operations(rate * SECONDS);
    let done = Going::begin(Workload::Open, operations, rate, &tag, &file, Some(PROCESSORS[1]))?.end()?;
    std::thread::park_timeout(std::time::Duration::from_millis(500));
    let usage = running.usage()?.since(before);
    let wanted = Wanted::of(Workload::Open, Subject::All, &tag, watched).context("it is told")?;
    let told = running.stop(Some(&wanted))?;
    Ok(Finding {
        trial: Trial::Sustained,
        what: format!("file events at {rate} a second"),
        each_second: done.operations as f64 / (done.nanoseconds as f64 / 1e9),
        account: Account { expected: done.operations, ..told },
        usage: Some(usage),
    })
}
