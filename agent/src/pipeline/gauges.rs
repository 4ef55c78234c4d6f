//! What the stages tell of themselves.

use watchfire_export::{CounterHandle, GaugeHandle, Metrics};

use super::Stages;

#[derive(Debug)]
pub(super) struct Gauges {
    metrics: Metrics,
    running: GaugeHandle,
    cgroups: GaugeHandle,
    open_flows: GaugeHandle,
    pods: GaugeHandle,
    running_evicted: CounterHandle,
    exited_evicted: CounterHandle,
    exits_missed: CounterHandle,
    cgroups_evicted: CounterHandle,
    flows_evicted: CounterHandle,
    services: GaugeHandle,
    conntrack_queries: CounterHandle,
    conntrack_errors: CounterHandle,
}

impl Gauges {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.register_gauge(name, help);
        let counter = |name, help| metrics.register_counter(name, help);
        Self {
            metrics: metrics.clone(),
            running: gauge("processes_running", "Processes in the process table that run"),
            cgroups: gauge("cgroups", "Cgroups whose path is known, those removed lately included"),
            open_flows: gauge("flows_open", "Connections that were seen to open and not yet to end"),
            pods: gauge("inventory_pods", "Pods in the inventory"),
            running_evicted: counter(
                "processes_running_evicted",
                "Running processes forced out of the process table by its limit",
            ),
            exited_evicted: counter(
                "processes_exited_evicted",
                "Ended processes forced out of the process table before their time",
            ),
            exits_missed: counter(
                "process_exits_missed",
                "Processes whose end was not seen before their pid came back",
            ),
            cgroups_evicted: counter(
                "cgroups_evicted",
                "Cgroups forgotten or not taken in because of the limit",
            ),
            flows_evicted: counter("flows_open_evicted", "Open connections forgotten because of the limit"),
            services: gauge("inventory_services", "Services in the inventory"),
            conntrack_queries: counter(
                "conntrack_queries",
                "Connections whose translation connection tracking was to tell",
            ),
            conntrack_errors: counter(
                "conntrack_errors",
                "Connections whose translation connection tracking could not be asked for, or did not tell in time",
            ),
        }
    }

    pub(super) fn set(&self, stages: &Stages) {
        let Stages {
            knowledge,
            host,
            host_paths: _,
            services,
            processes,
            flows,
            timebase: _,
            latest_boot_ns: _,
        } = stages;
        self.metrics.set_processes(processes.len());
        self.metrics.set_policy_objects(knowledge.objects);
        self.running.set(processes.running());
        self.cgroups.set(host.cgroups().len());
        self.open_flows.set(flows.len());
        self.pods.set(knowledge.directory.pods().len());
        let counters = processes.counters();
        self.running_evicted.set_total(counters.evicted_running);
        self.exited_evicted.set_total(counters.evicted_exited);
        self.exits_missed.set_total(counters.exits_missed);
        self.cgroups_evicted.set_total(host.cgroups().evicted());
        self.flows_evicted.set_total(flows.evicted());
        self.services.set(knowledge.directory.services());
        let conntrack = services.counters();
        self.conntrack_queries.set_total(conntrack.asked);
        self.conntrack_errors.set_total(conntrack.failed);
    }
}
