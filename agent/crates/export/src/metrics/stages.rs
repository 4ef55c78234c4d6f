//! The way of a record through the agent: how long it took, and how many went.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use rustix::time::{ClockId, clock_gettime};
use watchfire_model::{Record, RecordBody};

use super::labels::Fixed;
use crate::RecordType;

/// Upper bounds of the way's buckets, seconds: from one look at the rings to records that waited for who they are about.
const LATENCY_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const NS_PER_SECOND: f64 = 1_000_000_000.0;

#[derive(Debug)]
pub(super) struct StageMetrics {
    published: Family<Fixed<1>, Counter>,
    latency: Histogram,
}

impl StageMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { published: Family::default(), latency: Histogram::new(LATENCY_SECONDS) };
        registry.register(
            "records_published",
            "Records that left the pipeline for every sink, by type",
            metrics.published.clone(),
        );
        registry.register_with_unit(
            "record_latency",
            "From the moment that a record tells of, as the kernel saw it, to its way into the queues of the sinks",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        for of in RecordType::ALL {
            drop(metrics.published.get_or_create(&[("type", of.as_str())]));
        }
        metrics
    }

    /// `now_ns` is CLOCK_BOOTTIME.
    pub(super) fn observe(&self, record: &Record, now_ns: u64) {
        self.published.get_or_create(&[("type", RecordType::of(&record.body).as_str())]).inc();
        match record.body {
            // These tell of a span of time, not of a moment.
            RecordBody::Finding(_) | RecordBody::Loss(_) => {}
            _ => self.latency.observe(now_ns.saturating_sub(record.boot_ns) as f64 / NS_PER_SECOND),
        }
    }
}

/// Nanoseconds of CLOCK_BOOTTIME.
pub(super) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
