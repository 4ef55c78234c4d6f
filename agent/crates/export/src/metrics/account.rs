//! The account of kernel records, which hook each probe got, and what its programs cost.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use watchfire_model::{KindCounters, RecordKind};

use super::labels::Fixed;

const NS_PER_SECOND: f64 = 1_000_000_000.0;

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

/// What the kernel counts of one program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramStatistics<'a> {
    /// Probe that it belongs to.
    pub probe: &'a str,
    /// Its name.
    pub program: &'a str,
    /// Runs; 0 unless the kernel is told to count them.
    pub runs: u64,
    /// Time that they took, nanoseconds; 0 unless the kernel is told to count it.
    pub run_ns: u64,
    /// Runs that the kernel skipped because the program was running on that CPU already.
    pub missed: u64,
}

#[derive(Debug)]
pub(super) struct AccountMetrics {
    seen: Family<Fixed<1>, Counter>,
    filtered: Family<Fixed<1>, Counter>,
    suppressed: Family<Fixed<1>, Counter>,
    emitted: Family<Fixed<1>, Counter>,
    dropped: Family<Fixed<1>, Counter>,
    received: Family<Fixed<1>, Counter>,
    lost_at_restart: Family<Fixed<1>, Counter>,
    unbalanced: Family<Fixed<1>, Gauge>,
    in_rings: Family<Fixed<1>, Gauge>,
    probes: Family<[(&'static str, String); 3], Gauge>,
    program_runs: Family<ProgramLabels, Counter>,
    program_seconds: Family<ProgramLabels, Counter<f64, AtomicU64>>,
    probe_errors: Family<ProgramLabels, Counter>,
}

/// Probe and program.
type ProgramLabels = [(&'static str, String); 2];

impl AccountMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            seen: Family::default(),
            filtered: Family::default(),
            suppressed: Family::default(),
            emitted: Family::default(),
            dropped: Family::default(),
            received: Family::default(),
            lost_at_restart: Family::default(),
            unbalanced: Family::default(),
            probes: Family::default(),
            program_runs: Family::default(),
            program_seconds: Family::default(),
            in_rings: Family::default(),
            probe_errors: Family::default(),
        };
        for (name, help, family) in [
            ("records_seen", "Times the kernel hook fired", &metrics.seen),
            ("records_filtered", "Kernel records not wanted, by design", &metrics.filtered),
            ("records_suppressed", "Kernel records over the rate of their cgroup", &metrics.suppressed),
            ("records_emitted", "Kernel records put into a ring", &metrics.emitted),
            ("records_dropped", "Kernel records lost because a ring was full", &metrics.dropped),
            ("records_received", "Kernel records taken out of a ring", &metrics.received),
            (
                "records_lost_at_restart",
                "Kernel records that an agent had taken out of a ring when it was killed",
                &metrics.lost_at_restart,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "probe_info",
            "Hook and ladder rung of each probe: 1 attached, 0 refused by this kernel",
            metrics.probes.clone(),
        );
        registry.register(
            "records_unbalanced",
            "Times a hook fired that are in no other count: 0 unless a kernel program runs at this very moment",
            metrics.unbalanced.clone(),
        );
        for (name, help, family) in [
            ("program_runs", "Runs of a kernel program, where the kernel counts them", &metrics.program_runs),
            (
                "probe_errors",
                "Runs of a kernel program that the kernel skipped because it ran on that CPU already",
                &metrics.probe_errors,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register_with_unit(
            "program_run",
            "Time that the runs of a kernel program took, where the kernel counts it",
            Unit::Seconds,
            metrics.program_seconds.clone(),
        );
        registry.register(
            "ring_records",
            "Kernel records that are in a ring and not taken out yet",
            metrics.in_rings.clone(),
        );
        for kind in RecordKind::ALL {
            metrics.set(kind, KindCounters::default());
        }
        metrics
    }

    pub(super) fn set(&self, kind: RecordKind, totals: KindCounters) {
        let KindCounters { seen, filtered, suppressed, emitted, dropped, received, lost_at_restart } = totals;
        for (family, total) in [
            (&self.seen, seen),
            (&self.filtered, filtered),
            (&self.suppressed, suppressed),
            (&self.emitted, emitted),
            (&self.dropped, dropped),
            (&self.received, received),
            (&self.lost_at_restart, lost_at_restart),
        ] {
            raise_to(&family.get_or_create(&[("kind", kind.as_str())]), total);
        }
        let labels = [("kind", kind.as_str())];
        self.unbalanced.get_or_create(&labels).set(totals.unbalanced());
        let in_rings = emitted.saturating_sub(received.saturating_add(lost_at_restart));
        self.in_rings.get_or_create(&labels).set(i64::try_from(in_rings).unwrap_or(i64::MAX));
    }

    pub(super) fn set_programs(&self, programs: &[ProgramStatistics<'_>]) {
        for ProgramStatistics { probe, program, runs, run_ns, missed } in programs {
            let labels = [("probe", (*probe).to_owned()), ("program", (*program).to_owned())];
            raise_to(&self.program_runs.get_or_create(&labels), *runs);
            let seconds = *run_ns as f64 / NS_PER_SECOND;
            // The bits of floats from 0 on are in the order of their values.
            self.program_seconds
                .get_or_create(&labels)
                .inner()
                .fetch_max(seconds.to_bits(), Ordering::Relaxed);
            raise_to(&self.probe_errors.get_or_create(&labels), *missed);
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
