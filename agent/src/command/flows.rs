//! `watchfire flows` and `watchfire observe flows`: flow and DNS records that match.

mod compact;
pub(super) mod describe;
mod dict;
pub(super) mod files;
mod filters;
mod from_ledger;
pub(super) mod line;
mod printer;
mod table;

use std::io::{self, BufWriter, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use watchfire_api::moment;
use watchfire_export::{FlowFilter, ObserveRequest, RECENT_RECORDS_MAX, RecordType, observe};
use watchfire_model::WallTime;

use self::filters::FilterArgs;
pub(super) use self::line::printable;
use self::printer::{Format, Printer};
use super::events::output::refuse_terminal;
use super::events::refuse_damaged;
use super::is_broken_pipe;
use super::remote::AgentArgs;
use crate::config::OBSERVE_SOCKET;

/// So many records where nothing says which.
const LAST: usize = 20;

/// Arguments of `flows`.
#[derive(clap::Args, Debug)]
pub(crate) struct FlowsArgs {
    /// Socket of the running agent
    #[arg(long, env = "WATCHFIRE_SOCKET", value_name = "PATH", default_value = OBSERVE_SOCKET)]
    socket: PathBuf,
    /// Read this event log, and those rotated away from it, and not the agent; - is standard input. May be given several
    /// times
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Search this ledger or bundle, and not the agent
    #[arg(long, env = "WATCHFIRE_LEDGER", value_name = "DIR", conflicts_with_all = ["files", "follow"])]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    agent: AgentArgs,
    /// In a ledger, or of --agent: only what meets this, such as 'verdict = denied and dst.port in (5432, 6379)'. `watchfire ledger fields`
    /// names the fields
    #[arg(value_name = "FILTER")]
    expression: Vec<String>,
    /// In a ledger: say on standard error what was read and what was skipped
    #[arg(long, requires = "ledger")]
    explain: bool,
    /// How to show records
    #[arg(short, long, value_enum, default_value_t = Format::Compact)]
    output: Format,
    /// The last so many that match [default: 20, without --since, --until and --follow]
    #[arg(long, value_name = "COUNT")]
    last: Option<usize>,
    /// Not older: an RFC 3339 time, or how long ago, such as 5m
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    since: Option<WallTime>,
    /// Not newer: an RFC 3339 time, or how long ago, such as 5m
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true, conflicts_with = "follow")]
    until: Option<WallTime>,
    /// Go on with records as they come
    #[arg(short, long, conflicts_with = "files")]
    follow: bool,
    #[command(flatten)]
    filters: FilterArgs,
}

impl FlowsArgs {
    fn filter(&self) -> Result<FlowFilter> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since > until
        {
            bail!("--since {since} is after --until {until}");
        }
        Ok(FlowFilter::new(self.since, self.until, self.filters.terms.clone()))
    }

    /// How many recent records; none for all.
    fn last(&self) -> Option<usize> {
        let is_bounded = self.since.is_some() || self.until.is_some();
        let is_stream = self.files.iter().any(|path| files::is_stdin(path));
        match self.last {
            None if self.follow && !is_bounded => Some(0),
            None if !is_bounded && !is_stream => Some(LAST),
            last => last,
        }
    }
}

pub(crate) fn run(args: &FlowsArgs) -> Result<ExitCode> {
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    match print(args, color) {
        // Whoever reads has enough: `watchfire flows | head`.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

fn print(args: &FlowsArgs, color: bool) -> Result<()> {
    if args.output == Format::Parquet {
        if args.follow {
            bail!("--output parquet: a file is readable when it has ended, which --follow never does");
        }
        refuse_terminal()?;
    }
    let filter = args.filter()?;
    let mut printer = Printer::begin(BufWriter::new(io::stdout()), args.output, color)?;
    let damaged = match &args.ledger {
        Some(dir) if !args.agent.is_asked() => from_ledger::show(args, dir, &filter, &mut printer)?,
        _ => {
            show(args, &filter, &mut printer)?;
            Vec::new()
        }
    };
    printer.end()?;
    refuse_damaged(&damaged)
}

/// What does not come out of a ledger on this node.
fn show<W: io::Write + Send>(args: &FlowsArgs, filter: &FlowFilter, printer: &mut Printer<W>) -> Result<()> {
    if let Some(client) = args.agent.client()? {
        if args.ledger.is_some() || !args.files.is_empty() || args.follow || args.explain {
            bail!("--agent stands by itself: without --ledger, --file, --follow and --explain");
        }
        return from_ledger::show_remote(args, &client, filter, printer);
    }
    if !args.expression.is_empty() && args.ledger.is_none() {
        bail!("an expression is for records of a ledger: give --ledger or --agent too");
    }
    if !args.files.is_empty() {
        return files::show(&args.files, filter, args.last(), printer);
    }
    let last = args.last().unwrap_or(RECENT_RECORDS_MAX);
    if last > RECENT_RECORDS_MAX {
        bail!("--last {last}: the agent keeps {RECENT_RECORDS_MAX} records; --file reads its event log");
    }
    let types = Some(vec![RecordType::Flow, RecordType::Dns]);
    // The agent need not read lines of which all are wanted.
    let flows = (*filter != FlowFilter::default()).then(|| filter.clone());
    let request = ObserveRequest { last, types, follow: args.follow, flows };
    for line in observe(&args.socket, &request)? {
        printer.show(&line?)?;
        // Live: a line that waits in a buffer is not seen.
        printer.flush()?;
    }
    printer.flush()
}

#[cfg(test)]
mod tests;
