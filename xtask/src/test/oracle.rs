//! The tier that compares the policy engine with Cilium's own, which takes minutes to build: that goes on beside the other
//! tiers, which leave a processor idle now and then.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};

use super::{cluster, collect};
use crate::process::Step;
use crate::setup;
use crate::tally::Tally;
use crate::test_binaries::TestBinary;

const TIER: &str = "oracle";

/// Cilium's engine, as it is being built.
pub(super) struct Building(JoinHandle<Result<PathBuf>>);

impl Building {
    /// Begins to build it, after Kubernetes where that is wanted sooner.
    pub(super) fn begin(kubernetes_first: bool) -> Self {
        Self(thread::spawn(move || {
            if kubernetes_first {
                cluster::build_ahead();
            }
            setup::oracle()
        }))
    }

    fn end(self) -> Result<PathBuf> {
        self.0.join().map_err(|_| anyhow!("building it panicked"))?
    }
}

pub(super) fn tier(
    binaries: &[TestBinary],
    building: Building,
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<()> {
    let _step = Step::new("policies beside Cilium's own engine");
    let program = match building.end() {
        Ok(program) => program,
        // Go or its modules cannot be had here, which is no fault of the code under test.
        Err(error) => {
            let reason = format!("{error:#}");
            tally.skip(&format!("{TIER} (whole tier)"), reason.lines().next().unwrap_or_default());
            return Ok(());
        }
    };
    for binary in binaries.iter().filter(|binary| binary.asks_the_oracle()) {
        let mut command = binary.command(&binary.path);
        collect(command.env("WATCHFIRE_ORACLE", &program).args(filter), TIER, &binary.name, tally)?;
    }
    Ok(())
}
