//! `watchfire tree`: what a process did, and the processes below it.

mod render;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::Value;
use watchfire_ledger::{Search, TreeStart, gather};

use super::events::{EVENTS_PATH, PlaceArgs, refuse_damaged};
use super::is_broken_pipe;
use super::remote::{self, AgentArgs};

/// Arguments of `tree`.
#[derive(clap::Args, Debug)]
pub(crate) struct TreeArgs {
    /// Identity of a process (exec_id), a process id, or a pod as NAMESPACE/NAME
    #[arg(value_name = "EXEC_ID|PID|NAMESPACE/POD")]
    of: TreeStart,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    agent: AgentArgs,
}

pub(crate) fn run(args: &TreeArgs) -> Result<ExitCode> {
    let place = &args.place;
    let client = args.agent.client()?;
    let mut damaged = BTreeSet::new();
    let forest = gather(&args.of, |families, filter, take| -> Result<()> {
        if let Some(client) = &client {
            let query = place.query(families, filter.clone())?;
            for found in remote::records(client, EVENTS_PATH, &query)? {
                let found = found?;
                take(found.time, serde_json::from_slice(&found.line).unwrap_or(Value::Null));
            }
            return Ok(());
        }
        let mut search = Search::open(&place.dir, place.query(families, filter.clone())?)?;
        for found in search.by_ref() {
            let found = found?;
            take(found.time, serde_json::from_slice(&found.line).unwrap_or(Value::Null));
        }
        damaged.extend(search.explanation().damaged.iter().cloned());
        Ok(())
    })?;
    let damaged: Vec<String> = damaged.into_iter().collect();
    if forest.roots.is_empty() {
        refuse_damaged(&damaged)?;
    }
    if forest.roots.is_empty() {
        let dir = args.place.dir.display().to_string();
        let place = client.map_or(dir, |client| client.target.to_string());
        bail!("{place} has no process of {}", args.of);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = render::write(&forest, &mut out).and_then(|()| out.flush());
    match written.map_err(anyhow::Error::from) {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result.and_then(|()| refuse_damaged(&damaged)).map(|()| ExitCode::SUCCESS),
    }
}
