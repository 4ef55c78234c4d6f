//! Which tables and log files a search has to look at.

use std::path::{Path, PathBuf};

use watchfire_model::WallTime;

use super::explain::{Explanation, Skipped};
use super::table::TableCursor;
use super::wal::{WalCursor, time_range};
use super::{Cursor, SearchQuery};
use crate::error::LedgerError;
use crate::family::Family;
use crate::segment::Segment;
use crate::snapshot::{Log, Snapshot};

/// Something with records, not yet opened.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) earliest: WallTime,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Table { segment: u64, family: Family, path: PathBuf },
    Wal(Log),
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
                    Err(error) if error.is_gone() => {
                        explanation.tables_removed += 1;
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
            Place::Wal(log) => WalCursor::read(&log, query).map(|cursor| Some(Cursor::Wal(cursor))),
        }
    }
}

/// The sources that may have what is wanted, the earliest last.
pub(super) fn plan(
    dir: &Path,
    query: &SearchQuery,
    explanation: &mut Explanation,
) -> Result<Vec<Source>, LedgerError> {
    let Snapshot { segments, logs } = Snapshot::take(dir)?;
    let mut sources = Vec::new();
    for Segment { dir, manifest, .. } in segments {
        explanation.segments += 1;
        for (family, table) in &manifest.tables {
            let skip = |why| Skipped { segment: manifest.segment, family: *family, group: None, why };
            if !query.families.contains(*family) {
                explanation.skip(skip("not asked for"));
            } else if query.since.is_some_and(|since| table.latest < since) {
                explanation.skip(skip("all of it is older"));
            } else if query.until.is_some_and(|until| table.earliest > until) {
                explanation.skip(skip("all of it is newer"));
            } else {
                let path = dir.join(family.file_name());
                let place = Place::Table { segment: manifest.segment, family: *family, path };
                sources.push(Source { earliest: table.earliest, place });
            }
        }
    }
    for log in logs {
        explanation.log_files += 1;
        let Some((earliest, latest)) = time_range(log.reader()?, explanation)? else { continue };
        let is_old = query.since.is_some_and(|since| latest < since);
        let is_new = query.until.is_some_and(|until| earliest > until);
        if !is_old && !is_new {
            sources.push(Source { earliest, place: Place::Wal(log) });
        }
    }
    sources.sort_by_key(|source| std::cmp::Reverse(source.earliest));
    Ok(sources)
}
