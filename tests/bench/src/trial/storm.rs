//! What floods the rings does not cost what matters most: every program is told, and each file event is told or counted.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Finding, Going, Trial};
use crate::account::{Account, Wanted};
use crate::profile::Profile;
use crate::subject::Subject;
use crate::workload::Workload;

const EXECS_EACH_SECOND: u64 = 200;
const EXECS: u64 = 600;
const OPENS: u64 = 400_000;
const FLOODS: usize = 2;

pub(super) fn run(profile: Profile, designs: &Path) -> Result<Vec<Finding>> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let file = folder.path().join("watched-file");
    std::fs::write(&file, "x")?;
    let watched = file.to_str().context("temporary folders are named in UTF-8")?;
    let tag = format!("storm-{}", std::process::id());
    let (execs, opens) = (profile.operations(EXECS), profile.operations(OPENS));

    let running = Subject::All.start(designs, &file)?;
    let programs = Going::begin(Workload::Exec, execs, EXECS_EACH_SECOND, &tag, &file, None)?;
    let floods: Vec<Going> = (0..FLOODS)
        .map(|_| Going::begin(Workload::Open, opens, 0, &tag, &file, None))
        .collect::<Result<_>>()?;
    let mut longest = 0;
    let mut opened = 0;
    for flood in floods {
        let done = flood.end()?;
        longest = longest.max(done.nanoseconds);
        opened += done.operations;
    }
    let started = programs.end()?;
    let wanted = [Workload::Exec, Workload::Open]
        .map(|workload| Wanted::of(workload, Subject::All, &tag, watched).expect("both are told"));
    let told = running.stop_each(&wanted.each_ref())?;
    let finding = |what: &str, done: u64, nanoseconds: u64, told: Account| Finding {
        trial: Trial::Storm,
        what: what.to_owned(),
        each_second: done as f64 / (nanoseconds as f64 / 1e9),
        account: Account { expected: done, ..told },
        usage: None,
    };
    Ok(vec![
        finding("programs, meanwhile", started.operations, started.nanoseconds, told[0]),
        finding("file events of two that flood", opened, longest, told[1]),
    ])
}
