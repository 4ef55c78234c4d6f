//! The write-ahead log: files of frames, of which the newest is written to.

mod header;
mod reader;
mod writer;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use crate::error::{At as _, LedgerError};

pub(crate) use self::header::WalHeader;
pub(crate) use self::reader::{Fault, Frame, FramePlace, WalReader};
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
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

/// Opens the log files of a ledger, in order. Whoever opens them before listing segments meets each frame in one of the
/// two at least.
pub(crate) fn open_all(ledger: &Path) -> Result<Vec<(File, PathBuf)>, LedgerError> {
    let mut files = Vec::new();
    for (_, path) in list(ledger)? {
        match File::open(&path) {
            Ok(file) => files.push((file, path)),
            // Sealed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(LedgerError::Io { what: "cannot open", path, source }),
        }
    }
    Ok(files)
}

/// Another handle on the same file with a position of its own, even if the name has gone.
pub(crate) fn reopen(file: &File, path: &Path) -> Result<File, LedgerError> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).at("cannot open", path)
}
