//! Writes frames to the end of a log file. A write that fails half-way is taken back.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Position, WAL_DIR, WalHeader, file_name};
use crate::error::{At as _, LedgerError};
use crate::files::{self, FILE_MODE};
use crate::frame::FrameWriter;
use crate::hash::FrameFacts;

/// What a file is called until its head is written.
pub(crate) const UNFINISHED: &str = "new";

/// The open log file.
#[derive(Debug)]
pub(crate) struct WalWriter {
    path: PathBuf,
    file: File,
    frames: FrameWriter,
    position: Position,
    /// Up to here everything is whole frames.
    bytes: u64,
    payload_bytes: u64,
    unsynced: Option<Unsynced>,
    begun: Instant,
    broken: bool,
}

/// What a loss of power would cost.
#[derive(Clone, Copy, Debug)]
struct Unsynced {
    since: Instant,
    bytes: u64,
}

impl WalWriter {
    /// A new file, which is there as a whole or not at all.
    pub(crate) fn create(ledger: &Path, header: &WalHeader) -> Result<Self, LedgerError> {
        let dir = ledger.join(WAL_DIR);
        files::make_dir(&dir)?;
        let unfinished = dir.join(UNFINISHED);
        let path = dir.join(file_name(header.position.next_sequence));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let mut file = options.open(&unfinished).at("cannot create", &unfinished)?;
        file.write_all(&header.write()).at("cannot write", &unfinished)?;
        file.sync_all().at("cannot sync", &unfinished)?;
        fs::rename(&unfinished, &path).at("cannot rename to", &path)?;
        files::sync_dir(&dir)?;
        Ok(Self::at_end(path, file, header.position, WalHeader::BYTES as u64, 0))
    }

    /// Goes on with a file that has whole frames up to `bytes` and nothing behind.
    pub(crate) fn resume(
        path: PathBuf,
        position: Position,
        bytes: u64,
        payload_bytes: u64,
    ) -> Result<Self, LedgerError> {
        let mut file = OpenOptions::new().write(true).open(&path).at("cannot open", &path)?;
        file.seek(SeekFrom::Start(bytes)).at("cannot seek in", &path)?;
        Ok(Self::at_end(path, file, position, bytes, payload_bytes))
    }

    fn at_end(path: PathBuf, file: File, position: Position, bytes: u64, payload_bytes: u64) -> Self {
        Self {
            path,
            file,
            frames: FrameWriter::new(),
            position,
            bytes,
            payload_bytes,
            unsynced: None,
            begun: Instant::now(),
            broken: false,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Bytes of the file.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of lines in the file.
    pub(crate) const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    pub(crate) const fn begun(&self) -> Instant {
        self.begun
    }

    /// Since when, and how many bytes of the file, could be lost with the power.
    pub(crate) fn at_risk(&self) -> Option<(Instant, u64)> {
        self.unsynced.map(|unsynced| (unsynced.since, unsynced.bytes))
    }

    /// Writes one frame of these lines. On an error nothing of it is in the file.
    pub(crate) fn append(&mut self, payload: &[u8], records: u32, wall_ns: i64) -> Result<(), LedgerError> {
        if self.broken {
            self.take_back()?;
        }
        let payload_bytes = u32::try_from(payload.len()).expect("frames are cut below 16 MiB");
        let facts = FrameFacts {
            sequence: self.position.next_sequence,
            first_record: self.position.next_record,
            records,
            payload_bytes,
            wall_ns,
        };
        let (frame, hash) = self.frames.write(&facts, &self.position.previous, payload);
        let frame_bytes = frame.len() as u64;
        if let Err(source) = self.file.write_all(frame) {
            self.broken = true;
            // If not now, then before the next frame.
            _ = self.take_back();
            return Err(LedgerError::Io { what: "cannot write", path: self.path.clone(), source });
        }
        self.bytes += frame_bytes;
        self.payload_bytes += u64::from(payload_bytes);
        self.position = Position {
            next_sequence: facts.sequence + 1,
            next_record: facts.first_record + u64::from(records),
            previous: hash,
        };
        let unsynced = self.unsynced.get_or_insert(Unsynced { since: Instant::now(), bytes: 0 });
        unsynced.bytes += frame_bytes;
        Ok(())
    }

    /// Makes everything appended outlast a loss of power.
    pub(crate) fn sync(&mut self) -> Result<(), LedgerError> {
        if self.unsynced.is_some() {
            self.file.sync_data().at("cannot sync", &self.path)?;
            self.unsynced = None;
        }
        Ok(())
    }

    /// Whether somebody removed the file: what is written to it is lost.
    pub(crate) fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    fn take_back(&mut self) -> Result<(), LedgerError> {
        let cut = self.file.set_len(self.bytes).and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
        if cut.is_err() {
            return Err(LedgerError::Broken { path: self.path.clone() });
        }
        self.broken = false;
        Ok(())
    }
}
