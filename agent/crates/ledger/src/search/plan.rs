//! Which tables and log files a search has to look at.

use std::io;
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
use crate::identity::Identity;
use crate::retention::Horizon;
use crate::segment::{self, Segment};
use crate::wal::{self as log, FramePlace, WalReader};

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
    },
    /// A frame of the log file at this place of the plan's.
    Frame {
        log: usize,
        place: FramePlace,
    },
}

impl Source {
    /// None where it went meanwhile: retention takes the oldest first, and so do searches.
    pub(super) fn open(
        self,
        query: &SearchQuery,
        logs: &mut [WalReader],
        explanation: &mut Explanation,
    ) -> Result<Option<Cursor>, LedgerError> {
        match self.place {
            Place::Table { segment, family, path } => {
                match TableCursor::open(&path, segment, family, query) {
                    Ok(cursor) => {
                        explanation.tables_read += 1;
                        Ok(Some(Cursor::Table(Box::new(cursor))))
                    }
                    Err(error) if is_gone(&error) => {
                        explanation.tables_removed += 1;
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

fn is_gone(error: &LedgerError) -> bool {
    error.io().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

pub(super) fn plan(
    dir: &Path,
    query: &SearchQuery,
    index: &LogIndex,
    explanation: &mut Explanation,
    stop: &StopSign,
) -> Result<Plan, LedgerError> {
    if Identity::read(dir)?.is_none() {
        return Err(LedgerError::NoLedger { path: dir.to_owned(), why: "it has no ledger.json" });
    }
    // Log files are opened before segments are listed: what is sealed meanwhile is then met in one of the two.
    let logs = log::open_all(dir)?;
    let mut sources = Vec::new();
    let mut sealed = Horizon::read(dir)?.map_or(0, |horizon| horizon.frames.last);
    for (number, path) in segment::list(dir)? {
        let Some(segment) = Segment::read(&path)? else { continue };
        explanation.segments += 1;
        sealed = sealed.max(segment.manifest.frames.last);
        for (family, table) in &segment.manifest.tables {
            let skip = |why| Skipped { segment: number, family: *family, group: None, why };
            if !query.families.contains(*family) {
                explanation.skip(skip("not asked for"));
            } else if query.since.is_some_and(|since| table.latest < since) {
                explanation.skip(skip("all of it is older"));
            } else if query.until.is_some_and(|until| table.earliest > until) {
                explanation.skip(skip("all of it is newer"));
            } else {
                let path = path.join(family.file_name());
                let place = Place::Table { segment: number, family: *family, path };
                sources.push(Source { earliest: table.earliest, place });
            }
        }
    }
    index.keep(&logs);
    let mut open_logs = Vec::new();
    for (file, path) in logs {
        let reader = WalReader::of(log::reopen(&file, &path)?, &path)?;
        if reader.header().position.next_sequence <= sealed {
            continue;
        }
        explanation.log_files += 1;
        let log = open_logs.len();
        for frame in index.frames(&file, &path, reader, explanation, stop)? {
            let is_old = query.since.is_some_and(|since| frame.latest < since);
            let is_new = query.until.is_some_and(|until| frame.earliest > until);
            if !is_old && !is_new {
                let place = Place::Frame { log, place: frame.place };
                sources.push(Source { earliest: frame.earliest, place });
            }
        }
        open_logs.push(WalReader::of(log::reopen(&file, &path)?, &path)?);
    }
    sources.sort_by_key(|source| std::cmp::Reverse(source.earliest));
    Ok(Plan { sources, logs: open_logs })
}
