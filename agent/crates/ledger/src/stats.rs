//! What a ledger counts; read by whoever shows it while the ledger works.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::hash::ChainHash;

/// The newest frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its number; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: ChainHash,
}

/// The end of the newest sealed segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealedHead {
    /// Number of the segment.
    pub segment: u64,
    /// Its last frame.
    pub head: Head,
}

/// Counters since the ledger was opened, and what it holds now.
#[derive(Debug)]
pub struct Stats {
    head: Mutex<Head>,
    sealed_head: Mutex<Option<SealedHead>>,
    /// Frames written.
    pub frames: Count,
    /// Records written.
    pub records: Count,
    /// Number of the newest record.
    pub last_record: Count,
    /// Bytes of lines written.
    pub payload_bytes: Count,
    /// Bytes written to the log.
    pub wal_bytes: Count,
    /// Bytes written into segments.
    pub segment_bytes: Count,
    /// Times that the log was synced.
    pub syncs: Count,
    /// Segments sealed.
    pub sealed: Count,
    /// Times that sealing failed; it is tried again.
    pub seal_failures: Count,
    /// Times that the newest frame was signed.
    pub heads_signed: Count,
    /// Times that signing it failed; it is tried again.
    pub head_failures: Count,
    /// Times that a log file was found damaged.
    pub damaged: Count,
    /// Segments of which retention left the findings alone.
    pub thinned: Count,
    /// Segments that retention removed.
    pub removed: Count,
    /// Records that retention removed.
    pub removed_records: Count,
    /// Bytes on disk now.
    pub stored_bytes: Count,
    /// Sealed segments on disk now.
    pub segments: Count,
    /// Segments that are too old by the wall clock, and stay since the ledger was not open for so long.
    pub held: Count,
    /// Log files that wait to be sealed.
    pub unsealed_files: Count,
}

impl Stats {
    pub(crate) fn new(head: Head, sealed: Option<SealedHead>) -> Self {
        Self {
            head: Mutex::new(head),
            sealed_head: Mutex::new(sealed),
            frames: Count::default(),
            records: Count::default(),
            last_record: Count::default(),
            payload_bytes: Count::default(),
            wal_bytes: Count::default(),
            segment_bytes: Count::default(),
            syncs: Count::default(),
            sealed: Count::default(),
            seal_failures: Count::default(),
            heads_signed: Count::default(),
            head_failures: Count::default(),
            damaged: Count::default(),
            thinned: Count::default(),
            removed: Count::default(),
            removed_records: Count::default(),
            stored_bytes: Count::default(),
            segments: Count::default(),
            held: Count::default(),
            unsealed_files: Count::default(),
        }
    }

    /// The newest frame.
    #[must_use]
    pub fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of the newest sealed segment, if there ever was one.
    #[must_use]
    pub fn sealed_head(&self) -> Option<SealedHead> {
        *self.sealed_head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_sealed_head(&self, sealed: SealedHead) {
        *self.sealed_head.lock().unwrap_or_else(PoisonError::into_inner) = Some(sealed);
    }

    pub(crate) fn set_head(&self, head: Head) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

/// One number.
#[derive(Default, Debug)]
pub struct Count(AtomicU64);

impl Count {
    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}
