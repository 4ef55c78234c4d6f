//! A ledger as a source.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use watchfire_api::Client;
use watchfire_export::FlowFilter;
use watchfire_ledger::{Families, Family, Found, Search, SearchQuery};

use super::FlowsArgs;
use super::printer::Printer;
use crate::command::events::{explain, filter_of};
use crate::command::remote;

/// Route of the API.
const FLOWS_PATH: &str = "/api/v1/flows";

/// Shows what matches both the filters by flag and the expression; says what is damaged of the ledger.
pub(super) fn show<W: Write + Send>(
    args: &FlowsArgs,
    dir: &Path,
    flags: &FlowFilter,
    printer: &mut Printer<W>,
) -> Result<Vec<String>> {
    let mut search = Search::open(dir, query(args)?)?;
    write(args, search.by_ref().map(|found| Ok(found?)), flags, printer)?;
    explain(&search, args.explain);
    Ok(search.explanation().damaged.clone())
}

/// The same of a running agent.
pub(super) fn show_remote<W: Write + Send>(
    args: &FlowsArgs,
    client: &Client,
    flags: &FlowFilter,
    printer: &mut Printer<W>,
) -> Result<()> {
    write(args, remote::records(client, FLOWS_PATH, &query(args)?)?, flags, printer)
}

fn query(args: &FlowsArgs) -> Result<SearchQuery> {
    let families = Families::of(&[Family::Flow, Family::Dns]);
    let filter = filter_of(&args.expression, families)?;
    Ok(SearchQuery { families, filter, since: args.since, until: args.until, ..SearchQuery::default() })
}

fn write<W: Write + Send>(
    args: &FlowsArgs,
    search: impl Iterator<Item = Result<Found>>,
    flags: &FlowFilter,
    printer: &mut Printer<W>,
) -> Result<()> {
    let last = args.last();
    let mut kept = VecDeque::new();
    for found in search {
        let Found { line, seq, .. } = found?;
        let line = str::from_utf8(&line)?;
        if !flags.matches(line.as_bytes())? {
            continue;
        }
        match last {
            Some(last) => {
                kept.push_back((line.to_owned(), seq));
                if kept.len() > last {
                    kept.pop_front();
                }
            }
            None => printer.show_as(line, seq)?,
        }
    }
    for (line, seq) in kept {
        printer.show_as(&line, seq)?;
    }
    printer.flush()
}
