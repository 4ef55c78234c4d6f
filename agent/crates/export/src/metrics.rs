//! Prometheus metrics of the agent.

mod account;
mod api;
mod dns;
mod findings;
mod flows;
mod inventory;
mod labels;
mod latest;
mod ledger;
mod payloads;
mod policy;
mod registered;
mod sinks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use watchfire_model::{
    EnrichmentOutcome, KindCounters, Missing, Operation, ProcessAction, Record, RecordBody, RecordKind,
};

pub use self::account::{ProbeInfo, ProgramStatistics};
pub use self::api::{ApiMetrics, ApiRefusal};
pub use self::findings::{FindingTotals, NAMESPACE_LABELS_MAX};
pub use self::flows::POLICY_LABELS_MAX;
pub use self::inventory::SourceState;
pub use self::latest::{Latest, ProbeState};
pub use self::payloads::PayloadTotals;
pub use self::policy::JudgingTotals;
pub use self::registered::{CounterHandle, GaugeHandle};
pub use self::sinks::SinkCounters;

use self::account::AccountMetrics;
use self::dns::DnsMetrics;
use self::findings::FindingMetrics;
use self::flows::FlowMetrics;
use self::inventory::InventoryMetrics;
use self::labels::Fixed;
use self::latest::Board;
use self::ledger::LedgerMetrics;
use self::payloads::PayloadMetrics;
use self::policy::JudgingMetrics;
use self::sinks::SinkFamilies;

/// Prefix of every family.
const PREFIX: &str = "watchfire";

/// How many policy objects of the source stand in which state.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PolicyObjects {
    /// Taken in and judged by.
    pub loaded: usize,
    /// Judged by as they last were valid: their newest version is not.
    pub last_good: usize,
    /// Refused as invalid.
    pub rejected: usize,
    /// Of a kind that is no policy.
    pub ignored: usize,
}

/// Every metric family of the agent. Clones share the same series.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    registry: Mutex<Registry>,
    flows: FlowMetrics,
    dns: DnsMetrics,
    findings: FindingMetrics,
    payloads: PayloadMetrics,
    account: AccountMetrics,
    api: ApiMetrics,
    latest: Board,
    inventory: InventoryMetrics,
    ledger: LedgerMetrics,
    judging: JudgingMetrics,
    sinks: SinkFamilies,
    forks: Counter,
    execs: Counter,
    exits: Counter,
    found: Counter,
    events: Family<Fixed<2>, Counter>,
    processes: Gauge,
    policies_loaded: Gauge,
    policies_last_good: Gauge,
    policies_rejected: Gauge,
    policies_ignored: Gauge,
}

impl Metrics {
    /// All families, with every series of a closed label set at 0. `version` and `commit` name the build.
    #[must_use]
    pub fn new(version: &'static str, commit: &'static str) -> Self {
        Self::of_cluster(version, commit, None)
    }

    /// The same, every series with the label `cluster` where a name is given.
    #[must_use]
    pub fn of_cluster(version: &'static str, commit: &'static str, cluster: Option<&str>) -> Self {
        let labels = cluster.map(|name| ("cluster".into(), name.to_owned().into()));
        let mut registry = Registry::with_prefix_and_labels(PREFIX, labels.into_iter());
        registry.register(
            "build",
            "The build that runs",
            Info::new([("version", version), ("commit", commit)]),
        );

        let actions = Family::<Fixed<1>, Counter>::default();
        let action = |name| actions.get_or_create_owned(&[("action", name)]);
        let events = Family::<Fixed<2>, Counter>::default();
        for operation in Operation::ALL {
            drop(events.get_or_create(&event_labels(*operation)));
        }
        let states = Family::<Fixed<1>, Gauge>::default();
        let state = |name| states.get_or_create_owned(&[("state", name)]);
        let processes = Gauge::default();
        registry.register("processes", "Process records by what the process did", actions.clone());
        registry.register("events", "Security events by record type and operation", events.clone());
        // Not `processes`: OpenMetrics allows a name one family, and the counter above is it.
        registry.register("process_table_entries", "Processes in the process table", processes.clone());
        registry.register("policy_objects", "Policy objects of the source by state", states.clone());
        Self(Arc::new(Families {
            flows: FlowMetrics::register(&mut registry),
            dns: DnsMetrics::register(&mut registry),
            findings: FindingMetrics::register(&mut registry),
            payloads: PayloadMetrics::register(&mut registry),
            account: AccountMetrics::register(&mut registry),
            api: ApiMetrics::register(&mut registry),
            latest: Board::default(),
            inventory: InventoryMetrics::register(&mut registry),
            ledger: LedgerMetrics::register(&mut registry),
            judging: JudgingMetrics::register(&mut registry),
            sinks: SinkFamilies::register(&mut registry),
            forks: action("fork"),
            execs: action("exec"),
            exits: action("exit"),
            found: action("found"),
            events,
            processes,
            policies_loaded: state("loaded"),
            policies_last_good: state("last-good"),
            policies_rejected: state("rejected"),
            policies_ignored: state("ignored"),
            registry: Mutex::new(registry),
        }))
    }

    /// Counts a record that leaves the agent.
    pub fn observe(&self, record: &Record) {
        match &record.body {
            RecordBody::Process(process) => {
                match process.action {
                    ProcessAction::Fork => &self.0.forks,
                    ProcessAction::Exec => &self.0.execs,
                    ProcessAction::Exit => &self.0.exits,
                    ProcessAction::Found => &self.0.found,
                }
                .inc();
            }
            RecordBody::Flow(flow) => self.0.flows.observe(flow),
            RecordBody::Dns(dns) => self.0.dns.observe(dns),
            RecordBody::Finding(finding) => self.0.findings.observe(finding),
            // Its totals come by `set_records`.
            RecordBody::Loss(_) => {}
            // Counted where it is answered.
            RecordBody::ApiAccess(_) => {}
            RecordBody::Credentials(_)
            | RecordBody::Capability(_)
            | RecordBody::File(_)
            | RecordBody::Namespace(_)
            | RecordBody::Kernel(_)
            | RecordBody::Memory(_)
            | RecordBody::Socket(_)
            | RecordBody::Signal(_)
            | RecordBody::Stdio(_) => {
                if let Some(operation) = record.body.operation() {
                    self.0.events.get_or_create(&event_labels(operation)).inc();
                }
            }
        }
    }

    /// Sets the totals of one kind of kernel record.
    pub fn set_records(&self, kind: RecordKind, totals: KindCounters) {
        self.0.account.set(kind, totals);
        self.0.latest.set_records(kind, totals);
    }

    /// Sets the totals of what flows carried.
    pub fn set_payloads(&self, totals: PayloadTotals) {
        self.0.payloads.set(totals);
    }

    /// Sets what the detector counts.
    pub fn set_findings(&self, totals: &FindingTotals) {
        self.0.findings.set(totals);
    }

    /// Replaces what is told of the probes.
    pub fn set_probes(&self, probes: &[ProbeInfo<'_>]) {
        self.0.account.set_probes(probes);
        self.0.latest.lock().probes = probes.iter().map(Into::into).collect();
    }

    /// Sets what the kernel counts of its programs.
    pub fn set_programs(&self, programs: &[ProgramStatistics<'_>]) {
        self.0.account.set_programs(programs);
    }

    /// Sets the size of the process table.
    pub fn set_processes(&self, entries: usize) {
        set(&self.0.processes, entries);
    }

    /// Sets how many policy objects stand in which state.
    pub fn set_policy_objects(&self, objects: PolicyObjects) {
        let PolicyObjects { loaded, last_good, rejected, ignored } = objects;
        set(&self.0.policies_loaded, loaded);
        set(&self.0.policies_last_good, last_good);
        set(&self.0.policies_rejected, rejected);
        set(&self.0.policies_ignored, ignored);
    }

    /// Sets what judging tells of itself.
    pub fn set_judging(&self, totals: JudgingTotals) {
        self.0.judging.set(totals);
        self.0.latest.lock().judging = totals;
    }

    /// Sets how many observations came before it was known who they are about.
    pub fn set_enrichment(&self, outcome: EnrichmentOutcome, missing: Missing, total: u64) {
        self.0.inventory.set_enrichment(outcome, missing, total);
    }

    /// Replaces what is told of the sources of the inventory.
    pub fn set_sources(&self, sources: &[SourceState]) {
        self.0.inventory.set_sources(sources);
        self.0.latest.lock().sources = sources.to_vec();
    }

    /// Sets what the ledger counts.
    pub fn set_ledger(&self, stats: &watchfire_ledger::Stats) {
        self.0.ledger.set(stats);
    }

    /// The counters of the HTTP API.
    #[must_use]
    pub fn api(&self) -> &ApiMetrics {
        &self.0.api
    }

    /// What was last told of probes, kernel records, judging and sources.
    #[must_use]
    pub fn latest(&self) -> Latest {
        self.0.latest.lock().clone()
    }

    /// The counters of a sink, at 0 until it counts.
    #[must_use]
    pub fn sink(&self, name: &'static str) -> SinkCounters {
        self.0.sinks.of(name)
    }

    /// A new counter `watchfire_<name>_total`, e.g. of evictions in the inventory. Each name once.
    #[must_use]
    pub fn register_counter(&self, name: &str, help: &str) -> CounterHandle {
        let counter = Counter::default();
        lock(&self.0.registry).register(name, help, counter.clone());
        CounterHandle(counter)
    }

    /// A new gauge `watchfire_<name>`. Each name once.
    #[must_use]
    pub fn register_gauge(&self, name: &str, help: &str) -> GaugeHandle {
        let gauge = Gauge::default();
        lock(&self.0.registry).register(name, help, gauge.clone());
        GaugeHandle(gauge)
    }

    /// The exposition in OpenMetrics text, for [`Self::CONTENT_TYPE`].
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &lock(&self.0.registry)).expect("a String takes every write");
        text
    }

    /// Media type of [`Self::render`] (OpenMetrics 1.0, "Overall Structure").
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

/// Each operation belongs to one type, so these are no more series than operations.
const fn event_labels(operation: Operation) -> Fixed<2> {
    [("type", operation.kind().as_str()), ("operation", operation.as_str())]
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
