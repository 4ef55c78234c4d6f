//! `watchfire sql`: the ledger asked by SQL.

#[cfg(feature = "sql")]
mod answer;
#[cfg(feature = "sql")]
mod output;
#[cfg(feature = "sql")]
mod tables;

use std::process::ExitCode;

use anyhow::Result;

use super::events::PlaceArgs;

/// Bytes of memory of a query, unless it is said: 256 MiB.
const MEMORY_BYTES_DEFAULT: u64 = 256 << 20;
/// Less is enough for no query.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// How to show an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values (RFC 4180) with a header
    Csv,
    /// Parquet
    Parquet,
}

/// Arguments of `sql`.
#[derive(clap::Args, Debug)]
pub(crate) struct SqlArgs {
    /// The query, such as 'SELECT dst_pod, count(*) FROM flows GROUP BY dst_pod'; - reads it from standard input
    #[arg(value_name = "SQL", required_unless_present = "tables")]
    sql: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Name the tables and their columns
    #[arg(long, conflicts_with = "sql")]
    tables: bool,
    /// Memory that the query may take for what it sorts, groups and joins, bytes
    #[arg(long, value_name = "BYTES", default_value_t = MEMORY_BYTES_DEFAULT,
        value_parser = clap::value_parser!(u64).range(MEMORY_BYTES_MIN..))]
    memory_bytes: u64,
    /// Say on standard error what was read and what was skipped
    #[arg(long)]
    explain: bool,
}

#[cfg(feature = "sql")]
pub(crate) fn run(args: &SqlArgs) -> Result<ExitCode> {
    if args.tables {
        tables::show();
        return Ok(ExitCode::SUCCESS);
    }
    match answer::show(args) {
        Err(error) if super::is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

#[cfg(not(feature = "sql"))]
pub(crate) fn run(_: &SqlArgs) -> Result<ExitCode> {
    anyhow::bail!(
        "this watchfire was built without SQL: build it with the cargo feature `sql`, which is on by default. \
         `watchfire events` searches the ledger, and its tables are Parquet files that other engines read"
    );
}
