//! How far the ledger is shipped.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::account::raise_to;
use super::labels::Fixed;

/// What whoever ships counts, and how things stand.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ShipTotals {
    /// Objects that were written, were there already, are there with another content, or cannot be written since their
    /// file is damaged.
    pub objects: [u64; 4],
    /// Attempts that failed and are repeated.
    pub failures: u64,
    /// Bytes of objects that were written.
    pub bytes: u64,
    /// Segments that were shipped.
    pub segments: u64,
    /// Records that retention removed before they were shipped.
    pub removed_records: u64,
    /// Sealed segments that wait.
    pub waiting_segments: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Age of the oldest of them, seconds.
    pub oldest_seconds: u64,
    /// When one was last shipped, seconds since 1970; 0 before the first.
    pub last_success: u64,
}

#[derive(Debug)]
pub(super) struct ShippingMetrics {
    objects: [Counter; 4],
    failures: Counter,
    bytes: Counter,
    segments: Counter,
    removed_records: Counter,
    waiting_segments: Gauge,
    waiting_bytes: Gauge,
    oldest_seconds: Gauge,
    last_success: Gauge,
}

impl ShippingMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let objects = Family::<Fixed<1>, Counter>::default();
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let metrics = Self {
            objects: ["written", "present", "conflict", "damaged"]
                .map(|result| objects.get_or_create_owned(&[("result", result)])),
            failures: counter(
                registry,
                "ledger_ship_failures",
                "Times that a segment of the ledger could not be shipped; it is tried again",
            ),
            bytes: counter(registry, "ledger_shipped_bytes", "Bytes written to the object store"),
            segments: counter(
                registry,
                "ledger_shipped_segments",
                "Segments of the ledger that got into the object store as a whole",
            ),
            removed_records: counter(
                registry,
                "ledger_unshipped_removed_records",
                "Records that retention took out of the ledger before they were shipped",
            ),
            waiting_segments: gauge(
                registry,
                "ledger_unshipped_segments",
                "Sealed segments of the ledger that are not in the object store yet",
            ),
            waiting_bytes: gauge(
                registry,
                "ledger_unshipped_bytes",
                "Bytes of sealed segments of the ledger that are not in the object store yet",
            ),
            oldest_seconds: gauge(
                registry,
                "ledger_unshipped_oldest_seconds",
                "Time since the oldest segment was sealed that is not in the object store yet",
            ),
            last_success: gauge(
                registry,
                "ledger_ship_last_success_seconds",
                "When a segment was last shipped, seconds since 1970; 0 before the first",
            ),
        };
        registry.register("ledger_ship_objects", "Objects of the ledger by what became of them", objects);
        metrics
    }

    pub(super) fn set(&self, totals: &ShipTotals) {
        let ShipTotals {
            objects,
            failures,
            bytes,
            segments,
            removed_records,
            waiting_segments,
            waiting_bytes,
            oldest_seconds,
            last_success,
        } = totals;
        for (counter, total) in self.objects.iter().zip(objects) {
            raise_to(counter, *total);
        }
        raise_to(&self.failures, *failures);
        raise_to(&self.bytes, *bytes);
        raise_to(&self.segments, *segments);
        raise_to(&self.removed_records, *removed_records);
        let set = |gauge: &Gauge, value: &u64| _ = gauge.set(i64::try_from(*value).unwrap_or(i64::MAX));
        set(&self.waiting_segments, waiting_segments);
        set(&self.waiting_bytes, waiting_bytes);
        set(&self.oldest_seconds, oldest_seconds);
        set(&self.last_success, last_success);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
