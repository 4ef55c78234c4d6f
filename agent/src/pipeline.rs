//! The stages in their order: dissection, inventory, policy, records. The only place that knows them all.

mod answer;
mod clock;
mod events;
mod findings;
mod flows;
mod gauges;
mod host_paths;
mod host_view;
mod interned;
mod judge;
mod lineages;
mod mesh;
mod names;
mod open_flows;
mod payloads;
mod plaintext;
mod processes;
mod queries;
mod rejudge;
mod services;
pub(crate) mod state;
mod streams;
#[cfg(test)]
mod tests;
mod thread;
mod view;
mod waiting;
mod who;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchfire_detect::{Detector, Settings};
use watchfire_inventory::{ContainerChange, Intake, Moment, Processes};
use watchfire_model::{Body, Observation, ProcessAction, Record, RecordBody, Timebase, clone_flag_names};

use clock::Clock;
pub(crate) use clock::moment;
use host_paths::HostPaths;
pub(crate) use host_view::HostView;
pub(crate) use names::Names;
pub(crate) use services::Services;
pub(crate) use thread::{Control, Feeds, Pipeline};
pub(crate) use waiting::Expected;
use waiting::Waiting;

use crate::knowledge::Knowledge;
use judge::Memory;
use lineages::Lineages;
use open_flows::OpenFlows;
use payloads::PayloadCounts;
use plaintext::Plaintext;
use queries::Queries;
use rejudge::Rejudging;
use streams::Streams;

/// Who is asked for a container.
struct Lookup(Box<dyn FnMut(&str) + Send>);

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// What the stages hold between observations.
#[derive(Debug)]
pub(crate) struct Stages {
    knowledge: Knowledge,
    host: HostView,
    host_paths: HostPaths,
    services: Services,
    processes: Processes,
    lineages: Lineages,
    flows: OpenFlows,
    memory: Memory,
    rejudging: Rejudging,
    queries: Queries,
    names: Names,
    payloads: PayloadCounts,
    plaintext: Plaintext,
    detector: Detector,
    /// Verdicts that were given with the candidates.
    candidate_memory: Memory,
    /// Of the candidates that are counted.
    candidates_version: u64,
    waiting: Waiting,
    lookup: Lookup,
    streams: Streams,
    clock: Clock,
    /// Latest time on a record, nanoseconds of CLOCK_BOOTTIME.
    latest_boot_ns: u64,
}

impl Stages {
    pub(crate) fn new(
        knowledge: Knowledge,
        host: HostView,
        services: Services,
        timebase: Timebase,
        intake: Intake,
    ) -> Self {
        Self {
            knowledge,
            host,
            host_paths: HostPaths::new(),
            services,
            processes: Processes::new(intake),
            lineages: Lineages::default(),
            flows: OpenFlows::default(),
            memory: Memory::default(),
            rejudging: Rejudging::default(),
            queries: Queries::default(),
            names: Names::default(),
            payloads: PayloadCounts::default(),
            plaintext: Plaintext::default(),
            detector: Detector::new(Settings::default()),
            candidate_memory: Memory::default(),
            candidates_version: 0,
            waiting: Waiting::new(Duration::ZERO, Expected::default()),
            lookup: Lookup(Box::new(|_| {})),
            streams: Streams::default(),
            clock: Clock::new(timebase),
            latest_boot_ns: 0,
        }
    }

    /// With the server ports at which clients are expected to open TLS.
    pub(crate) fn with_tls_ports(mut self, ports: BTreeSet<u16>) -> Self {
        self.plaintext.set_tls_ports(ports);
        self
    }

    /// With what is wanted of the findings.
    pub(crate) fn finding(mut self, settings: Settings) -> Self {
        self.detector = Detector::new(settings);
        self
    }

    /// Observations wait up to `limit` until it is known who they are about, as far as somebody is expected to tell.
    pub(crate) fn waiting_for(mut self, expected: Expected, limit: Duration) -> Self {
        self.waiting = Waiting::new(limit, expected);
        if expected.policies {
            self.knowledge.await_policies();
        }
        self
    }

    /// With somebody who is asked for a container as soon as its cgroup is made, by its id, and who does not wait.
    pub(crate) fn asking_for_containers(mut self, ask: Box<dyn FnMut(&str) + Send>) -> Self {
        self.lookup = Lookup(ask);
        self
    }

    /// Each `ClientHello` of flows that were opened later than `since_ns`, nanoseconds of CLOCK_BOOTTIME, is told. Without
    /// this, no flow is marked as plaintext.
    pub(crate) const fn client_hellos_watched(&mut self, since_ns: u64) {
        self.plaintext.watched(since_ns);
    }

    /// Takes in one observation; what leaves the agent because of it is put into `records`.
    pub(crate) fn take(&mut self, observation: Observation, records: &mut Vec<Record>) {
        let Observation { boot_ns, body } = observation;
        self.latest_boot_ns = self.latest_boot_ns.max(boot_ns);
        let body = match body {
            Body::Fork(fork) => {
                let id = self.processes.fork(&fork, boot_ns).exec_id;
                let clone_flags = Some(clone_flag_names(fork.clone_flags));
                self.process_record(ProcessAction::Fork, id, |record| record.clone_flags = clone_flags)
            }
            Body::Exec(exec) => self.exec(*exec, boot_ns),
            Body::Exit(exit) => {
                let id = self.processes.exit(&exit, boot_ns).exec_id;
                self.process_record(ProcessAction::Exit, id, |record| record.exit = Some(exit.status))
            }
            Body::FlowOpen(flow) => {
                self.flow_open(&flow, boot_ns, records);
                None
            }
            Body::FlowClose(flow, end) => {
                self.flow_close(&flow, &end, boot_ns, records);
                None
            }
            Body::FlowUpdate(flow, counters) => {
                self.flow_update(&flow, counters, boot_ns, records);
                None
            }
            Body::FlowDropped(flow, dropped) => Some(self.flow_dropped(&flow, dropped)),
            Body::Payload(payload) => {
                self.payload(*payload, boot_ns, records);
                None
            }
            Body::CgroupMade { id, path } => {
                self.host.cgroup_made(id, &path);
                self.look_up(id);
                None
            }
            Body::CgroupRemoved { id } => {
                self.host.cgroup_removed(id);
                None
            }
            Body::Event(event) => Some(self.event(*event)),
            Body::Gap(gap) => {
                self.plaintext.note_gap(&gap);
                Some(self.loss(&gap))
            }
        };
        records.extend(body.map(|body| self.record(boot_ns, body)));
    }

    /// To be called about every second. `idle` is for how long nothing has waited to be taken in. What leaves the agent
    /// because time has passed is put into `records`.
    pub(crate) fn tick(&mut self, idle: Duration, records: &mut Vec<Record>) {
        let idle_ns = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
        let now_ns = self.latest_boot_ns.saturating_add(idle_ns);
        self.processes.expire(now_ns);
        self.host.tick();
        self.knowledge.expire(now_ns);
        self.names.expire(now_ns);
        self.expire_streams(now_ns, records);
        self.unanswered(now_ns, records);
        self.put_decided(now_ns, records);
        self.note_candidates();
        self.expire_findings(now_ns, records);
    }

    /// To be called when everything has been taken in, losses too: what still waited leaves the agent. Queries do not: an
    /// answer may yet come.
    pub(crate) fn finish(&mut self, records: &mut Vec<Record>) {
        self.release_all(Instant::now(), None, records);
        self.expire_streams(u64::MAX, records);
        self.put_decided(u64::MAX, records);
        self.finish_findings(records);
    }

    /// Takes in what the container runtime tells.
    pub(crate) fn take_container(&mut self, change: ContainerChange, at: Moment) {
        if matches!(change, ContainerChange::ListBegins) {
            self.waiting.expect_runtime();
        }
        self.knowledge.take_container(change, at);
    }

    /// Asks for the container that a new cgroup is of, before its first process comes.
    fn look_up(&mut self, cgroup_id: u64) {
        if let Some(cgroup) = self.host.cgroup(cgroup_id)
            && let Some(id) = &cgroup.container_id
            && self.knowledge.containers.get(id).is_none()
        {
            (self.lookup.0)(id);
        }
    }

    fn record(&self, boot_ns: u64, body: RecordBody) -> Record {
        let time = self.clock.timebase().wall(boot_ns);
        let Knowledge { cluster, node, .. } = &self.knowledge;
        Record { time, boot_ns, cluster: cluster.clone(), node: Arc::clone(node), enrichment: None, body }
    }
}
