//! `watchfire doctor`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;
use watchfire_conntrack::{ConntrackError, examine};
use watchfire_sensor::{Fact, Health};

use super::run::RunArgs;
use crate::config::ConntrackOf;

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let config = args.source().load()?;
    let mut diagnosis = watchfire_sensor::diagnose(&config.sensor.options(&config.flows, None));
    diagnosis.facts.push(conntrack(&config.conntrack));
    writeln!(stdout(), "{diagnosis}")?;
    Ok(diagnosis.exit_code().into())
}

/// Whether the kernel tells where connections to services lead.
fn conntrack(of: &ConntrackOf) -> Fact {
    let (health, finding) = match of.namespace().map(examine) {
        None => (Health::Good, "not asked".to_owned()),
        Some(Ok(())) => (Health::Good, "tells where connections to services lead".to_owned()),
        Some(Err(error @ ConntrackError::Absent)) => (Health::Good, error.to_string()),
        Some(Err(error)) => {
            let text = format!(
                "{:#}; where connections to services lead is known only of services with one endpoint",
                anyhow::Error::from(error)
            );
            (Health::Reduced, text)
        }
    };
    Fact { name: "conntrack", health, finding }
}
