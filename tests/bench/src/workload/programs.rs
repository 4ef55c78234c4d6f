//! Programs that start and end.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::pace::Pace;

/// First argument of the program that does nothing: this one.
pub(crate) const NOTHING: &str = "nothing";

pub(super) fn run(operations: u64, tag: &str, pace: &Pace) -> Result<u64> {
    let own = std::env::current_exe().context("find this program")?;
    let mut done = 0;
    for number in 0..operations {
        pace.wait(number);
        let mut program = Command::new(&own);
        program.args([NOTHING, tag]).stdin(Stdio::null()).stdout(Stdio::null());
        done += u64::from(program.status()?.success());
    }
    Ok(done)
}
