//! Looks for records in a ledger or bundle, in the order of time, while it may be written to.
//!
//! Sources (tables of segments, log files) are merged by time. A source is opened when the merge has come to its
//! earliest record, and read a group of rows at a time: memory does not grow with the ledger.

mod explain;
mod group;
mod log;
mod plan;
mod stop;
mod table;
mod wal;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use watchfire_model::WallTime;

use crate::error::LedgerError;
use crate::family::Families;
use crate::filter::Filter;
use crate::wal::WalReader;

pub use self::explain::{Explanation, Skipped};
pub use self::log::LogIndex;

use self::plan::{Plan, Source, plan};
use self::stop::StopSign;
use self::table::TableCursor;
use self::wal::WalCursor;

pub(crate) use self::wal::time_range;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// In which tables.
    pub families: Families,
    /// Which records.
    pub filter: Filter,
    /// Nothing older.
    pub since: Option<WallTime>,
    /// Nothing newer.
    pub until: Option<WallTime>,
    /// Which numbers in the ledger.
    pub numbers: Numbers,
}

/// A range of numbers that records have in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// Only greater ones.
    pub after: u64,
    /// None greater.
    pub through: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { after: 0, through: u64::MAX }
    }
}

impl Numbers {
    const fn has(self, number: u64) -> bool {
        self.after < number && number <= self.through
    }

    const fn overlaps(self, first: u64, last: u64) -> bool {
        self.after < last && first <= self.through
    }
}

impl Default for SearchQuery {
    fn default() -> Self {
        Self {
            families: Families::ALL,
            filter: Filter::default(),
            since: None,
            until: None,
            numbers: Numbers::default(),
        }
    }
}

impl SearchQuery {
    fn covers(&self, time: i64) -> bool {
        self.since.is_none_or(|since| since.0 <= time) && self.until.is_none_or(|until| time <= until.0)
    }
}

/// A record that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// When it happened.
    pub time: WallTime,
    /// Its number in the ledger.
    pub seq: u64,
    /// Its line, without the newline.
    pub line: Bytes,
}

/// A search that runs: an iterator over what is found.
#[derive(Debug)]
pub struct Search {
    query: SearchQuery,
    /// Not yet opened, the earliest last.
    pending: Vec<Source>,
    open: BinaryHeap<Reverse<Next>>,
    /// Log files that sources are frames of.
    logs: Vec<WalReader>,
    stop: StopSign,
    explanation: Explanation,
    failed: bool,
}

/// The next record of an open source.
#[derive(Debug)]
struct Next {
    found: Found,
    cursor: Cursor,
}

#[derive(Debug)]
enum Cursor {
    Table(Box<TableCursor>),
    Wal(WalCursor),
}

impl Search {
    /// Begins to look. What is written to the ledger later is not found.
    pub fn open(dir: &Path, query: SearchQuery) -> Result<Self, LedgerError> {
        Self::begin(dir, query, &LogIndex::default(), StopSign::default())
    }

    /// The same for a process that searches often: what `logs` knows of log files is not read again, and the search ends
    /// with [`LedgerError::Stopped`] soon after `stop` is set.
    pub fn open_with(
        dir: &Path,
        query: SearchQuery,
        logs: &LogIndex,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, LedgerError> {
        Self::begin(dir, query, logs, StopSign::new(Arc::clone(stop)))
    }

    fn begin(dir: &Path, query: SearchQuery, index: &LogIndex, stop: StopSign) -> Result<Self, LedgerError> {
        let mut explanation = Explanation::default();
        let Plan { sources: pending, logs } = plan(dir, &query, index, &mut explanation, &stop)?;
        Ok(Self { query, pending, open: BinaryHeap::new(), logs, stop, explanation, failed: false })
    }

    /// What was read and what was not need to be; complete once everything is found.
    #[must_use]
    pub const fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    fn find(&mut self) -> Result<Option<Found>, LedgerError> {
        loop {
            let next_time = self.open.peek().map(|Reverse(next)| next.found.time);
            let is_due = |source: &Source| next_time.is_none_or(|time| source.earliest <= time);
            let Some(source) = self.pending.pop_if(|source| is_due(source)) else { break };
            self.stop.check()?;
            if let Some(cursor) = source.open(&self.query, &mut self.logs, &mut self.explanation)? {
                self.advance(cursor)?;
            }
        }
        let Some(Reverse(Next { found, cursor })) = self.open.pop() else { return Ok(None) };
        self.advance(cursor)?;
        self.explanation.found += 1;
        Ok(Some(found))
    }

    fn advance(&mut self, mut cursor: Cursor) -> Result<(), LedgerError> {
        let found = match &mut cursor {
            Cursor::Table(cursor) => match cursor.next(&self.query, &mut self.explanation, &self.stop) {
                Err(error) if error.is_damage() => {
                    self.explanation.tell_damage(&error);
                    None
                }
                found => found?,
            },
            Cursor::Wal(cursor) => cursor.next(&self.query),
        };
        self.open.extend(found.map(|found| Reverse(Next { found, cursor })));
        Ok(())
    }
}

impl Iterator for Search {
    type Item = Result<Found, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let found = self.find().transpose();
        self.failed = matches!(found, Some(Err(_)));
        found
    }
}

impl Next {
    const fn key(&self) -> (WallTime, u64) {
        (self.found.time, self.found.seq)
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
