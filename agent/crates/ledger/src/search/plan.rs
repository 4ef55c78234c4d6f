//! Which tables and log files a search has to look at.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use watchfire_model::WallTime;

use super::explain::{Explanation, Skipped};
use super::table::TableCursor;
use super::wal::{WalCursor, time_range};
use super::{Cursor, SearchQuery};
use crate::error::LedgerError;
use crate::family::Family;
use crate::identity::Identity;
use crate::retention::Horizon;
use crate::segment::{self, Segment};
use crate::wal::{self as log, WalReader};

/// Something with records, not yet opened.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) earliest: WallTime,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Table { segment: u64, family: Family, path: PathBuf },
    Wal { file: File, path: PathBuf },
}

impl Source {
    /// None where it went meanwhile: retention takes the oldest first, and so do searches.
    pub(super) fn open(
        self,
        query: &SearchQuery,
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
            Place::Wal { file, path } => {
                WalCursor::read(file, &path, query).map(|cursor| Some(Cursor::Wal(cursor)))
            }
        }
    }
}

fn is_gone(error: &LedgerError) -> bool {
    error.io().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The sources that may have what is wanted, the earliest last.
pub(super) fn plan(
    dir: &Path,
    query: &SearchQuery,
    explanation: &mut Explanation,
) -> Result<Vec<Source>, LedgerError> {
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
    for (file, path) in logs {
        let reader = WalReader::of(log::reopen(&file, &path)?, &path)?;
        if reader.header().position.next_sequence <= sealed {
            continue;
        }
        explanation.log_files += 1;
        let Some((earliest, latest)) = time_range(reader, explanation)? else { continue };
        let is_old = query.since.is_some_and(|since| latest < since);
        let is_new = query.until.is_some_and(|until| earliest > until);
        if !is_old && !is_new {
            sources.push(Source { earliest, place: Place::Wal { file, path } });
        }
    }
    sources.sort_by_key(|source| std::cmp::Reverse(source.earliest));
    Ok(sources)
}
