//! Lines of the event log as they are asked for.

use std::io::Write;

use anyhow::{Context as _, Result};

use super::line::{Line, Style, printable_json};
use super::{compact, dict, table};
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
}

/// Writes records in one format.
#[derive(Debug)]
pub(super) struct Printer<W> {
    out: W,
    format: Format,
    color: bool,
}

impl<W: Write> Printer<W> {
    pub(super) const fn new(out: W, format: Format, color: bool) -> Self {
        Self { out, format, color }
    }

    /// Writes what stands before all records.
    pub(super) fn begin(&mut self) -> Result<()> {
        if self.format == Format::Table {
            writeln!(self.out, "{}", table::header())?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// Writes one record or notice.
    pub(super) fn show(&mut self, line: &str) -> Result<()> {
        if self.format == Format::Json {
            return Ok(writeln!(self.out, "{}", printable_json(line))?);
        }
        let record: serde_json::Value = serde_json::from_str(line).context("what came is no JSON")?;
        let shown = match self.format {
            _ if text(&record, "/type") == "observer-loss" => self.loss(number(&record, "/lost")),
            Format::Table => table::row(&record, self.color),
            Format::Dict => dict::block(&record, self.color),
            Format::Compact | Format::Json => compact::line(&record, self.color),
        };
        Ok(writeln!(self.out, "{shown}")?)
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    /// The agent drops what waits before it filters, so how many would have matched is not known.
    fn loss(&self, lost: u64) -> String {
        let mut line = Line::new(self.color);
        line.push(Style::Bad, &format!("{lost} records are lost here: they came faster than they were read"));
        line.finish()
    }
}
