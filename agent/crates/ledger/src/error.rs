//! What can go wrong with a ledger.

use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Whoever searched does not wait any more.
    #[error("the search was stopped")]
    Stopped,
    /// The system refused something of a file.
    #[error("{what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process has the ledger open for writing.
    #[error("{path} is the ledger of another running agent: its lock is held")]
    Locked {
        /// The ledger's directory.
        path: PathBuf,
    },
    /// The directory is of a format that this version does not know.
    #[error("{path}: format {found}, expected at most {expected}: it was written by a newer version")]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known.
        expected: u32,
    },
    /// The directory has no ledger.
    #[error("{path} is no ledger: {why}")]
    NoLedger {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        why: &'static str,
    },
    /// A file does not have the form that it has to have.
    #[error("{path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The Parquet library refused something.
    #[error("{path}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's answer.
        source: parquet::errors::ParquetError,
    },
    /// Nothing may be written after an earlier failure until the log is opened again.
    #[error("{path}: an earlier write failed half-way and could not be taken back")]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// Signing or making a key failed.
    #[error("{path}: {why}")]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl LedgerError {
    pub(crate) fn malformed(path: &Path, why: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), why: why.into() }
    }

    /// The system's answer, where that is what went wrong.
    #[must_use]
    pub const fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether a file was read and is not what was written to it, or could not be read any more.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Malformed { .. } | Self::Parquet { .. } => true,
            Self::Io { source, .. } => {
                source.kind() == io::ErrorKind::UnexpectedEof
                    || source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
            }
            _ => false,
        }
    }

    /// The message with that of its cause behind it.
    #[must_use]
    pub fn in_full(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// Whether a file is not there: retention takes the oldest, also from under those who read.
    pub(crate) fn is_gone(&self) -> bool {
        self.io().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    }
}

/// Adds what was tried on which file.
pub(crate) trait At<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, LedgerError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, LedgerError> {
        self.map_err(|source| LedgerError::Io { what, path: path.to_owned(), source })
    }
}

/// Adds the file.
pub(crate) trait InFile<T> {
    fn in_file(self, path: &Path) -> Result<T, LedgerError>;
}

impl<T> InFile<T> for Result<T, parquet::errors::ParquetError> {
    fn in_file(self, path: &Path) -> Result<T, LedgerError> {
        self.map_err(|source| LedgerError::Parquet { path: path.to_owned(), source })
    }
}
