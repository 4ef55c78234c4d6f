//! `watchfire doctor`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;

pub(crate) fn run() -> Result<ExitCode> {
    let diagnosis = watchfire_sensor::diagnose();
    writeln!(stdout(), "{diagnosis}")?;
    Ok(diagnosis.exit_code().into())
}
