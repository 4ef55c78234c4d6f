//! What the kernel side tells of itself, to metrics and log.

use std::cell::Cell;

use watchfire_export::{CounterHandle, GaugeHandle, Metrics, ProbeInfo, ProgramStatistics, SinkCounters};
use watchfire_model::{KindCounters, RecordKind};
use watchfire_sensor::{ProbeStatus, Sensor, slowing_probes};

/// Which hook each probe got. What is missing is said at once and stays visible as a metric.
pub(super) fn show_probes(probes: &[ProbeStatus], metrics: &Metrics) {
    say_probes(probes);
    set_probes(probes, metrics);
}

pub(super) fn say_probes(probes: &[ProbeStatus]) {
    for probe in probes {
        match probe.hook {
            Some(hook) => tracing::info!(probe = probe.probe, hook, rung = probe.rung, "probe attached"),
            None => tracing::warn!(probe = probe.probe, "probe not attached; not seen: {}", probe.purpose),
        }
        for refused in &probe.refused {
            tracing::info!(
                probe = probe.probe,
                hook = refused.hook,
                why = refused.why,
                "refused by this kernel"
            );
        }
    }
    if let Some(probes) = slowing_probes(probes) {
        tracing::warn!(
            probes,
            "every system call of this node is made slower: these probes have no better hook here"
        );
    }
}

fn set_probes(probes: &[ProbeStatus], metrics: &Metrics) {
    let infos: Vec<_> = probes
        .iter()
        .map(|probe| ProbeInfo { probe: probe.probe, hook: probe.hook, rung: probe.rung })
        .collect();
    metrics.set_probes(&infos);
}

/// What the main thread counts and passes on.
#[derive(Debug)]
pub(super) struct Account {
    metrics: Metrics,
    sink: Option<SinkCounters>,
    missed_runs: CounterHandle,
    malformed: CounterHandle,
    sweeps_cut: CounterHandle,
    sweeps_failed: CounterHandle,
    probes_detached: GaugeHandle,
    detached_before: Cell<usize>,
    probes_waiting: GaugeHandle,
    pub(super) reload_failures: CounterHandle,
}

impl Account {
    pub(super) fn register(metrics: &Metrics, sink: Option<SinkCounters>) -> Self {
        Self {
            metrics: metrics.clone(),
            sink,
            missed_runs: metrics.register_counter(
                "program_runs_missed",
                "Runs of kernel programs that the kernel skipped because the same program ran on that CPU",
            ),
            malformed: metrics
                .register_counter("records_malformed", "Kernel records that could not be decoded"),
            sweeps_cut: metrics.register_counter(
                "flow_sweeps_cut",
                "Sweeps over open connections that reached their limit of updates, so that the rest came later",
            ),
            sweeps_failed: metrics
                .register_counter("flow_sweep_failures", "Sweeps over open connections that failed"),
            probes_detached: metrics.register_gauge(
                "probes_detached",
                "Links of kernel programs that somebody detached, replaced or unpinned while the agent ran",
            ),
            detached_before: Cell::new(0),
            probes_waiting: metrics.register_gauge(
                "probes_waiting",
                "Probes that wait for a cgroup v2 hierarchy to be mounted",
            ),
            reload_failures: metrics.register_counter(
                "reload_failures",
                "Reloads of inventory, policies and file filter that failed; the old ones stayed",
            ),
        }
    }

    /// Reads what the sensor has counted.
    pub(super) fn show(&self, sensor: &Sensor) {
        self.show_totals(&sensor.counters());
        self.missed_runs.set_total(sensor.missed_runs());
        self.malformed.set_total(sensor.malformed());
        let sweeps = sensor.sweeps();
        self.sweeps_cut.set_total(sweeps.cut);
        self.sweeps_failed.set_total(sweeps.failed);
        self.probes_waiting.set(usize::try_from(sensor.waiting_probes()).unwrap_or(usize::MAX));
        let detached = sensor.troubled_links();
        self.probes_detached.set(detached);
        if self.detached_before.replace(detached) != detached {
            self.show_attached(sensor);
        }
        let programs = sensor.program_statistics();
        let shown: Vec<_> = programs
            .iter()
            .map(|program| ProgramStatistics {
                probe: program.probe,
                program: &program.program,
                runs: program.runs,
                run_ns: program.run_ns,
                missed: program.missed,
            })
            .collect();
        self.metrics.set_programs(&shown);
    }

    /// Which hook each probe has now.
    pub(super) fn show_attached(&self, sensor: &Sensor) {
        set_probes(&sensor.probes(), &self.metrics);
    }

    /// The part of event log and ledger in the final account; answers how many records they lack.
    pub(super) fn log_sinks(&self, ledger: Option<&SinkCounters>) -> u64 {
        let mut lacking = 0;
        for sink in self.sink.iter().chain(ledger) {
            let (written, dropped, errors) = (sink.written(), sink.dropped(), sink.errors());
            tracing::info!(sink = sink.name(), written, dropped, errors, "account");
            lacking += dropped;
        }
        lacking
    }

    pub(super) fn show_totals(&self, totals: &[(RecordKind, KindCounters)]) {
        for (kind, counters) in totals {
            self.metrics.set_records(*kind, *counters);
        }
    }
}

/// The final account. Programs that are `pinned` go on, so that records wait in the rings for the next agent.
pub(super) fn log_totals(totals: &[(RecordKind, KindCounters)], pinned: bool) {
    for (kind, counters) in totals {
        let KindCounters { seen, filtered, suppressed, emitted, dropped, received, lost_at_restart } =
            *counters;
        let (kind, waiting) = (kind.as_str(), counters.waiting());
        if counters.balances() || pinned {
            tracing::info!(
                kind,
                seen,
                filtered,
                suppressed,
                emitted,
                dropped,
                received,
                lost_at_restart,
                waiting,
                "account"
            );
        } else {
            tracing::error!(
                kind,
                seen,
                filtered,
                suppressed,
                emitted,
                dropped,
                received,
                lost_at_restart,
                waiting,
                "account does not balance"
            );
        }
    }
}
