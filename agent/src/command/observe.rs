//! `watchfire observe`.

pub(super) mod event;
pub(super) mod field;
pub(super) mod finding;
pub(super) mod table;

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::Value;
use watchfire_export::{ObserveRequest, RecordType, observe};

use super::{flows, is_broken_pipe};
use crate::config::OBSERVE_SOCKET;

/// Arguments of `observe`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ObserveArgs {
    #[command(subcommand)]
    command: Option<ObserveCommand>,
    /// Socket of the running agent
    #[arg(long, env = "WATCHFIRE_SOCKET", value_name = "PATH", default_value = OBSERVE_SOCKET)]
    socket: PathBuf,
    /// How to show records
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Only records of this type; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = record_types())]
    types: Vec<RecordType>,
    /// Begin with so many recent records
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    last: usize,
    /// Show the recent records and end
    #[arg(long)]
    no_follow: bool,
}

#[derive(clap::Subcommand, Debug)]
enum ObserveCommand {
    /// The same as `watchfire flows`
    Flows(Box<flows::FlowsArgs>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// Aligned columns for people
    Table,
    /// The same, with all that a finding says below its line
    Expanded,
    /// One JSON object a line, as in the event log
    Json,
}

fn record_types() -> impl clap::builder::TypedValueParser<Value = RecordType> {
    PossibleValuesParser::new(RecordType::ALL.map(RecordType::as_str)).map(|name| {
        let named = RecordType::ALL.into_iter().find(|record_type| record_type.as_str() == name);
        named.expect("the possible values are the names")
    })
}

pub(crate) fn run(args: &ObserveArgs) -> Result<ExitCode> {
    if let Some(ObserveCommand::Flows(args)) = &args.command {
        return flows::run(args);
    }
    let types = (!args.types.is_empty()).then(|| args.types.clone());
    let request = ObserveRequest { last: args.last, types, follow: !args.no_follow, flows: None };
    match show(args, &request) {
        // Whoever reads has enough: `watchfire observe | head`.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

fn show(args: &ObserveArgs, request: &ObserveRequest) -> Result<()> {
    let lines = observe(&args.socket, request)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.output != Format::Json {
        writeln!(out, "{}", table::HEADER)?;
        out.flush()?;
    }
    for line in lines {
        let line = line?;
        match args.output {
            Format::Json => writeln!(out, "{line}")?,
            Format::Table | Format::Expanded => {
                let record = serde_json::from_str::<Value>(&line)
                    .context("the agent sent something that is no JSON")?;
                writeln!(out, "{}", table::row(&record))?;
                if args.output == Format::Expanded && record["type"] == "finding" {
                    for line in finding::expanded(&record) {
                        writeln!(out, "{}", flows::printable(&line))?;
                    }
                }
            }
        }
        // Live: a line that waits in a buffer is not seen.
        out.flush()?;
    }
    Ok(())
}
