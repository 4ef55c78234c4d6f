//! What sinks could not deliver.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::Fixed;

#[derive(Debug)]
pub(super) struct SinkFamilies {
    offered: Family<Fixed<1>, Counter>,
    written: Family<Fixed<1>, Counter>,
    dropped: Family<Fixed<1>, Counter>,
    errors: Family<Fixed<1>, Counter>,
}

impl SinkFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self {
            offered: Family::default(),
            written: Family::default(),
            dropped: Family::default(),
            errors: Family::default(),
        };
        registry.register(
            "sink_offered",
            "Records that a sink with a queue was to deliver: those that are neither written nor dropped wait in it",
            families.offered.clone(),
        );
        registry.register("sink_written", "Records a sink has handed on", families.written.clone());
        registry.register(
            "sink_dropped",
            "Records a sink did not deliver: its queue was full, or it stopped with records left",
            families.dropped.clone(),
        );
        registry.register(
            "sink_errors",
            "Failed writes of a sink; what was not written is tried again",
            families.errors.clone(),
        );
        families
    }

    pub(super) fn of(&self, sink: &'static str) -> SinkCounters {
        let labels = [("sink", sink)];
        SinkCounters {
            sink,
            offered: self.offered.clone(),
            written: self.written.get_or_create_owned(&labels),
            dropped: self.dropped.get_or_create_owned(&labels),
            errors: self.errors.get_or_create_owned(&labels),
        }
    }
}

/// The counters of one sink; clones count into the same series.
#[derive(Clone, Debug)]
pub struct SinkCounters {
    pub(crate) sink: &'static str,
    offered: Family<Fixed<1>, Counter>,
    pub(crate) written: Counter,
    pub(crate) dropped: Counter,
    pub(crate) errors: Counter,
}

impl SinkCounters {
    /// Value of the label `sink`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.sink
    }

    /// What the sink is to deliver; a series of it is there from now on.
    pub(crate) fn offered(&self) -> Counter {
        self.offered.get_or_create_owned(&[("sink", self.sink)])
    }

    /// Records handed on.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.get()
    }

    /// Records not delivered.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Failed writes.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.get()
    }
}
