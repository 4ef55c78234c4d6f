//! Writes tables: those of segments, and those that are taken out.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::column::{Column, ColumnValues};
use super::entry::Entry;
use super::schema::{self, ROW_GROUP_ROWS};
use crate::error::{InFile as _, LedgerError};
use crate::family::{Families, Family};
use crate::search::Found;

/// Writes records in the form that tables of segments have. Where they are of several tables, the one that is written has
/// the columns of all: what the table of a record lacks is absent.
pub struct TableWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Column>,
    waiting: Vec<Entry>,
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a file for records of these tables, which says whether they come in the order of time and number.
    pub fn begin(out: W, families: Families, is_sorted: bool) -> Result<Self, ParquetError> {
        let schema = Arc::new(schema::schema(families)?);
        let writer =
            SerializedFileWriter::new(out, schema, Arc::new(schema::properties(families, is_sorted)?))?;
        Ok(Self { writer, columns: Column::of(families).collect(), waiting: Vec::new() })
    }

    /// Adds a record.
    pub fn add(&mut self, found: &Found) -> Result<(), ParquetError> {
        let mut entry = Entry::of(Bytes::clone(&found.line), found.seq, found.time.0);
        entry.time = found.time.0;
        self.waiting.push(entry);
        if self.waiting.len() == ROW_GROUP_ROWS {
            self.write_waiting()?;
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<(), ParquetError> {
        let entries = std::mem::take(&mut self.waiting);
        if entries.is_empty() {
            return Ok(());
        }
        write_group(self.writer.next_row_group()?, &self.columns, &entries)
    }

    /// Writes what stands behind all records.
    pub fn end(mut self) -> Result<(), ParquetError> {
        self.write_waiting()?;
        self.writer.close().map(drop)
    }
}

/// Writes the table of a family, in groups that are in the order of time and number already.
pub(super) fn write_table<W: Write + Send>(
    file: W,
    path: &Path,
    family: Family,
    groups: impl Iterator<Item = Result<Vec<Entry>, LedgerError>>,
) -> Result<(), LedgerError> {
    let mut table = TableWriter::begin(file, Families::of(&[family]), true).in_file(path)?;
    for entries in groups {
        let entries = entries?;
        let group = table.writer.next_row_group().in_file(path)?;
        write_group(group, &table.columns, &entries).in_file(path)?;
    }
    table.end().in_file(path)
}

fn write_group<W: Write + Send>(
    mut group: SerializedRowGroupWriter<'_, W>,
    columns: &[Column],
    entries: &[Entry],
) -> Result<(), ParquetError> {
    for (column, values) in columns.iter().zip(ColumnValues::of(columns, entries)) {
        let mut writer = group
            .next_column()?
            .ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))?;
        match values {
            ColumnValues::Texts(texts) => {
                let levels = levels(*column, &texts);
                let texts: Vec<ByteArray> = texts.into_iter().flatten().collect();
                writer.typed::<ByteArrayType>().write_batch(&texts, levels.as_deref(), None)?;
            }
            ColumnValues::Ints(numbers) => {
                let levels = levels(*column, &numbers);
                let numbers: Vec<i64> = numbers.into_iter().flatten().collect();
                writer.typed::<Int64Type>().write_batch(&numbers, levels.as_deref(), None)?;
            }
        }
        writer.close()?;
    }
    group.close().map(drop)
}

/// Which rows have a value; a column that every row has needs none.
fn levels<T>(column: Column, values: &[Option<T>]) -> Option<Vec<i16>> {
    (!column.is_required()).then(|| values.iter().map(|value| value.is_some().into()).collect())
}

impl<W: Write + Send> std::fmt::Debug for TableWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
