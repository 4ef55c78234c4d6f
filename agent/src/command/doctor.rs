//! `watchfire doctor`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;

use super::run::RunArgs;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let config = args.source().load()?;
    let diagnosis = watchfire_sensor::diagnose(&config.sensor.options(&config.flows, None));
    writeln!(stdout(), "{diagnosis}")?;
    Ok(diagnosis.exit_code().into())
}
