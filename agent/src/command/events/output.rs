//! Records of the ledger in the form that is asked for.

use std::io::{self, IsTerminal as _, Write};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use watchfire_ledger::{FIELDS, Families, Field, Found, TableWriter};

use crate::command::flows::line::printable_json;
use crate::command::observe::table;

/// How to show records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(in crate::command) enum Format {
    /// Aligned columns
    Table,
    /// The same columns with one space between
    Compact,
    /// One JSON array
    Json,
    /// One JSON object a line, as in the event log
    Jsonl,
    /// Comma-separated values (RFC 4180), a column for each field of `watchfire ledger fields`
    Csv,
    /// Parquet, with the columns that tables of the ledger have
    Parquet,
}

/// Writes records in one format.
pub(in crate::command) struct Output<W: Write + Send> {
    to: To<W>,
    format: Format,
    fields: Vec<&'static Field>,
    shown: u64,
}

enum To<W: Write + Send> {
    Text(W),
    Table(Box<TableWriter<W>>),
}

impl<W: Write + Send> Output<W> {
    /// Writes what stands before all records, which come in the order of time or not.
    pub(in crate::command) fn begin(
        mut out: W,
        format: Format,
        families: Families,
        is_sorted: bool,
    ) -> Result<Self> {
        let of_these = |field: &&Field| families.iter().any(|family| field.families.contains(family));
        let fields: Vec<&Field> = FIELDS.iter().filter(of_these).collect();
        match format {
            Format::Table => writeln!(out, "{:<10}  {}", "DATE", table::HEADER)?,
            Format::Json => writeln!(out, "[")?,
            Format::Csv => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                write!(out, "{}\r\n", names.join(","))?;
            }
            Format::Parquet => {
                let table = TableWriter::begin(out, families, is_sorted)?;
                return Ok(Self { to: To::Table(Box::new(table)), format, fields, shown: 0 });
            }
            Format::Compact | Format::Jsonl => {}
        }
        Ok(Self { to: To::Text(out), format, fields, shown: 0 })
    }

    pub(in crate::command) fn show(&mut self, found: &Found) -> Result<()> {
        let out = match &mut self.to {
            To::Table(table) => return Ok(table.add(found)?),
            To::Text(out) => out,
        };
        let line = str::from_utf8(&found.line).context("a record is no text")?;
        self.shown += 1;
        match self.format {
            Format::Jsonl => return Ok(writeln!(out, "{}", printable_json(line))?),
            Format::Json => {
                let comma = if self.shown == 1 { "" } else { ",\n" };
                return Ok(write!(out, "{comma}{}", printable_json(line))?);
            }
            Format::Table | Format::Compact | Format::Csv | Format::Parquet => {}
        }
        let record: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        match self.format {
            Format::Csv => {
                let values = self.fields.iter().map(|field| field.text_of(&record).unwrap_or_default());
                let values: Vec<String> = values.map(|value| quoted(&value)).collect();
                write!(out, "{}\r\n", values.join(","))?;
            }
            _ => {
                let time = found.time.to_string();
                let row = format!("{:.10}  {}", time, table::row(&record));
                if self.format == Format::Compact {
                    let words: Vec<&str> = row.split_whitespace().collect();
                    writeln!(out, "{}", words.join(" "))?;
                } else {
                    writeln!(out, "{row}")?;
                }
            }
        }
        Ok(())
    }

    /// Writes what stands behind all records.
    pub(in crate::command) fn end(self) -> Result<()> {
        let mut out = match self.to {
            To::Table(table) => return Ok(table.end()?),
            To::Text(out) => out,
        };
        if self.format == Format::Json {
            writeln!(out, "{}]", if self.shown == 0 { "" } else { "\n" })?;
        }
        Ok(out.flush()?)
    }

    /// Writes what waits in buffers, where a part of what is written can be read.
    pub(in crate::command) fn flush(&mut self) -> Result<()> {
        match &mut self.to {
            To::Text(out) => Ok(out.flush()?),
            To::Table(_) => Ok(()),
        }
    }
}

/// Parquet says nothing to people.
pub(in crate::command) fn refuse_terminal() -> Result<()> {
    if io::stdout().is_terminal() {
        bail!("Parquet is not for a terminal: send standard output to a file");
    }
    Ok(())
}

/// A value as RFC 4180, 2 has it. One that a spreadsheet would take for a formula is made a text.
pub(in crate::command) fn quoted(value: &str) -> String {
    let is_formula = value.starts_with(['=', '+', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    if is_formula || value.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use watchfire_model::WallTime;

    use super::*;

    fn shown(format: Format, lines: &[&str]) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::begin(&mut bytes, format, Families::ALL, true).unwrap();
        for line in lines {
            let line = line.as_bytes().to_vec().into();
            output.show(&Found { time: WallTime(1_700_000_000_000_000_000), seq: 1, line }).unwrap();
        }
        output.end().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_format_is_what_it_says() {
        let lines = [
            r#"{"time":"2023-11-14T22:13:20.000000000Z","type":"file","operation":"open","path":"/a,\"b"}"#,
            "{}",
        ];
        assert_eq!(shown(Format::Jsonl, &lines), format!("{}\n{}\n", lines[0], lines[1]));
        let array: Value = serde_json::from_str(&shown(Format::Json, &lines)).unwrap();
        assert_eq!(array[0]["path"], "/a,\"b");
        assert_eq!(shown(Format::Json, &[]), "[\n]\n");
        let csv = shown(Format::Csv, &lines);
        let rows: Vec<&str> = csv.split("\r\n").collect();
        assert!(rows[0].starts_with("time,type,node,"), "{csv}");
        assert!(rows[1].starts_with("2023-11-14T22:13:20.000000000Z,file,,"), "{csv}");
        assert!(rows[1].contains(",\"/a,\"\"b\","), "{csv}");
        assert_eq!(rows[2].len(), FIELDS.len() - 1);
        assert!(shown(Format::Table, &lines).lines().nth(1).unwrap().starts_with("2023-11-14  22:13:20"));
        assert!(shown(Format::Compact, &lines).starts_with("2023-11-14 22:13:20"));
    }

    #[test]
    fn values_are_quoted_where_they_have_to_be() {
        for (value, expected) in
            [("a", "a"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("=1+1", "\"'=1+1\""), ("-13", "-13")]
        {
            assert_eq!(quoted(value), expected);
        }
    }
}
