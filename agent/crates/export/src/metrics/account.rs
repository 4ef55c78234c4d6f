//! The account of kernel records, and which hook each probe got.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use watchfire_model::{KindCounters, RecordKind};

use super::labels::Fixed;

/// Which hook a probe is attached to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeInfo<'a> {
    /// Probe name.
    pub probe: &'a str,
    /// The hook; none where the kernel refused every rung.
    pub hook: Option<&'a str>,
    /// Position in the attach ladder, 1 is best; 0 where none.
    pub rung: u8,
}

#[derive(Debug)]
pub(super) struct AccountMetrics {
    seen: Family<Fixed<1>, Counter>,
    filtered: Family<Fixed<1>, Counter>,
    emitted: Family<Fixed<1>, Counter>,
    dropped: Family<Fixed<1>, Counter>,
    received: Family<Fixed<1>, Counter>,
    probes: Family<[(&'static str, String); 3], Gauge>,
}

impl AccountMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            seen: Family::default(),
            filtered: Family::default(),
            emitted: Family::default(),
            dropped: Family::default(),
            received: Family::default(),
            probes: Family::default(),
        };
        for (name, help, family) in [
            ("records_seen", "Times the kernel hook fired", &metrics.seen),
            ("records_filtered", "Kernel records not wanted, by design", &metrics.filtered),
            ("records_emitted", "Kernel records put into a ring", &metrics.emitted),
            ("records_dropped", "Kernel records lost because a ring was full", &metrics.dropped),
            ("records_received", "Kernel records taken out of a ring", &metrics.received),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "probe_info",
            "Hook and ladder rung of each probe: 1 attached, 0 refused by this kernel",
            metrics.probes.clone(),
        );
        for kind in RecordKind::ALL {
            metrics.set(kind, KindCounters::default());
        }
        metrics
    }

    pub(super) fn set(&self, kind: RecordKind, totals: KindCounters) {
        let KindCounters { seen, filtered, emitted, dropped, received } = totals;
        for (family, total) in [
            (&self.seen, seen),
            (&self.filtered, filtered),
            (&self.emitted, emitted),
            (&self.dropped, dropped),
            (&self.received, received),
        ] {
            raise_to(&family.get_or_create(&[("kind", kind.as_str())]), total);
        }
    }

    pub(super) fn set_probes(&self, probes: &[ProbeInfo<'_>]) {
        self.probes.clear();
        for ProbeInfo { probe, hook, rung } in probes {
            let labels = [
                ("probe", (*probe).to_owned()),
                ("hook", hook.unwrap_or_default().to_owned()),
                ("rung", rung.to_string()),
            ];
            self.probes.get_or_create(&labels).set(i64::from(hook.is_some()));
        }
    }
}

/// Sets a counter to a total counted elsewhere. Never backwards: two readers of the total may come out of order.
pub(super) fn raise_to(counter: &Counter, total: u64) {
    counter.inner().fetch_max(total, Ordering::Relaxed);
}
