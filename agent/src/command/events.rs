//! `watchfire events` and `watchfire findings`: records of the ledger that match.

pub(super) mod output;

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use watchfire_api::moment;
use watchfire_ledger::{Families, Filter, Found, Search, SearchQuery};
use watchfire_model::WallTime;

use self::output::{Format, Output, refuse_terminal};
use super::is_broken_pipe;
use super::remote::{self, AgentArgs};
use crate::config::LEDGER_DIR;

/// Routes of the API.
pub(super) const EVENTS_PATH: &str = "/api/v1/events";
const FINDINGS_PATH: &str = "/api/v1/findings";

/// Arguments of `events` and `findings`.
#[derive(clap::Args, Debug)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    search: SearchArgs,
    /// How to show records
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Only the last so many that match
    #[arg(long, value_name = "COUNT", conflicts_with = "first")]
    last: Option<usize>,
    /// Only the first so many that match
    #[arg(long, value_name = "COUNT")]
    first: Option<usize>,
}

/// Where to search for what.
#[derive(clap::Args, Debug)]
pub(super) struct SearchArgs {
    /// Only what meets this, such as 'verdict = denied and dst.port in (5432, 6379)'. `watchfire ledger fields` names the
    /// fields
    #[arg(value_name = "FILTER")]
    expression: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    agent: AgentArgs,
    /// Say on standard error what was read and what was skipped
    #[arg(long)]
    explain: bool,
}

/// Where, and of which time.
#[derive(clap::Args, Debug)]
pub(super) struct PlaceArgs {
    /// The ledger, or a bundle that was taken out of one
    #[arg(long = "ledger", env = "WATCHFIRE_LEDGER", value_name = "DIR", default_value = LEDGER_DIR)]
    pub(super) dir: PathBuf,
    /// Not older: an RFC 3339 time, or how long ago, such as 5m
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    pub(super) since: Option<WallTime>,
    /// Not newer: an RFC 3339 time, or how long ago, such as 5m
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    pub(super) until: Option<WallTime>,
}

impl PlaceArgs {
    pub(super) fn query(&self, families: Families, filter: Filter) -> Result<SearchQuery> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since > until
        {
            bail!("--since {since} is after --until {until}");
        }
        Ok(SearchQuery { families, filter, since: self.since, until: self.until, ..SearchQuery::default() })
    }
}

/// Reads the words of a filter; mistakes are shown under the place where they are.
pub(super) fn filter_of(words: &[String], families: Families) -> Result<Filter> {
    let text = words.join(" ");
    let filter = match Filter::parse(&text) {
        Ok(filter) => filter,
        Err(error) => {
            let text = super::flows::printable(&text).into_owned();
            bail!("filter: {}\n  {text}\n  {:>column$}", error.message, "^", column = error.column);
        }
    };
    if let Some(field) = filter.foreign_fields(families).first() {
        bail!("filter: {field} is no field of these records");
    }
    Ok(filter)
}

/// Says what a search read, and always what it could not.
pub(super) fn explain(search: &Search, is_asked: bool) {
    for what in &search.explanation().unreadable {
        eprintln!("watchfire: {what}");
    }
    if is_asked {
        eprintln!("{}", search.explanation());
    }
}

/// Fails where parts of the ledger could not be read; to be asked when everything else is written.
pub(super) fn refuse_damaged(damaged: &[String]) -> Result<()> {
    if damaged.is_empty() {
        return Ok(());
    }
    bail!("what stands in damaged parts of the ledger is left out: {}", damaged.join("; "))
}

pub(crate) fn run(args: &EventsArgs, families: Families) -> Result<ExitCode> {
    match show(args, families) {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

fn show(args: &EventsArgs, families: Families) -> Result<()> {
    let SearchArgs { expression, place, agent, explain: is_asked } = &args.search;
    let query = place.query(families, filter_of(expression, families)?)?;
    if args.output == Format::Parquet {
        refuse_terminal()?;
    }
    let mut output = Output::begin(BufWriter::new(io::stdout()), args.output, families, true)?;
    if let Some(client) = agent.client()? {
        if *is_asked {
            bail!("--explain tells how a directory is searched, and --agent searches none");
        }
        let path = if families == Families::ALL { EVENTS_PATH } else { FINDINGS_PATH };
        write(args, remote::records(&client, path, &query)?, &mut output)?;
        return output.end();
    }
    let mut search = Search::open(&place.dir, query)?;
    write(args, search.by_ref().map(|found| Ok(found?)), &mut output)?;
    output.end()?;
    explain(&search, *is_asked);
    refuse_damaged(&search.explanation().damaged)
}

fn write<W: Write + Send>(
    args: &EventsArgs,
    mut search: impl Iterator<Item = Result<Found>>,
    output: &mut Output<W>,
) -> Result<()> {
    if let Some(last) = args.last {
        let mut kept = VecDeque::new();
        for found in search.by_ref() {
            kept.push_back(found?);
            if kept.len() > last {
                kept.pop_front();
            }
        }
        for found in kept {
            output.show(&found)?;
        }
    } else {
        for found in search.by_ref().take(args.first.unwrap_or(usize::MAX)) {
            output.show(&found?)?;
        }
    }
    Ok(())
}
