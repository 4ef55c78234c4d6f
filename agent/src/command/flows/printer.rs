//! Lines of the event log as they are asked for.

use std::io::Write;

use anyhow::{Context as _, Result};
use serde_json::Value;
use watchfire_ledger::{Families, Family, Found};
use watchfire_model::WallTime;

use super::line::{Line, Style, printable_json};
use super::{compact, dict, table};
use crate::command::events::output::{Format as RecordFormat, Output};
use crate::command::observe::field::{number, text};

/// How to show records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// One line a record
    Compact,
    /// Aligned columns
    Table,
    /// One JSON object a line, as in the event log
    Json,
    /// A block of KEY: value lines a record
    Dict,
    /// Comma-separated values (RFC 4180), a column for each field of `watchfire ledger fields`
    Csv,
    /// Parquet, with the columns that tables of the ledger have
    Parquet,
}

impl Format {
    /// As records of the ledger are written, where that is the format.
    const fn of_records(self) -> Option<RecordFormat> {
        match self {
            Self::Csv => Some(RecordFormat::Csv),
            Self::Parquet => Some(RecordFormat::Parquet),
            Self::Compact | Self::Table | Self::Json | Self::Dict => None,
        }
    }
}

/// Writes records in one format.
pub(super) struct Printer<W: Write + Send> {
    to: To<W>,
    format: Format,
    color: bool,
    shown: u64,
}

enum To<W: Write + Send> {
    Lines(W),
    Records(Output<W>),
}

impl<W: Write + Send> Printer<W> {
    /// Writes what stands before all records.
    pub(super) fn begin(mut out: W, format: Format, color: bool) -> Result<Self> {
        let to = match format.of_records() {
            // From an agent and out of event logs they come as they were written.
            Some(format) => {
                let families = Families::of(&[Family::Flow, Family::Dns]);
                To::Records(Output::begin(out, format, families, false)?)
            }
            None => {
                if format == Format::Table {
                    writeln!(out, "{}", table::header())?;
                    out.flush()?;
                }
                To::Lines(out)
            }
        };
        Ok(Self { to, format, color, shown: 0 })
    }

    /// Writes one record or notice. What does not come from a ledger is numbered as it comes.
    pub(super) fn show(&mut self, line: &str) -> Result<()> {
        self.show_as(line, self.shown + 1)
    }

    /// Writes one record with its number.
    pub(super) fn show_as(&mut self, line: &str, seq: u64) -> Result<()> {
        if self.format == Format::Json
            && let To::Lines(out) = &mut self.to
        {
            return Ok(writeln!(out, "{}", printable_json(line))?);
        }
        let record: Value = serde_json::from_str(line).context("what came is no JSON")?;
        let is_loss = text(&record, "/type") == "observer-loss";
        let (color, format) = (self.color, self.format);
        match &mut self.to {
            To::Records(_) if is_loss => eprintln!("watchfire: {}", loss(number(&record, "/lost"), false)),
            To::Records(output) => {
                let time = text(&record, "/time").parse().unwrap_or(WallTime(0));
                output.show(&Found { time, seq, line: line.as_bytes().to_vec().into() })?;
                self.shown += 1;
            }
            To::Lines(out) => {
                let shown = match format {
                    _ if is_loss => loss(number(&record, "/lost"), color),
                    Format::Table => table::row(&record, color),
                    Format::Dict => dict::block(&record, color),
                    _ => compact::line(&record, color),
                };
                writeln!(out, "{shown}")?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        match &mut self.to {
            To::Lines(out) => Ok(out.flush()?),
            To::Records(output) => output.flush(),
        }
    }

    /// Writes what stands behind all records.
    pub(super) fn end(self) -> Result<()> {
        match self.to {
            To::Lines(mut out) => Ok(out.flush()?),
            To::Records(output) => output.end(),
        }
    }
}

/// The agent drops what waits before it filters, so how many would have matched is not known.
fn loss(lost: u64, color: bool) -> String {
    let mut line = Line::new(color);
    line.push(Style::Bad, &format!("{lost} records are lost here: they came faster than they were read"));
    line.finish()
}
