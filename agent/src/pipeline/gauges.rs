//! What the stages tell of themselves.

use std::time::Instant;

use watchfire_export::{CounterHandle, GaugeHandle, JudgingTotals, Metrics, PayloadTotals};

use watchfire_model::{EnrichmentOutcome, Missing};

use super::payloads::PayloadCounts;
use super::{Stages, findings};
use crate::knowledge::dialect_name;

#[derive(Debug)]
pub(super) struct Gauges {
    metrics: Metrics,
    started: Instant,
    running: GaugeHandle,
    cgroups: GaugeHandle,
    open_flows: GaugeHandle,
    pods: GaugeHandle,
    nodes: GaugeHandle,
    identities: GaugeHandle,
    containers: GaugeHandle,
    refused: CounterHandle,
    past_evicted: CounterHandle,
    contested: CounterHandle,
    waiting: GaugeHandle,
    running_evicted: CounterHandle,
    exited_evicted: CounterHandle,
    exits_missed: CounterHandle,
    cgroups_evicted: CounterHandle,
    flows_evicted: CounterHandle,
    services: GaugeHandle,
    conntrack_queries: CounterHandle,
    conntrack_errors: CounterHandle,
    queries_open: GaugeHandle,
    queries_evicted: CounterHandle,
    addresses_named: GaugeHandle,
    addresses_evicted: CounterHandle,
    names_evicted: CounterHandle,
    plaintext_undecided: CounterHandle,
    streams: GaugeHandle,
    streams_evicted: CounterHandle,
    streams_cut: CounterHandle,
    clock_jumps: CounterHandle,
}

impl Gauges {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.register_gauge(name, help);
        let counter = |name, help| metrics.register_counter(name, help);
        Self {
            metrics: metrics.clone(),
            started: Instant::now(),
            running: gauge("processes_running", "Processes in the process table that run"),
            cgroups: gauge("cgroups", "Cgroups whose path is known, those removed lately included"),
            open_flows: gauge("flows_open", "Flows that were seen to open and not yet to end"),
            pods: gauge("inventory_pods", "Pods in the inventory"),
            nodes: gauge("inventory_nodes", "Nodes in the inventory"),
            identities: gauge(
                "inventory_identities",
                "Identities of pods: what pods of one template have in common",
            ),
            containers: gauge(
                "inventory_containers",
                "Containers of this node in the inventory, those that are gone since a short while included",
            ),
            refused: counter(
                "inventory_objects_refused",
                "Objects that the inventory did not take in because of a limit",
            ),
            past_evicted: counter(
                "inventory_past_addresses_evicted",
                "Past holders of addresses that were forgotten before their time because of the limit",
            ),
            contested: counter(
                "inventory_address_conflicts",
                "How often two pods or nodes came to have one address",
            ),
            waiting: gauge(
                "observations_waiting",
                "Observations that wait until it is known who they are about",
            ),
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
            flows_evicted: counter("flows_open_evicted", "Open flows forgotten because of the limit"),
            queries_open: gauge("dns_queries_open", "DNS queries that wait for their answer"),
            queries_evicted: counter(
                "dns_queries_evicted",
                "DNS queries forgotten before their answer because of the limit",
            ),
            addresses_named: gauge("dns_addresses", "Addresses whose names are known from DNS"),
            addresses_evicted: counter(
                "dns_addresses_evicted",
                "Addresses whose names were forgotten because of the limit",
            ),
            names_evicted: counter(
                "dns_names_evicted",
                "Names of addresses forgotten because of the limit of one address",
            ),
            plaintext_undecided: counter(
                "flow_plaintext_undecided",
                "Flow records that went out before it was known whether they are of plaintext, because of the limit",
            ),
            streams: gauge(
                "payload_streams",
                "Directions of connections whose DNS messages or opening of TLS are put together out of segments",
            ),
            streams_evicted: counter(
                "payload_streams_evicted",
                "Such directions given up because of a limit",
            ),
            streams_cut: counter(
                "payload_streams_cut",
                "DNS messages over TCP and openings of TLS of which a segment was missing",
            ),
            clock_jumps: counter("clock_jumps", "How often the wall clock was set while the agent ran"),
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
            lineages: _,
            services,
            processes,
            flows,
            memory,
            rejudging,
            queries,
            names,
            payloads,
            plaintext,
            detector,
            candidate_memory: _,
            candidates_version: _,
            waiting,
            lookup: _,
            streams,
            clock,
            latest_boot_ns: _,
        } = stages;
        self.metrics.forget_silent(self.started.elapsed());
        self.metrics.set_findings(&findings::totals(detector, knowledge));
        self.metrics.set_processes(processes.len());
        self.metrics.set_policy_objects(knowledge.objects());
        let (followed, epochs) = (knowledge.followed(), knowledge.epochs());
        let (cache, again) = (memory.cache().counters(), rejudging.counts());
        self.metrics.set_judging(JudgingTotals {
            dialect: dialect_name(followed.dialect),
            dialect_why: followed.why.as_str(),
            epoch: epochs.current().number,
            epochs_evicted: epochs.evicted(),
            judged_late: epochs.missed(),
            verdicts_kept: memory.cache().len(),
            hits: cache.hits,
            misses: cache.misses,
            unkept: cache.unkept,
            rejudged: again.judged,
            changed: again.changed,
        });
        self.running.set(processes.running());
        self.cgroups.set(host.cgroups().len());
        self.open_flows.set(flows.len());
        self.pods.set(knowledge.directory.pods_len());
        self.nodes.set(knowledge.directory.nodes_len());
        self.identities.set(knowledge.directory.identities_len());
        self.containers.set(knowledge.containers.len());
        let directory = knowledge.directory.counters();
        self.refused.set_total(directory.refused + knowledge.containers.refused());
        self.past_evicted.set_total(directory.past_evicted);
        self.contested.set_total(directory.contested);
        self.waiting.set(waiting.len());
        for outcome in EnrichmentOutcome::ALL {
            for missing in Missing::ALL {
                self.metrics.set_enrichment(outcome, missing, waiting.count(outcome, missing));
            }
        }
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
        self.queries_open.set(queries.len());
        self.queries_evicted.set_total(queries.evicted());
        self.addresses_named.set(names.len());
        self.addresses_evicted.set_total(names.addresses_evicted());
        self.names_evicted.set_total(names.names_evicted());
        self.plaintext_undecided.set_total(plaintext.undecided());
        self.streams.set(streams.len());
        self.streams_evicted.set_total(streams.evicted());
        self.streams_cut.set_total(streams.cut());
        self.clock_jumps.set_total(clock.jumps());
        let PayloadCounts { client_hellos, malformed_client_hellos, malformed_dns } = *payloads;
        self.metrics.set_payloads(PayloadTotals { client_hellos, malformed_client_hellos, malformed_dns });
    }
}
