//! Reads columns of one table of a segment.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::statistics::Statistics;

use super::column::ColumnValues;
use super::footer;
use super::pages::{Pages, guarded};
use super::{RECORD, TableSum};
use crate::bloom::Bloom;
use crate::error::{At as _, InFile as _, LedgerError};
use crate::filter::Range;

/// An open table.
pub(crate) struct TableReader {
    path: PathBuf,
    file: File,
    reader: SerializedFileReader<File>,
}

/// Most rows of a group: writers end one at [`super::schema::ROW_GROUP_ROWS`].
const GROUP_ROWS_MAX: usize = 1 << 20;

impl TableReader {
    /// Opens a table whose footer is as it was sealed, by what its manifest says of it.
    pub(crate) fn open(path: &Path, sum: &TableSum) -> Result<Self, LedgerError> {
        let file = File::open(path).at("cannot open", path)?;
        footer::judge(&file, path, sum)?;
        let table = Self::read(path, file, sum)?;
        let rows: usize = (0..table.groups()).map(|group| table.rows(group)).sum();
        if rows as u64 != sum.records {
            let why = format!("it has {rows} rows, its manifest says {}", sum.records);
            return Err(LedgerError::malformed(path, why));
        }
        Ok(table)
    }

    /// The same of a table that is known to be damaged, for what can be read of it still. The footer has to be as it was
    /// sealed where that can be told.
    pub(crate) fn open_damaged(path: &Path, sum: &TableSum) -> Result<Self, LedgerError> {
        let file = File::open(path).at("cannot open", path)?;
        if let Some(footer) = sum.footer
            && footer::footer_hash(&file, path)? != footer
        {
            return Err(LedgerError::malformed(path, "its footer is not the one that was sealed"));
        }
        Self::read(path, file, sum)
    }

    fn read(path: &Path, file: File, sum: &TableSum) -> Result<Self, LedgerError> {
        let bytes = file.metadata().at("cannot look at", path)?.len();
        let readable = file.try_clone().at("cannot open", path)?;
        let reader = guarded(path, || SerializedFileReader::new(readable).in_file(path))?;
        let rows_max = sum.records.min(GROUP_ROWS_MAX as u64);
        for group in reader.metadata().row_groups() {
            if u64::try_from(group.num_rows()).is_ok_and(|rows| rows > rows_max) || group.num_rows() < 0 {
                let why = format!("a group has {} rows, expected at most {rows_max}", group.num_rows());
                return Err(LedgerError::malformed(path, why));
            }
            if !group.columns().iter().all(|column| is_within(column, bytes)) {
                return Err(LedgerError::malformed(path, "a column lies outside of the file"));
            }
        }
        Ok(Self { path: path.to_owned(), file, reader })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    pub(crate) fn group(&self, at: usize) -> &RowGroupMetaData {
        self.reader.metadata().row_group(at)
    }

    pub(crate) fn rows(&self, group: usize) -> usize {
        usize::try_from(self.group(group).num_rows()).unwrap_or(0)
    }

    /// Where the column of that name stands; none where the segment was written before there was such a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        (0..schema.num_columns()).find(|at| schema.column(*at).name() == name)
    }

    /// What the footer says of a column in a group of rows.
    pub(crate) fn range(&self, group: usize, column: usize) -> Range {
        let group = self.group(group);
        let Some(statistics) = group.column(column).statistics() else { return Range::Unknown };
        if statistics.null_count_opt() == u64::try_from(group.num_rows()).ok() {
            return Range::Absent;
        }
        match statistics {
            Statistics::Int64(numbers) => match (numbers.min_opt(), numbers.max_opt()) {
                (Some(min), Some(max)) => Range::Ints(*min, *max),
                _ => Range::Unknown,
            },
            Statistics::ByteArray(texts) => match (texts.min_bytes_opt(), texts.max_bytes_opt()) {
                (Some(min), Some(max)) => Range::Texts(min.to_vec(), max.to_vec()),
                _ => Range::Unknown,
            },
            _ => Range::Unknown,
        }
    }

    /// The Bloom filter of a column in a group of rows, if it has one.
    pub(crate) fn bloom(&self, group: usize, column: usize) -> Result<Option<Bloom>, LedgerError> {
        let column = self.group(group).column(column);
        let bloom =
            guarded(&self.path, || Sbbf::read_from_column_chunk(column, &self.file).in_file(&self.path))?;
        Ok(bloom.map(Bloom))
    }

    /// All values of a column in a group of rows.
    pub(crate) fn values(&self, group: usize, column: usize) -> Result<ColumnValues, LedgerError> {
        let rows = self.rows(group);
        let values = guarded(&self.path, || self.unchecked_values(group, column, rows))?;
        let found = values.rows();
        if found != rows {
            return Err(self.malformed(format!("column {column} has {found} rows, expected {rows}")));
        }
        Ok(values)
    }

    fn unchecked_values(
        &self,
        group: usize,
        column: usize,
        rows: usize,
    ) -> Result<ColumnValues, LedgerError> {
        let mut levels = Vec::new();
        Ok(match self.column_reader(group, column)? {
            ColumnReader::Int64ColumnReader(mut reader) => {
                let mut values = Vec::new();
                reader.read_records(rows, Some(&mut levels), None, &mut values).in_file(&self.path)?;
                ColumnValues::Ints(spread(values, &levels))
            }
            ColumnReader::ByteArrayColumnReader(mut reader) => {
                let mut values = Vec::new();
                reader.read_records(rows, Some(&mut levels), None, &mut values).in_file(&self.path)?;
                ColumnValues::Texts(spread(values, &levels))
            }
            _ => return Err(self.malformed(format!("column {column} has a type that no table has"))),
        })
    }

    fn column_reader(&self, group: usize, column: usize) -> Result<ColumnReader, LedgerError> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        if column >= schema.num_columns() {
            return Err(self.malformed(format!("it has no column {column}")));
        }
        let reader = self.reader.get_row_group(group).in_file(&self.path)?;
        let pages = reader.get_column_page_reader(column).in_file(&self.path)?;
        let pages = Pages::new(pages, self.rows(group));
        Ok(get_column_reader(schema.column(column), Box::new(pages)))
    }

    /// The numbers of a column that every record has.
    pub(crate) fn numbers(&self, group: usize, column: usize) -> Result<Vec<i64>, LedgerError> {
        match self.values(group, column)? {
            ColumnValues::Ints(numbers) => Ok(numbers.into_iter().flatten().collect()),
            ColumnValues::Texts(_) => {
                Err(self.malformed(format!("column {column} has texts, expected numbers")))
            }
        }
    }

    /// The lines of a group of rows.
    pub(crate) fn lines(&self, group: usize) -> Result<Lines, LedgerError> {
        match guarded(&self.path, || self.column_reader(group, RECORD))? {
            ColumnReader::ByteArrayColumnReader(reader) => {
                Ok(Lines { path: self.path.clone(), reader, row: 0 })
            }
            _ => Err(self.malformed("the column of records has no texts".to_owned())),
        }
    }

    fn malformed(&self, why: String) -> LedgerError {
        LedgerError::malformed(&self.path, why)
    }
}

/// The library takes the places of columns as they are written, and panics where there is no such place.
fn is_within(column: &ColumnChunkMetaData, file_bytes: u64) -> bool {
    let begin = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let place = u64::try_from(begin).ok().zip(u64::try_from(column.compressed_size()).ok());
    place.and_then(|(begin, bytes)| begin.checked_add(bytes)).is_some_and(|end| end <= file_bytes)
}

/// Reads lines one by one, those in between are skipped.
pub(crate) struct Lines {
    path: PathBuf,
    reader: ColumnReaderImpl<ByteArrayType>,
    row: usize,
}

impl Lines {
    /// The line of a row behind those asked for before.
    pub(crate) fn get(&mut self, row: usize) -> Result<Bytes, LedgerError> {
        let skipped = row - self.row;
        let mut lines = Vec::with_capacity(1);
        guarded(&self.path, || {
            if skipped > 0 {
                self.reader.skip_records(skipped).in_file(&self.path)?;
            }
            self.reader.read_records(1, None, None, &mut lines).in_file(&self.path)
        })?;
        self.row = row + 1;
        let line: Option<ByteArray> = lines.pop();
        // Copied out of its page, which would else stay as long as any line of it is kept.
        let line = line.map(|line| Bytes::copy_from_slice(line.data()));
        line.ok_or_else(|| LedgerError::malformed(&self.path, format!("there is no row {row}")))
    }
}

/// Puts values where their levels say; a column without levels has a value in each row.
fn spread<T>(values: Vec<T>, levels: &[i16]) -> Vec<Option<T>> {
    if levels.is_empty() {
        return values.into_iter().map(Some).collect();
    }
    let mut values = values.into_iter();
    levels.iter().map(|level| if *level > 0 { values.next() } else { None }).collect()
}

impl std::fmt::Debug for TableReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableReader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("row", &self.row).finish_non_exhaustive()
    }
}
