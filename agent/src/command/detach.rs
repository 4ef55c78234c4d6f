//! `watchfire detach`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;
use watchfire_sensor::Detached;

use super::run::RunArgs;

/// Removes what is pinned. That there is nothing is no failure.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let config = args.source().load()?;
    let Some(pin) = config.sensor.options(&config.flows, None).pin else {
        writeln!(stdout(), "nothing to remove: sensor.pin is not set (--pin)")?;
        return Ok(ExitCode::SUCCESS);
    };
    let Detached { links, programs, maps, in_use } = watchfire_sensor::detach(&pin)?;
    let place = pin.display();
    if links + programs + maps == 0 {
        writeln!(stdout(), "nothing to remove: nothing is pinned in {place}")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(stdout(), "removed from {place}: {links} links, {programs} programs, {maps} maps")?;
    if in_use {
        writeln!(stdout(), "an agent runs on them: they end with it")?;
    }
    Ok(ExitCode::SUCCESS)
}
