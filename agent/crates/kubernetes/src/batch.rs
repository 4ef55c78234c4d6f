//! Changes on their way to the inventory.

use std::mem;

use tokio::sync::mpsc::Sender;
use watchfire_inventory::{Change, Source, SourceBatch};

/// Changes that are sent at once.
pub const BATCH_CHANGES_MAX: usize = 256;

/// Nobody receives any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Closed;

/// Gathers changes. Whoever sends waits while the channel is full, and with it the server whose answer is being read.
#[derive(Debug)]
pub(crate) struct Batches {
    source: Source,
    sender: Sender<SourceBatch>,
    changes: Vec<Change>,
}

impl Batches {
    pub(crate) const fn new(source: Source, sender: Sender<SourceBatch>) -> Self {
        Self { source, sender, changes: Vec::new() }
    }

    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Sends if there is enough for a batch.
    pub(crate) async fn send_full(&mut self) -> Result<(), Closed> {
        if self.changes.len() < BATCH_CHANGES_MAX { Ok(()) } else { self.send().await }
    }

    /// Sends what there is.
    pub(crate) async fn send(&mut self) -> Result<(), Closed> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let changes = mem::take(&mut self.changes);
        self.sender.send(SourceBatch { source: self.source, changes }).await.map_err(|_| Closed)
    }
}
