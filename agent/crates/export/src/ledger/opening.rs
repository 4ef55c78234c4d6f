//! A ledger that cannot be opened yet: to begin one, and to recover what a crash left, takes a little room on its disk.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use watchfire_ledger::{Ledger, LedgerConfig, LedgerError};

use super::{LedgerFacts, Opened};
use crate::sink_queue::{Patience, SinkQueue};

/// How long until a ledger that could not be opened is tried again.
pub const LEDGER_OPEN_RETRY_SECONDS: u64 = 5;

/// Whether a ledger can be opened later, as its disk is full or read-only now.
pub(super) fn why_later(error: &LedgerError) -> Option<&'static str> {
    match error.io()?.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("its disk is full"),
        io::ErrorKind::ReadOnlyFilesystem => Some("its file system is read-only"),
        _ => None,
    }
}

/// What is needed to open it.
pub(super) struct Opening {
    pub(super) config: LedgerConfig,
    pub(super) facts: LedgerFacts,
}

impl Opening {
    /// Opens it, and tells what was found.
    pub(super) fn open(&self) -> Result<Ledger, LedgerError> {
        let LedgerFacts { counters, failing, opened, dir, queue } = &self.facts;
        let (ledger, recovery) =
            Ledger::open(self.config.clone()).inspect_err(|_| _ = counters.errors.inc())?;
        for damage in &recovery.damage {
            tracing::error!(damage, "the ledger is damaged; what cannot be read is set aside");
        }
        let head = ledger.stats().head();
        tracing::info!(
            dir = %dir.display(),
            segments = recovery.segments,
            log_records = recovery.records,
            torn_bytes = recovery.torn_bytes,
            frame = head.sequence,
            head = %head.hash,
            key = %ledger.public_key(),
            "ledger opened"
        );
        failing.store(false, Ordering::Relaxed);
        queue.number_from(ledger.stats().last_record.get() + 1);
        _ = opened.set(Opened {
            id: ledger.identity().id,
            public_key: *ledger.public_key(),
            stats: ledger.stats().clone(),
            shipment: ledger.shipment().cloned(),
        });
        Ok(ledger)
    }

    /// Tries again and again, while records wait in the queue. None where that is closed before: then what waited is lost.
    pub(super) fn insist(&self, first: &LedgerError, queue: &SinkQueue) -> Option<Ledger> {
        let mut told = self.tell(first, "");
        loop {
            let is_last = queue.closed_within(Duration::from_secs(LEDGER_OPEN_RETRY_SECONDS));
            match self.open() {
                Ok(ledger) => return Some(ledger),
                Err(error) if is_last => {
                    self.tell(&error, "");
                    self.drop_waiting(queue);
                    return None;
                }
                Err(error) => told = self.tell(&error, &told),
            }
        }
    }

    /// Says what is wrong, if it is something else than before.
    fn tell(&self, error: &LedgerError, before: &str) -> String {
        let text = error.in_full();
        if text != before {
            self.facts.failing.store(true, Ordering::Relaxed);
            tracing::error!(
                why = why_later(error).unwrap_or("an error"),
                error = text,
                retry_seconds = LEDGER_OPEN_RETRY_SECONDS,
                "the ledger cannot be opened; records wait in its queue, are dropped when it is full, and it is tried again"
            );
        }
        text
    }

    fn drop_waiting(&self, queue: &SinkQueue) {
        while let Some(taken) = queue.take(Default::default(), Patience::UntilAny(None)) {
            self.facts.counters.dropped.inc_by(taken.records.len() as u64);
        }
    }
}
