//! What is known of the frames of log files, so that a search reads those alone that may have what it wants.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchfire_model::WallTime;

use super::explain::Explanation;
use super::stop::StopSign;
use super::wal::time_of;
use crate::error::{At as _, LedgerError};
use crate::snapshot::Log;
use crate::wal::{FramePlace, WalReader};

/// A frame with the times of its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameTimes {
    pub(super) place: FramePlace,
    pub(super) earliest: WallTime,
    pub(super) latest: WallTime,
    /// Numbers of the first and the last record.
    pub(super) numbers: (u64, u64),
}

/// The frames of one log file up to where it was read.
#[derive(Clone, Default, Debug)]
pub(super) struct LogFrames {
    /// In the order of the file. Those without records are not among them.
    pub(super) frames: Vec<FrameTimes>,
    records: u64,
    /// Where the first frame begins that was not read.
    end: Option<FramePlace>,
}

/// Device, inode and first frame of a log file: a file of the next ledger may have the inode of one that went.
type FileId = (u64, u64, u64);

/// Frames of log files, kept from search to search by a process that searches the same ledger again and again: log files
/// only grow, so what was read of them stays true.
#[derive(Default, Debug)]
pub struct LogIndex(Mutex<HashMap<FileId, Arc<Mutex<LogFrames>>>>);

impl LogIndex {
    /// Brings what is known of the file up to date, and tells the frames that may have records of the time.
    pub(super) fn frames(
        &self,
        log: &Log,
        explanation: &mut Explanation,
        stop: &StopSign,
    ) -> Result<Vec<FrameTimes>, LedgerError> {
        let metadata = log.file.metadata().at("cannot look at", &log.path)?;
        let reader = log.reader()?;
        let id = (metadata.dev(), metadata.ino(), reader.header().position.next_sequence);
        let known = Arc::clone(lock(&self.0).entry(id).or_default());
        let mut known = lock(&known);
        known.extend(reader, explanation, stop)?;
        Ok(known.frames.clone())
    }

    /// Forgets files that are no longer there.
    pub(super) fn keep(&self, logs: &[Log]) {
        let ids: Vec<(u64, u64)> = (logs.iter())
            .filter_map(|log| log.file.metadata().ok())
            .map(|metadata| (metadata.dev(), metadata.ino()))
            .collect();
        lock(&self.0).retain(|(device, inode, _), _| ids.contains(&(*device, *inode)));
    }
}

impl LogFrames {
    /// Reads what was not read yet. What stands behind a frame that is damaged, or still being written, is looked at again
    /// next time.
    pub(super) fn extend(
        &mut self,
        mut reader: WalReader,
        explanation: &mut Explanation,
        stop: &StopSign,
    ) -> Result<(), LedgerError> {
        if let Some(end) = self.end {
            reader.go_to(end)?;
        }
        loop {
            stop.check()?;
            let place = reader.place();
            self.end = Some(place);
            match reader.next()? {
                None => break,
                Some(Err(fault)) => {
                    explanation.unreadable.push(fault.to_string());
                    break;
                }
                Some(Ok(frame)) => {
                    self.records += u64::from(frame.facts.records);
                    let times = frame.records().map(|(_, line)| time_of(line, frame.facts.wall_ns));
                    let range = times.fold(None, |range, time| {
                        let (earliest, latest) = range.unwrap_or((time, time));
                        Some((time.min(earliest), time.max(latest)))
                    });
                    if let Some((earliest, latest)) = range {
                        let first = frame.facts.first_record;
                        let numbers = (first, first + u64::from(frame.facts.records) - 1);
                        self.frames.push(FrameTimes { place, earliest, latest, numbers });
                    }
                }
            }
        }
        explanation.log_records += self.records;
        Ok(())
    }

    /// The times of the earliest and the latest record; none if there is no record.
    pub(super) fn range(&self) -> Option<(WallTime, WallTime)> {
        let earliest = self.frames.iter().map(|frame| frame.earliest).min()?;
        let latest = self.frames.iter().map(|frame| frame.latest).max()?;
        Some((earliest, latest))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
