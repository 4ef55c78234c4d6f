//! Metrics that other stages own: they count, the registry shows.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::account::raise_to;

/// A counter shown under a name of the caller's; clones count into the same series.
#[derive(Clone, Debug)]
pub struct CounterHandle(pub(super) Counter);

impl CounterHandle {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.inc_by(n);
    }

    /// Sets the total, for what is counted elsewhere. A smaller total than the present one changes nothing.
    pub fn set_total(&self, total: u64) {
        raise_to(&self.0, total);
    }
}

/// A gauge shown under a name of the caller's; clones set the same series.
#[derive(Clone, Debug)]
pub struct GaugeHandle(pub(super) Gauge);

impl GaugeHandle {
    /// Sets the value.
    pub fn set(&self, value: usize) {
        self.0.set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}
