//! What an answer tells of itself to the audit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records in an answer; it may grow while the answer is sent.
#[derive(Clone, Default, Debug)]
pub(crate) struct RecordCount(Arc<AtomicU64>);

impl RecordCount {
    pub(crate) fn of(records: u64) -> Self {
        let count = Self::default();
        count.add(records);
        count
    }

    pub(crate) fn add(&self, records: u64) {
        self.0.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
