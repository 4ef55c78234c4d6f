//! Prometheus metrics of the agent.

mod account;
mod api;
mod dns;
mod findings;
mod flows;
mod hubble;
mod inventory;
mod labels;
mod latest;
mod ledger;
mod names;
mod observe;
mod own_process;
mod payloads;
mod plain;
mod policy;
mod registered;
mod remote_write;
mod series;
mod shipping;
mod sinks;
mod stages;
mod verdicts;
mod workload_flows;
mod workload_processes;
mod workloads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use watchfire_model::{EnrichmentOutcome, KindCounters, Missing, Operation, RecordKind};

pub use self::account::{ProbeInfo, ProgramStatistics};
pub use self::api::{ApiMetrics, ApiRefusal};
pub use self::findings::{FindingTotals, NAMESPACE_LABELS_MAX};
pub use self::hubble::PORT_LABELS_MAX;
pub use self::inventory::SourceState;
pub use self::latest::{Latest, ProbeState};
pub use self::names::NAME_SILENT_SECONDS_MAX;
pub use self::payloads::PayloadTotals;
pub use self::policy::JudgingTotals;
pub use self::registered::{CounterHandle, GaugeHandle};
pub(crate) use self::remote_write::RemoteWriteCounters;
pub use self::series::SERIES_MAX_DEFAULT;
pub use self::shipping::ShipTotals;
pub use self::sinks::SinkCounters;
pub use self::verdicts::POLICY_LABELS_MAX;

use self::account::AccountMetrics;
use self::dns::DnsMetrics;
use self::findings::FindingMetrics;
use self::flows::FlowMetrics;
use self::hubble::HubbleMetrics;
use self::inventory::InventoryMetrics;
use self::labels::Fixed;
use self::latest::Board;
use self::ledger::LedgerMetrics;
use self::own_process::ProcessMetrics;
use self::payloads::PayloadMetrics;
use self::policy::JudgingMetrics;
use self::series::SeriesBudget;
use self::shipping::ShippingMetrics;
use self::sinks::SinkFamilies;
use self::stages::StageMetrics;
use self::verdicts::VerdictMetrics;
use self::workload_flows::WorkloadFlowMetrics;
use self::workload_processes::WorkloadProcessMetrics;
use self::workloads::Workloads;

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

/// What the metrics are to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetricsOptions<'a> {
    /// Version of the build.
    pub version: &'static str,
    /// Commit of the build.
    pub commit: &'static str,
    /// Value of the label `cluster` of every series; none where there is no such label.
    pub cluster: Option<&'a str>,
    /// Most series that are labelled with names of workloads.
    pub series_max: usize,
    /// Whether there are families by the names of Cilium's Hubble too.
    pub hubble: bool,
}

/// Every metric family of the agent. Clones share the same series.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    registry: Mutex<Registry>,
    /// Of families by the names that they have in every program.
    plain: Registry,
    series: Gauge,
    budget: SeriesBudget,
    workloads: Workloads,
    /// Written while series are removed.
    sweeping: RwLock<()>,
    workload_flows: WorkloadFlowMetrics,
    workload_processes: WorkloadProcessMetrics,
    stages: StageMetrics,
    remote_write: RemoteWriteCounters,
    hubble: Option<HubbleMetrics>,
    own_process: ProcessMetrics,
    flows: FlowMetrics,
    verdicts: VerdictMetrics,
    dns: DnsMetrics,
    findings: FindingMetrics,
    payloads: PayloadMetrics,
    account: AccountMetrics,
    api: ApiMetrics,
    latest: Board,
    inventory: InventoryMetrics,
    ledger: LedgerMetrics,
    shipping: ShippingMetrics,
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
        let series_max = SERIES_MAX_DEFAULT;
        Self::with(MetricsOptions { version, commit, cluster: None, series_max, hubble: false })
    }

    /// The same with options.
    #[must_use]
    pub fn with(options: MetricsOptions<'_>) -> Self {
        let MetricsOptions { version, commit, cluster, series_max, hubble } = options;
        let labels = || cluster.map(|name| ("cluster".into(), name.to_owned().into())).into_iter();
        let mut registry = Registry::with_prefix_and_labels(PREFIX, labels());
        let mut plain = Registry::with_labels(labels());
        registry.register(
            "build",
            "The build that runs",
            Info::new([("version", version), ("commit", commit)]),
        );

        let actions = Family::<Fixed<1>, Counter>::default();
        let action = |name| actions.get_or_create_owned(&[("action", name)]);
        let events = Family::<Fixed<2>, Counter>::default();
        for operation in Operation::ALL {
            drop(events.get_or_create(&observe::event_labels(*operation)));
        }
        let states = Family::<Fixed<1>, Gauge>::default();
        let state = |name| states.get_or_create_owned(&[("state", name)]);
        let processes = Gauge::default();
        registry.register("processes", "Process records by what the process did", actions.clone());
        registry.register("events", "Security events by record type and operation", events.clone());
        // Not `processes`: OpenMetrics allows a name one family, and the counter above is it.
        registry.register("process_table_entries", "Processes in the process table", processes.clone());
        registry.register("policy_objects", "Policy objects of the source by state", states.clone());
        let budget = SeriesBudget::register(&mut registry, series_max);
        let (series, limit) = (Gauge::default(), Gauge::default());
        set(&limit, series_max);
        registry.register(
            "workload_series",
            "Series that are labelled with names of workloads",
            series.clone(),
        );
        registry.register("workload_series_max", "Most such series, as configured", limit);
        Self(Arc::new(Families {
            workloads: Workloads::new(budget.max()),
            sweeping: RwLock::default(),
            workload_flows: WorkloadFlowMetrics::register(&mut registry, &budget),
            workload_processes: WorkloadProcessMetrics::register(&mut registry, &budget),
            stages: StageMetrics::register(&mut registry),
            remote_write: RemoteWriteCounters::register(&mut registry),
            hubble: hubble.then(|| HubbleMetrics::register(&mut plain, &budget)),
            own_process: ProcessMetrics::register(&mut plain, &mut registry),
            flows: FlowMetrics::register(&mut registry),
            verdicts: VerdictMetrics::register(&mut registry, &budget),
            dns: DnsMetrics::register(&mut registry),
            findings: FindingMetrics::register(&mut registry, &budget),
            payloads: PayloadMetrics::register(&mut registry),
            account: AccountMetrics::register(&mut registry),
            api: ApiMetrics::register(&mut registry),
            latest: Board::default(),
            inventory: InventoryMetrics::register(&mut registry),
            ledger: LedgerMetrics::register(&mut registry),
            shipping: ShippingMetrics::register(&mut registry),
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
            plain,
            series,
            budget,
        }))
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

    /// Sets how far the ledger is shipped.
    pub fn set_shipping(&self, totals: &ShipTotals) {
        self.0.shipping.set(totals);
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

    pub(crate) fn remote_write(&self) -> &RemoteWriteCounters {
        &self.0.remote_write
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

    /// The exposition in OpenMetrics text, for [`Self::OPEN_METRICS`].
    #[must_use]
    pub fn render(&self) -> String {
        self.0.own_process.look();
        set(&self.0.series, self.0.budget.used());
        let mut text = String::new();
        let written = text::encode_registry(&mut text, &lock(&self.0.registry))
            .and_then(|()| text::encode_registry(&mut text, &self.0.plain))
            .and_then(|()| text::encode_eof(&mut text));
        written.expect("a String takes every write");
        text
    }

    /// The exposition in Prometheus' older text format, for [`Self::PLAIN_TEXT`].
    #[must_use]
    pub fn render_plain(&self) -> String {
        plain::from_open_metrics(&self.render())
    }

    /// Media type of [`Self::render`] (OpenMetrics 1.0, "Overall Structure").
    pub const OPEN_METRICS: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Media type of [`Self::render_plain`] (Prometheus, "Exposition formats").
    pub const PLAIN_TEXT: &'static str = "text/plain; version=0.0.4; charset=utf-8";
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
