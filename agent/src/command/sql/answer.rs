//! Asks, and shows the answer.

use std::io::{self, BufWriter, Read as _};

use anyhow::{Context as _, Result, bail};
use watchfire_ledger::{Families, Filter};
use watchfire_sql::{Options, SQL_BYTES_MAX, Session, SqlError};

use super::output::Output;
use super::{Format, SqlArgs};
use crate::command::events::output::refuse_terminal;
use crate::command::events::refuse_damaged;
use crate::command::flows::printable;

pub(super) fn show(args: &SqlArgs) -> Result<()> {
    if args.output == Format::Parquet {
        refuse_terminal()?;
    }
    // The same check of the times that searches have.
    let within = args.place.query(Families::ALL, Filter::default())?;
    let sql = query(args.sql.as_deref().unwrap_or_default())?;
    let options = Options {
        since: within.since,
        until: within.until,
        memory_bytes: usize::try_from(args.memory_bytes).unwrap_or(usize::MAX),
    };
    let session = Session::open(&args.place.dir, &options)?;
    let answer = session.ask(&sql).map_err(|error| told(error, &sql))?;
    let mut output = Output::begin(BufWriter::new(io::stdout()), args.output, &answer.schema())?;
    for batch in answer {
        output.show(&batch.map_err(|error| told(error, &sql))?)?;
    }
    output.end()?;
    for what in session.unreadable() {
        eprintln!("watchfire: {what}");
    }
    if args.explain {
        eprintln!("{}", session.account());
    }
    refuse_damaged(&session.damaged())
}

fn query(argument: &str) -> Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut sql = String::new();
    // One byte more shows that it is too long.
    let limit = SQL_BYTES_MAX as u64 + 1;
    io::stdin().take(limit).read_to_string(&mut sql).context("cannot read the query from standard input")?;
    if sql.trim().is_empty() {
        bail!("there is no query on standard input");
    }
    Ok(sql)
}

/// The error, and below it the line of the query with the place.
fn told(error: SqlError, sql: &str) -> anyhow::Error {
    let SqlError::Query { message, at } = &error else { return error.into() };
    let message = printable(message).into_owned();
    let Some((line, column)) = *at else { return anyhow::anyhow!("sql: {message}") };
    let Some(text) = line.checked_sub(1).and_then(|at| sql.lines().nth(at)) else {
        return anyhow::anyhow!("sql: {message}");
    };
    let before: String = text.chars().take(column.saturating_sub(1)).collect();
    let width = printable(&before).chars().count() + 1;
    anyhow::anyhow!("sql, line {line}, column {column}: {message}\n  {}\n  {:>width$}", printable(text), "^")
}
