//! What remote write counts; at 0 where nothing is sent.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::Fixed;

/// The counters of remote write; clones count into the same series.
#[derive(Clone, Debug)]
pub(crate) struct RemoteWriteCounters {
    pub(crate) sent: Counter,
    pub(crate) dropped: Counter,
    pub(crate) refused: Counter,
    pub(crate) errors: Counter,
    pub(crate) queued_bytes: Gauge,
}

impl RemoteWriteCounters {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let samples = Family::<Fixed<1>, Counter>::default();
        let of = |outcome| samples.get_or_create_owned(&[("outcome", outcome)]);
        let counters = Self {
            sent: of("sent"),
            dropped: of("dropped"),
            refused: of("refused"),
            errors: Counter::default(),
            queued_bytes: Gauge::default(),
        };
        registry.register(
            "remote_write_samples",
            "Samples of remote write by what became of them: sent, dropped because the queue was full, refused by the server",
            samples,
        );
        registry.register(
            "remote_write_errors",
            "Requests of remote write that failed and are tried again",
            counters.errors.clone(),
        );
        registry.register(
            "remote_write_queued_bytes",
            "Compressed bytes that wait to be sent by remote write",
            counters.queued_bytes.clone(),
        );
        counters
    }
}
