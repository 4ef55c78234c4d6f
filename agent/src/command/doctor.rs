//! `watchfire doctor`.

use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::Builder;
use tokio::time::timeout;
use watchfire_conntrack::{ConntrackError, examine};
use watchfire_sensor::{Fact, Health};

use super::run::RunArgs;
use crate::config::{ConntrackOf, ShipSection};

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let config = args.source().load()?;
    let mut diagnosis = watchfire_sensor::diagnose(&config.sensor.options(&config.flows, None));
    diagnosis.facts.push(conntrack(&config.conntrack));
    diagnosis.facts.extend(shipping(config.ledger.ship()));
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

/// How long the object store may take to answer.
const STORE_SECONDS_MAX: u64 = 10;

/// Whether the object store that the ledger is shipped to answers; nothing where there is none.
fn shipping(ship: &ShipSection) -> Option<Fact> {
    let (target, options) = ship.target()?;
    let ask = || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let store = target.open(&options)?;
        let asked =
            runtime.block_on(async { timeout(Duration::from_secs(STORE_SECONDS_MAX), store.check()).await });
        asked.context("it does not answer")?.map_err(|error| anyhow::anyhow!("{}", error.chain()))
    };
    let (health, finding) = match ask() {
        Ok(()) => (Health::Good, format!("{target} answers")),
        Err(error) => (Health::Reduced, format!("{target}: {error:#}; segments wait on this node")),
    };
    Some(Fact { name: "ledger.ship", health, finding })
}
