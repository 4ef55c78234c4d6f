//! What the kernel side tells of itself, to metrics and log.

use watchfire_export::{CounterHandle, Metrics, ProbeInfo, ProgramStatistics, SinkCounters};
use watchfire_model::{KindCounters, RecordKind};
use watchfire_sensor::{ProbeStatus, Sensor, slowing_probes};

/// Which hook each probe got. What is missing is said at once and stays visible as a metric.
pub(super) fn show_probes(probes: &[ProbeStatus], metrics: &Metrics) {
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

    /// The event log's part of the final account; answers how many records it lacks.
    pub(super) fn log_sink(&self) -> u64 {
        let Some(sink) = &self.sink else { return 0 };
        let (written, dropped, errors) = (sink.written(), sink.dropped(), sink.errors());
        tracing::info!(sink = sink.name(), written, dropped, errors, "account");
        dropped
    }

    pub(super) fn show_totals(&self, totals: &[(RecordKind, KindCounters)]) {
        for (kind, counters) in totals {
            self.metrics.set_records(*kind, *counters);
        }
    }
}

/// The final account.
pub(super) fn log_totals(totals: &[(RecordKind, KindCounters)]) {
    for (kind, counters) in totals {
        let KindCounters { seen, filtered, suppressed, emitted, dropped, received } = *counters;
        let kind = kind.as_str();
        if counters.balances() {
            tracing::info!(kind, seen, filtered, suppressed, emitted, dropped, received, "account");
        } else {
            tracing::error!(
                kind,
                seen,
                filtered,
                suppressed,
                emitted,
                dropped,
                received,
                "account does not balance"
            );
        }
    }
}
