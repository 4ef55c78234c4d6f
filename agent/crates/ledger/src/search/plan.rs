//! Which tables and log files a search has to look at.

use std::path::{Path, PathBuf};

use watchfire_model::WallTime;

use super::explain::{Explanation, Skipped};
use super::log::LogIndex;
use super::stop::StopSign;
use super::table::TableCursor;
use super::wal::WalCursor;
use super::{Cursor, SearchQuery};
use crate::error::LedgerError;
use crate::family::Family;
use crate::segment::{FrameRange, Segment, TableSum};
use crate::snapshot::Snapshot;
use crate::wal::{FramePlace, WalReader};

/// Where to look.
pub(super) struct Plan {
    /// What may have what is wanted, the earliest last.
    pub(super) sources: Vec<Source>,
    /// The log files that some of them are frames of.
    pub(super) logs: Vec<WalReader>,
}

/// Something with records, not yet opened.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) earliest: WallTime,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Table {
        segment: u64,
        family: Family,
        path: PathBuf,
        sum: TableSum,
    },
    /// A frame of the log file at this place of the plan's.
    Frame {
        log: usize,
        place: FramePlace,
    },
}

impl Source {
    /// None where it went meanwhile: retention takes the oldest first, and so do searches. None too where it is damaged,
    /// which is told.
    pub(super) fn open(
        self,
        query: &SearchQuery,
        logs: &mut [WalReader],
        explanation: &mut Explanation,
    ) -> Result<Option<Cursor>, LedgerError> {
        match self.place {
            Place::Table { segment, family, path, sum } => {
                match TableCursor::open(&path, &sum, segment, family, query) {
                    Ok(cursor) => {
                        explanation.tables_read += 1;
                        Ok(Some(Cursor::Table(Box::new(cursor))))
                    }
                    Err(error) if error.is_gone() => {
                        explanation.tables_removed += 1;
                        Ok(None)
                    }
                    Err(error) if error.is_damage() => {
                        explanation.tell_damage(&error);
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
            Place::Frame { log, place } => {
                Ok(WalCursor::read(&mut logs[log], place, query)?.map(Cursor::Wal))
            }
        }
    }
}

/// The sources that may have what is wanted, the earliest last.
pub(super) fn plan(
    dir: &Path,
    query: &SearchQuery,
    index: &LogIndex,
    explanation: &mut Explanation,
    stop: &StopSign,
) -> Result<Plan, LedgerError> {
    let Snapshot { segments, logs, damaged } = Snapshot::take(dir)?;
    for error in &damaged {
        explanation.tell_damage(error);
    }
    let mut sources = Vec::new();
    for Segment { dir, manifest, .. } in segments {
        explanation.segments += 1;
        let FrameRange { first_record, last_record, .. } = manifest.frames;
        explanation.oldest.get_or_insert(first_record);
        for (family, table) in &manifest.tables {
            let skip = |why| Skipped { segment: manifest.segment, family: *family, group: None, why };
            if !query.families.contains(*family) {
                explanation.skip(skip("not asked for"));
            } else if query.since.is_some_and(|since| table.latest < since) {
                explanation.skip(skip("all of it is older"));
            } else if query.until.is_some_and(|until| table.earliest > until) {
                explanation.skip(skip("all of it is newer"));
            } else if !query.numbers.overlaps(first_record, last_record) {
                explanation.skip(skip("its numbers are not asked for"));
            } else {
                let path = dir.join(family.file_name());
                let place = Place::Table { segment: manifest.segment, family: *family, path, sum: *table };
                sources.push(Source { earliest: table.earliest, place });
            }
        }
    }
    index.keep(&logs);
    let mut open_logs = Vec::new();
    for log in logs {
        explanation.log_files += 1;
        let at = open_logs.len();
        for frame in index.frames(&log, explanation, stop)? {
            let is_old = query.since.is_some_and(|since| frame.latest < since);
            let is_new = query.until.is_some_and(|until| frame.earliest > until);
            let (first, last) = frame.numbers;
            explanation.oldest.get_or_insert(first);
            if !is_old && !is_new && query.numbers.overlaps(first, last) {
                let place = Place::Frame { log: at, place: frame.place };
                sources.push(Source { earliest: frame.earliest, place });
            }
        }
        open_logs.push(log.reader()?);
    }
    sources.sort_by_key(|source| std::cmp::Reverse(source.earliest));
    Ok(Plan { sources, logs: open_logs })
}
