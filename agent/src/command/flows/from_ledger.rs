//! A ledger as a source.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use watchfire_export::FlowFilter;
use watchfire_ledger::{Families, Family, Found, Search, SearchQuery};

use super::FlowsArgs;
use super::printer::Printer;
use crate::command::events::{explain, filter_of};

/// Shows what matches both the filters by flag and the expression.
pub(super) fn show<W: Write + Send>(
    args: &FlowsArgs,
    dir: &Path,
    flags: &FlowFilter,
    printer: &mut Printer<W>,
) -> Result<()> {
    let families = Families::of(&[Family::Flow, Family::Dns]);
    let filter = filter_of(&args.expression, families)?;
    let query = SearchQuery { families, filter, since: args.since, until: args.until };
    let mut search = Search::open(dir, query)?;
    let last = args.last();
    let mut kept = VecDeque::new();
    for found in search.by_ref() {
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
    printer.flush()?;
    explain(&search, args.explain);
    Ok(())
}
