//! Tables by columns, for engines that work so: what is sealed and what is still in the log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use parquet::data_type::ByteArray;
use watchfire_model::WallTime;

use crate::error::LedgerError;
use crate::family::Family;
use crate::filter::Range;
use crate::segment::{Column, ColumnValues, Entry, RECORD, SEQ, Segment, TIME, TableReader, TableSum};
use crate::snapshot::{Log, Snapshot};
use crate::wal::WalReader;

/// Rows of the log that are given together; a frame more may be.
const LOG_ROWS: usize = 8192;

/// A ledger or bundle as it was at one moment: whoever reads a table twice reads the same.
#[derive(Debug)]
pub struct Scan {
    segments: Vec<Segment>,
    logs: Vec<(Log, u64)>,
    removed: AtomicU64,
    unreadable: Mutex<BTreeSet<String>>,
    damaged: Mutex<BTreeSet<String>>,
}

/// A part of a table that is read by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    family: Family,
    place: Place,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Sealed { path: PathBuf, sum: TableSum },
    Log(usize),
}

/// A piece that is being read.
#[derive(Debug)]
pub enum OpenPiece {
    /// The table of a segment.
    Sealed(SealedTable),
    /// Records of a log file.
    Log(LogTable),
}

/// A table of a segment, with its rows in groups.
#[derive(Debug)]
pub struct SealedTable {
    family: Family,
    table: TableReader,
}

/// The records of one table in a log file, in the order in which they were written.
#[derive(Debug)]
pub struct LogTable {
    family: Family,
    reader: WalReader,
}

impl Scan {
    /// Looks at what there is.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let Snapshot { segments, logs, damaged } = Snapshot::take(dir)?;
        let mut sized = Vec::new();
        for log in logs {
            let bytes = log.reader()?.bytes();
            sized.push((log, bytes));
        }
        let scan = Self {
            segments,
            logs: sized,
            removed: AtomicU64::new(0),
            unreadable: Mutex::default(),
            damaged: Mutex::default(),
        };
        damaged.iter().for_each(|error| scan.tell_damage(error));
        Ok(scan)
    }

    /// The parts of a table.
    #[must_use]
    pub fn pieces(&self, family: Family) -> Vec<Piece> {
        let sealed = self.segments.iter().filter_map(|Segment { dir, manifest, .. }| {
            let sum = *manifest.tables.get(&family)?;
            Some(Place::Sealed { path: dir.join(family.file_name()), sum })
        });
        let logs = (0..self.logs.len()).map(Place::Log);
        sealed.chain(logs).map(|place| Piece { family, place }).collect()
    }

    /// Begins to read a part; none where retention has removed it, and where it is damaged, which is told.
    pub fn read(&self, piece: &Piece) -> Result<Option<OpenPiece>, LedgerError> {
        let family = piece.family;
        match &piece.place {
            Place::Sealed { path, sum } => match TableReader::open(path, sum) {
                Ok(table) => Ok(Some(OpenPiece::Sealed(SealedTable { family, table }))),
                Err(error) if error.is_gone() => {
                    self.removed.fetch_add(1, Ordering::Relaxed);
                    Ok(None)
                }
                Err(error) if error.is_damage() => {
                    self.tell_damage(&error);
                    Ok(None)
                }
                Err(error) => Err(error),
            },
            Place::Log(at) => {
                let (log, bytes) = &self.logs[*at];
                let reader = log.reader()?.until(*bytes);
                Ok(Some(OpenPiece::Log(LogTable { family, reader })))
            }
        }
    }

    /// The next records of a part that is in the log: so many that they are worth the work, and none at the end.
    pub fn next_of_log(
        &self,
        table: &mut LogTable,
        columns: &[Column],
    ) -> Result<Option<Vec<ColumnValues>>, LedgerError> {
        let mut entries: Vec<Entry> = Vec::new();
        while entries.len() < LOG_ROWS
            && let Some(frame) = table.reader.next()?
        {
            match frame {
                Ok(frame) => {
                    let all = Entry::of_frame(frame).into_iter();
                    entries.extend(all.filter(|entry| entry.family == table.family));
                }
                Err(fault) => {
                    let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                    unreadable.insert(fault.to_string());
                }
            }
        }
        Ok((!entries.is_empty()).then(|| ColumnValues::of(columns, &entries)))
    }

    /// Tables of segments that were to be read and that retention had removed.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }

    /// Adds what was found damaged while a part was read, whose other rows are left out then.
    pub fn tell_damage(&self, error: &LedgerError) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(error.in_full());
    }

    /// Files of segments that are not as they were sealed, and why, as far as reading met them: what they hold is left out.
    #[must_use]
    pub fn damaged(&self) -> Vec<String> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Frames of the log that are damaged or still being written, as far as reading met them: what stands behind them is
    /// left out.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Piece {
    /// The times of its earliest and latest record, where they are known without reading it.
    #[must_use]
    pub const fn times(&self) -> Option<(WallTime, WallTime)> {
        match &self.place {
            Place::Sealed { sum, .. } => Some((sum.earliest, sum.latest)),
            Place::Log(_) => None,
        }
    }
}

impl SealedTable {
    /// How many groups of rows there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.table.groups()
    }

    /// Rows of a group.
    #[must_use]
    pub fn rows(&self, group: usize) -> usize {
        self.table.rows(group)
    }

    /// What is known of a column in a group without reading it.
    #[must_use]
    pub fn range(&self, group: usize, column: Column) -> Range {
        self.place(column).map_or(Range::Unknown, |at| self.table.range(group, at))
    }

    /// False if the column has none of the texts in the group, by its Bloom filter.
    #[must_use]
    pub fn may_have(&self, group: usize, column: Column, texts: &[&str]) -> bool {
        let Some(at) = self.place(column) else { return true };
        // One that cannot be read says nothing.
        let bloom = self.table.bloom(group, at).unwrap_or(None);
        bloom.is_none_or(|bloom| texts.iter().any(|text| bloom.may_have(text)))
    }

    /// The values of columns in a group. A column that the segment was written without comes out of the records.
    pub fn values(&self, group: usize, columns: &[Column]) -> Result<Vec<ColumnValues>, LedgerError> {
        let lacking: Vec<Column> =
            columns.iter().copied().filter(|column| self.place(*column).is_none()).collect();
        let mut recovered = if lacking.is_empty() { Vec::new() } else { self.recovered(group, &lacking)? };
        recovered.reverse();
        let values = columns.iter().map(|column| match self.place(*column) {
            Some(at) => self.table.values(group, at),
            None => Ok(recovered.pop().expect("one for each that is lacking")),
        });
        values.collect()
    }

    fn recovered(&self, group: usize, columns: &[Column]) -> Result<Vec<ColumnValues>, LedgerError> {
        let entries: Vec<Entry> = match self.table.values(group, RECORD)? {
            ColumnValues::Texts(lines) => lines.into_iter().map(|line| self.entry(line)).collect(),
            ColumnValues::Ints(_) => Vec::new(),
        };
        Ok(ColumnValues::of(columns, &entries))
    }

    fn entry(&self, line: Option<ByteArray>) -> Entry {
        let line = line.map(|line| bytes::Bytes::copy_from_slice(line.data())).unwrap_or_default();
        Entry { family: self.family, ..Entry::of(line, 0, 0) }
    }

    fn place(&self, column: Column) -> Option<usize> {
        match column {
            Column::Seq => Some(SEQ),
            Column::Time => Some(TIME),
            Column::Record => Some(RECORD),
            Column::Field(field) => self.table.column(&field.column()),
        }
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.table.path()
    }
}
