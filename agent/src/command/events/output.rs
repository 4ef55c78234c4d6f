//! Records of the ledger in the form that is asked for.

use std::io::Write;

use anyhow::{Context as _, Result};
use serde_json::Value;
use watchfire_ledger::{FIELDS, Families, Field, Found};

use crate::command::flows::line::printable_json;
use crate::command::observe::table;

/// How to show records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
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
}

/// Writes records in one format.
pub(super) struct Output<W> {
    out: W,
    format: Format,
    fields: Vec<&'static Field>,
    shown: u64,
}

impl<W: Write> Output<W> {
    /// Writes what stands before all records.
    pub(super) fn begin(mut out: W, format: Format, families: Families) -> Result<Self> {
        let of_these = |field: &&Field| families.iter().any(|family| field.families.contains(family));
        let fields: Vec<&Field> = FIELDS.iter().filter(of_these).collect();
        match format {
            Format::Table => writeln!(out, "{:<10}  {}", "DATE", table::HEADER)?,
            Format::Json => writeln!(out, "[")?,
            Format::Csv => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                write!(out, "{}\r\n", names.join(","))?;
            }
            Format::Compact | Format::Jsonl => {}
        }
        Ok(Self { out, format, fields, shown: 0 })
    }

    pub(super) fn show(&mut self, found: &Found) -> Result<()> {
        let line = str::from_utf8(&found.line).context("a record is no text")?;
        self.shown += 1;
        match self.format {
            Format::Jsonl => return Ok(writeln!(self.out, "{}", printable_json(line))?),
            Format::Json => {
                let comma = if self.shown == 1 { "" } else { ",\n" };
                return Ok(write!(self.out, "{comma}{}", printable_json(line))?);
            }
            Format::Table | Format::Compact | Format::Csv => {}
        }
        let record: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        match self.format {
            Format::Csv => {
                let values = self.fields.iter().map(|field| field.text_of(&record).unwrap_or_default());
                let values: Vec<String> = values.map(|value| quoted(&value)).collect();
                write!(self.out, "{}\r\n", values.join(","))?;
            }
            _ => {
                let time = found.time.to_string();
                let row = format!("{:.10}  {}", time, table::row(&record));
                if self.format == Format::Compact {
                    let words: Vec<&str> = row.split_whitespace().collect();
                    writeln!(self.out, "{}", words.join(" "))?;
                } else {
                    writeln!(self.out, "{row}")?;
                }
            }
        }
        Ok(())
    }

    /// Writes what stands behind all records.
    pub(super) fn end(mut self) -> Result<()> {
        if self.format == Format::Json {
            writeln!(self.out, "{}]", if self.shown == 0 { "" } else { "\n" })?;
        }
        Ok(self.out.flush()?)
    }
}

/// A value as RFC 4180, 2 has it. One that a spreadsheet would take for a formula is made a text.
fn quoted(value: &str) -> String {
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
        let mut output = Output::begin(&mut bytes, format, Families::ALL).unwrap();
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
