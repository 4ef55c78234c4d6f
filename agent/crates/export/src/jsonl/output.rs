//! The destinations as one type.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

use super::line_writer::Output;
use super::log_file::LogFile;
use super::{Destination, FILE_BYTES_MIN, FILES_MAX, LogFileConfig, SinkError};

/// Standard output or a log file.
#[derive(Debug)]
pub(super) enum AnyOutput {
    /// A duplicate of descriptor 1, so that no buffer of the standard library stands between.
    Stdout(File),
    File(LogFile),
}

impl AnyOutput {
    pub(super) fn open(destination: &Destination) -> Result<Self, SinkError> {
        match destination {
            Destination::Stdout => {
                let descriptor = io::stdout().as_fd().try_clone_to_owned().map_err(SinkError::Stdout)?;
                Ok(Self::Stdout(File::from(descriptor)))
            }
            Destination::File(config) => {
                check_limits(config)?;
                let open = LogFile::open(config.clone());
                open.map(Self::File).map_err(|source| SinkError::Open { path: config.path.clone(), source })
            }
        }
    }

    pub(super) fn is_torn(&self) -> bool {
        match self {
            Self::Stdout(_) => false,
            Self::File(file) => file.is_torn(),
        }
    }
}

fn check_limits(config: &LogFileConfig) -> Result<(), SinkError> {
    let limit =
        |what, value, expected| Err(SinkError::Limit { path: config.path.clone(), what, value, expected });
    if config.file_bytes_max < FILE_BYTES_MIN {
        return limit("size per file", config.file_bytes_max, format!("at least {FILE_BYTES_MIN} bytes"));
    }
    if config.files_max == 0 || config.files_max > FILES_MAX {
        return limit("number of files", config.files_max.into(), format!("1 to {FILES_MAX}"));
    }
    Ok(())
}

impl Output for AnyOutput {
    fn prepare(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File(file) => file.prepare(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn take_back(&mut self, bytes: usize) -> bool {
        match self {
            Self::Stdout(_) => false,
            Self::File(file) => file.take_back(bytes),
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        match self {
            Self::Stdout(_) => true,
            Self::File(file) => file.has_room(bytes),
        }
    }

    fn line_bytes_max(&self) -> u64 {
        match self {
            Self::Stdout(_) => u64::MAX,
            Self::File(file) => file.line_bytes_max(),
        }
    }

    fn turn_over(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File(file) => file.turn_over(),
        }
    }
}
