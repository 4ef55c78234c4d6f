//! The write-ahead log: files of frames, of which the newest is written to.

mod header;
mod reader;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At as _, LedgerError};

pub(crate) use self::header::WalHeader;
pub(crate) use self::reader::{Fault, WalReader};
pub(crate) use self::writer::WalWriter;

/// The folder of the log within a ledger.
pub(crate) const WAL_DIR: &str = "wal";

const EXTENSION: &str = "wal";

/// Where a chain stands: what the next frame follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    pub(crate) next_sequence: u64,
    pub(crate) next_record: u64,
    pub(crate) previous: crate::ChainHash,
}

/// The name of the log file whose first frame has this number.
pub(crate) fn file_name(first_sequence: u64) -> String {
    format!("{first_sequence:020}.{EXTENSION}")
}

/// Paths and first frames of the log files of a ledger, in order.
pub(crate) fn list(ledger: &Path) -> Result<Vec<(u64, PathBuf)>, LedgerError> {
    let dir = ledger.join(WAL_DIR);
    let entries = match fs::read_dir(&dir) {
        // A bundle has no log.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("cannot list", &dir)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.at("cannot list", &dir)?.path();
        let is_log = path.extension().is_some_and(|extension| extension == EXTENSION);
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let (true, Some(first)) = (is_log, stem.and_then(|stem| stem.parse().ok())) {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}
