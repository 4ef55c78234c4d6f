//! What a query read, and what it did not have to read.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The account of the queries of one session.
#[derive(Default, Debug)]
pub struct Account {
    pub(crate) pieces_read: AtomicU64,
    pub(crate) pieces_skipped: AtomicU64,
    pub(crate) groups_read: AtomicU64,
    pub(crate) groups_skipped: AtomicU64,
    pub(crate) rows_read: AtomicU64,
    pub(crate) log_rows_read: AtomicU64,
}

impl Account {
    /// Groups of rows of segments that were read, and those that their statistics and Bloom filters ruled out.
    #[must_use]
    pub fn groups(&self) -> (u64, u64) {
        (self.groups_read.load(Relaxed), self.groups_skipped.load(Relaxed))
    }

    /// Tables of segments and log files that were read, and those that were skipped for their times.
    #[must_use]
    pub fn pieces(&self) -> (u64, u64) {
        (self.pieces_read.load(Relaxed), self.pieces_skipped.load(Relaxed))
    }

    /// Rows of segments that were read.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows_read.load(Relaxed)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pieces_read, pieces_skipped, groups_read, groups_skipped, rows_read, log_rows_read } =
            self;
        writeln!(
            f,
            "tables of segments and log files: {} read, {} skipped for their times",
            pieces_read.load(Relaxed),
            pieces_skipped.load(Relaxed)
        )?;
        write!(
            f,
            "groups of rows {} read, {} skipped; rows {} read, and {} of the log",
            groups_read.load(Relaxed),
            groups_skipped.load(Relaxed),
            rows_read.load(Relaxed),
            log_rows_read.load(Relaxed)
        )
    }
}
