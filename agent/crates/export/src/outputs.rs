//! Everything a record leaves through, behind one call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use watchfire_model::Record;

use crate::{EncodedRecord, Encoder, JsonLinesSink, LedgerSink, Metrics, ObserveHub};

/// The outward side of the pipeline. Publishing never waits for a sink.
#[derive(Debug)]
pub struct Outputs {
    metrics: Metrics,
    encoder: Encoder,
    encoded: Vec<EncodedRecord>,
    sinks: Vec<JsonLinesSink>,
    ledger: Option<LedgerSink>,
    hub: Option<Arc<ObserveHub>>,
}

impl Outputs {
    /// Without sinks and without a hub, records are counted and not encoded.
    #[must_use]
    pub fn new(metrics: Metrics, sinks: Vec<JsonLinesSink>, hub: Option<Arc<ObserveHub>>) -> Self {
        Self { metrics, encoder: Encoder::new(), encoded: Vec::new(), sinks, ledger: None, hub }
    }

    /// The same with a ledger.
    #[must_use]
    pub fn with_ledger(self, ledger: Option<LedgerSink>) -> Self {
        Self { ledger, ..self }
    }

    /// Counts the records, encodes each once and hands them to every sink and observer.
    pub fn publish(&mut self, records: &[Record]) {
        self.metrics.observe_all(records);
        if self.sinks.is_empty() && self.ledger.is_none() && self.hub.is_none() {
            return;
        }
        self.encoded.extend(records.iter().map(|record| self.encoder.encode(record)));
        for sink in &self.sinks {
            sink.send(&self.encoded);
        }
        // Before observers, who are told the number that a record has there.
        if let Some(ledger) = &self.ledger {
            ledger.send(&mut self.encoded);
        }
        if let Some(hub) = &self.hub {
            hub.publish(&self.encoded);
        }
        self.encoded.clear();
    }

    /// Stops the sinks, each at most that long; says whether all wrote what was queued in time.
    #[must_use]
    pub fn stop(self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let is_recorded = self.ledger.is_none_or(|ledger| ledger.stop(within));
        let within = deadline.saturating_duration_since(Instant::now());
        let stopped: Vec<_> = self.sinks.into_iter().map(|sink| sink.stop(within)).collect();
        is_recorded && stopped.into_iter().all(|in_time| in_time)
    }
}
