//! What a ledger or bundle holds at one moment: sealed segments, and log files that are not sealed yet.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::LedgerError;
use crate::identity::Identity;
use crate::retention::Horizon;
use crate::segment::{self, Segment};
use crate::wal::{self, WalReader};

#[derive(Debug)]
pub(crate) struct Snapshot {
    /// In order.
    pub(crate) segments: Vec<Segment>,
    /// In order; the records of none are in a segment too.
    pub(crate) logs: Vec<Log>,
    /// Manifests, and what retention wrote, that cannot be read, and why: what the segments of those hold is left out.
    pub(crate) damaged: Vec<LedgerError>,
}

/// An open log file, which stays readable when it is sealed and removed.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

impl Log {
    /// Reads it from the beginning.
    pub(crate) fn reader(&self) -> Result<WalReader, LedgerError> {
        WalReader::of(wal::reopen(&self.file, &self.path)?, &self.path)
    }
}

impl Snapshot {
    pub(crate) fn take(dir: &Path) -> Result<Self, LedgerError> {
        if Identity::read(dir)?.is_none() {
            return Err(LedgerError::NoLedger { path: dir.to_owned(), why: "it has no ledger.json" });
        }
        // Log files are opened before segments are listed: what is sealed meanwhile is then met in one of the two.
        let opened = wal::open_all(dir)?;
        let (mut segments, mut damaged) = (Vec::new(), Vec::new());
        let mut sealed = match Horizon::read(dir) {
            Err(error) if error.is_damage() => {
                damaged.push(error);
                0
            }
            horizon => horizon?.map_or(0, |horizon| horizon.frames.last),
        };
        for (_, path) in segment::list(dir)? {
            let segment = match Segment::read(&path) {
                Ok(Some(segment)) => segment,
                Ok(None) => continue,
                Err(error) if error.is_damage() => {
                    damaged.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            sealed = sealed.max(segment.manifest.frames.last);
            segments.push(segment);
        }
        let mut logs = Vec::new();
        for (file, path) in opened {
            let log = Log { file, path };
            if log.reader()?.header().position.next_sequence > sealed {
                logs.push(log);
            }
        }
        Ok(Self { segments, logs, damaged })
    }
}
