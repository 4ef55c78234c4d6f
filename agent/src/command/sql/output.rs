//! Rows in the form that is asked for.

use std::borrow::Cow;
use std::io::Write;

use anyhow::Result;
use watchfire_sql::ParquetWriter;
use watchfire_sql::arrow::array::{Array, RecordBatch};
use watchfire_sql::arrow::datatypes::{DataType, SchemaRef};
use watchfire_sql::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::Format;
use crate::command::events::output::quoted;
use crate::command::flows::line::printable_json;
use crate::command::flows::printable;

/// Rows of which columns get their widths; a longer text further on pushes what follows to the right.
const ROWS_MEASURED: usize = 1000;

/// Times as the ledger has them.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.9fZ";

/// Writes rows in one format.
pub(super) struct Output<W: Write + Send> {
    to: To<W>,
    format: Format,
    schema: SchemaRef,
    shown: u64,
}

enum To<W: Write + Send> {
    Parquet(Box<ParquetWriter<W>>),
    Text { out: W, table: Table },
}

/// Rows that wait until it is known how wide columns are.
#[derive(Default)]
struct Table {
    widths: Vec<usize>,
    waiting: Vec<Vec<String>>,
}

impl<W: Write + Send> Output<W> {
    pub(super) fn begin(mut out: W, format: Format, schema: &SchemaRef) -> Result<Self> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut table = Table::default();
        match format {
            Format::Parquet => {
                let to = To::Parquet(Box::new(ParquetWriter::begin(out, schema)?));
                return Ok(Self { to, format, schema: schema.clone(), shown: 0 });
            }
            Format::Json => writeln!(out, "[")?,
            Format::Csv => {
                let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                write!(out, "{}\r\n", names.join(","))?;
            }
            Format::Table => {
                table.waiting.push(names.iter().map(|name| printable(name).into_owned()).collect());
            }
            Format::Jsonl => {}
        }
        Ok(Self { to: To::Text { out, table }, format, schema: schema.clone(), shown: 0 })
    }

    pub(super) fn show(&mut self, batch: &RecordBatch) -> Result<()> {
        let (out, table) = match &mut self.to {
            To::Parquet(writer) => return Ok(writer.add(batch)?),
            To::Text { out, table } => (out, table),
        };
        let options =
            FormatOptions::new().with_timestamp_tz_format(Some(TIME)).with_timestamp_format(Some(TIME));
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|array| ArrayFormatter::try_new(array, &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).try_to_string());
            let cells: Vec<String> = cells.collect::<Result<_, _>>()?;
            match self.format {
                Format::Csv => {
                    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
                    write!(out, "{}\r\n", cells.join(","))?;
                }
                Format::Json | Format::Jsonl => {
                    let object = object(&self.schema, batch, row, &cells)?;
                    let object = printable_json(&object);
                    match self.format {
                        Format::Jsonl => writeln!(out, "{object}")?,
                        _ => write!(out, "{}{object}", if self.shown == 0 { "" } else { ",\n" })?,
                    }
                }
                Format::Table | Format::Parquet => {
                    let cells = cells.iter().map(|cell| printable(cell).into_owned()).collect();
                    table.add(out, cells)?;
                }
            }
            self.shown += 1;
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<()> {
        let (mut out, mut table) = match self.to {
            To::Parquet(writer) => return Ok(writer.end()?),
            To::Text { out, table } => (out, table),
        };
        if self.format == Format::Json {
            writeln!(out, "{}]", if self.shown == 0 { "" } else { "\n" })?;
        }
        table.write_waiting(&mut out)?;
        Ok(out.flush()?)
    }
}

impl Table {
    fn add(&mut self, out: &mut impl Write, cells: Vec<String>) -> Result<()> {
        if !self.widths.is_empty() {
            return self.write(out, &cells);
        }
        self.waiting.push(cells);
        if self.waiting.len() > ROWS_MEASURED { self.write_waiting(out) } else { Ok(()) }
    }

    fn write_waiting(&mut self, out: &mut impl Write) -> Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if self.widths.is_empty() {
            let columns = rows.first().map_or(0, Vec::len);
            let width = |at: usize| rows.iter().map(|cells| cells[at].chars().count()).max().unwrap_or(0);
            self.widths = (0..columns).map(width).collect();
        }
        rows.iter().try_for_each(|cells| self.write(out, cells))
    }

    fn write(&self, out: &mut impl Write, cells: &[String]) -> Result<()> {
        let padded = cells.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:<width$}"));
        Ok(writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?)
    }
}

/// A row as a JSON object: numbers and booleans as they are, all else as texts.
fn object(schema: &SchemaRef, batch: &RecordBatch, row: usize, cells: &[String]) -> Result<String> {
    let mut members = Vec::with_capacity(cells.len());
    for ((field, array), cell) in schema.fields().iter().zip(batch.columns()).zip(cells) {
        let value: Cow<'_, str> = if array.is_null(row) {
            "null".into()
        } else if is_plain(array.data_type()) && serde_json::from_str::<serde_json::Value>(cell).is_ok() {
            cell.into()
        } else {
            serde_json::to_string(cell)?.into()
        };
        members.push(format!("{}:{value}", serde_json::to_string(field.name())?));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// What JSON has a form for. Numbers that are none (RFC 8259, 6) are texts.
fn is_plain(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watchfire_sql::arrow::array::{Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
    use watchfire_sql::arrow::datatypes::{Field, Schema};

    use super::*;

    fn shown(format: Format) -> String {
        let times = TimestampNanosecondArray::from(vec![7, 8]).with_timezone("+00:00");
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("time", times.data_type().clone(), false),
            Field::new("text", DataType::Utf8, true),
            Field::new("count(*)", DataType::Int64, false),
            Field::new("avg", DataType::Float64, true),
        ]));
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(times),
                Arc::new(StringArray::from(vec![Some("a,\u{9b}\"b"), None])),
                Arc::new(Int64Array::from(vec![-1, 20])),
                Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)])),
            ],
        )
        .unwrap();
        let mut bytes = Vec::new();
        let mut output = Output::begin(&mut bytes, format, &schema).unwrap();
        output.show(&batch).unwrap();
        output.end().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_format_is_what_it_says() {
        let table = shown(Format::Table);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], format!("{:<30}  {:<10}  {:<8}  avg", "time", "text", "count(*)"));
        assert_eq!(
            lines[1],
            format!("{}  {}  {:<8}  0.5", "1970-01-01T00:00:00.000000007Z", "a,\\u{9b}\"b", "-1")
        );
        assert_eq!(lines[2], format!("{}  {:<10}  {:<8}  NaN", "1970-01-01T00:00:00.000000008Z", "", "20"));
        assert_eq!(
            shown(Format::Csv),
            "time,text,count(*),avg\r\n1970-01-01T00:00:00.000000007Z,\"a,\u{9b}\"\"b\",-1,0.5\r\n\
             1970-01-01T00:00:00.000000008Z,,20,NaN\r\n"
        );
        let rows = [
            r#"{"time":"1970-01-01T00:00:00.000000007Z","text":"a,\u009b\"b","count(*)":-1,"avg":0.5}"#,
            r#"{"time":"1970-01-01T00:00:00.000000008Z","text":null,"count(*)":20,"avg":"NaN"}"#,
        ];
        assert_eq!(shown(Format::Jsonl), format!("{}\n{}\n", rows[0], rows[1]));
        assert_eq!(shown(Format::Json), format!("[\n{},\n{}\n]\n", rows[0], rows[1]));
    }
}
