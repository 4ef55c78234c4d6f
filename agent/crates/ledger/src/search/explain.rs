//! What a search read, and what it did not have to read.

use std::fmt;

use crate::error::LedgerError;
use crate::family::Family;

/// Entries of the list of what was skipped; further ones are counted.
const SKIPPED_TOLD_MAX: usize = 1000;

/// The account of one search.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Explanation {
    /// Sealed segments.
    pub segments: u64,
    /// Tables of segments that were read.
    pub tables_read: u64,
    /// Tables of segments that were skipped.
    pub tables_skipped: u64,
    /// Tables that retention removed.
    pub tables_removed: u64,
    /// Groups of rows that were read.
    pub groups_read: u64,
    /// Groups of rows that were skipped.
    pub groups_skipped: u64,
    /// Rows of the groups that were read.
    pub rows_read: u64,
    /// Log files that were read.
    pub log_files: u64,
    /// Records in them.
    pub log_records: u64,
    /// Frames of the log that are damaged or still being written: what stands behind them is not found.
    pub unreadable: Vec<String>,
    /// Files of segments that are not as they were sealed, and why: what they hold is not found, as far as it was not before.
    pub damaged: Vec<String>,
    /// Number of the oldest record that is there still, as far as manifests and log files tell; none where there is none.
    pub oldest: Option<u64>,
    /// What was found.
    pub found: u64,
    /// What was skipped and why, the first of them.
    pub skipped: Vec<Skipped>,
}

/// Something that was not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Number of the segment.
    pub segment: u64,
    /// Table.
    pub family: Family,
    /// Group of rows; none for the whole table.
    pub group: Option<usize>,
    /// Why no record of it can be wanted.
    pub why: &'static str,
}

impl Explanation {
    pub(super) fn tell_damage(&mut self, error: &LedgerError) {
        self.damaged.push(error.in_full());
    }

    pub(super) fn skip(&mut self, skipped: Skipped) {
        if skipped.group.is_some() {
            self.groups_skipped += 1;
        } else {
            self.tables_skipped += 1;
        }
        if self.skipped.len() < SKIPPED_TOLD_MAX {
            self.skipped.push(skipped);
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Skipped { segment, family, group, why } in &self.skipped {
            match group {
                Some(group) => writeln!(f, "skipped  segment {segment} {family}, rows group {group}: {why}")?,
                None => writeln!(f, "skipped  segment {segment} {family}: {why}")?,
            }
        }
        let told = self.skipped.len() as u64;
        let all = self.tables_skipped + self.groups_skipped;
        if all > told {
            writeln!(f, "skipped  {} more", all - told)?;
        }
        writeln!(
            f,
            "segments {}: tables {} read, {} skipped, {} removed by retention; groups of rows {} read, {} skipped",
            self.segments,
            self.tables_read,
            self.tables_skipped,
            self.tables_removed,
            self.groups_read,
            self.groups_skipped
        )?;
        write!(
            f,
            "rows {} read; log files {} with {} records; found {}",
            self.rows_read, self.log_files, self.log_records, self.found
        )
    }
}
