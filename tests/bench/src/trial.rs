//! Trials of what is lost, and when: no ratio of times, but an account.

mod storm;
mod sustained;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::account::Account;
use crate::profile::Profile;
use crate::usage::Usage;
use crate::workload::{Done, Workload};

/// A trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Trial {
    /// File events as fast as they go, and 200 programs a second
    Storm,
    /// The highest rate of file events of which none is lost, with the agent on one processor
    Sustained,
}

/// A line of what was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) trial: Trial,
    /// What was to be told.
    pub(crate) what: String,
    /// Records due in a second.
    pub(crate) each_second: f64,
    pub(crate) account: Account,
    /// What the agent took, where it is for these records alone.
    pub(crate) usage: Option<Usage>,
}

impl Trial {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Storm, Self::Sustained];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Storm => "storm",
            Self::Sustained => "sustained",
        }
    }

    /// Runs it.
    pub(crate) fn run(self, profile: Profile, designs: &Path) -> Result<Vec<Finding>> {
        match self {
            Self::Storm => storm::run(profile, designs),
            Self::Sustained => sustained::run(profile, designs),
        }
    }
}

/// Work that is going on.
struct Going(Child);

impl Going {
    /// Begins it, on one processor where one is named.
    fn begin(
        workload: Workload,
        operations: u64,
        rate: u64,
        tag: &str,
        file: &Path,
        processor: Option<usize>,
    ) -> Result<Self> {
        let own = std::env::current_exe().context("find this program")?;
        let mut command = match processor {
            Some(number) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &number.to_string()]).arg(own);
                command
            }
            None => Command::new(own),
        };
        command.args(["work", workload.name(), "--tag", tag, "--operations", &operations.to_string()]);
        command.args(["--each-second", &rate.to_string(), "--file"]).arg(file);
        Ok(Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start work")?))
    }

    /// Waits for its end.
    fn end(self) -> Result<Done> {
        let output = self.0.wait_with_output()?;
        ensure!(output.status.success(), "the work ended with {}", output.status);
        serde_json::from_slice(&output.stdout).context("what the work told")
    }
}
