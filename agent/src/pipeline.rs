//! The stages in their order: dissection, inventory, policy, records. The only place that knows them all.

mod answer;
mod clock;
mod events;
mod findings;
mod gauges;
mod host_paths;
mod host_view;
mod interned;
mod judge;
mod mesh;
mod names;
mod open_flows;
mod payloads;
mod plaintext;
mod queries;
mod rejudge;
mod services;
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
use watchfire_dissect::community_id;
use watchfire_inventory::{Cgroup, ContainerChange, Intake, Moment, Processes, unknown_process};
use watchfire_model::{
    Body, ContainerView, Exec, ExecId, Flow, FlowCounters, FlowDrop, FlowEnd, FlowRecord, FlowStage,
    Judgement, Observation, Origin, Owner, OwnerUnknown, Pod, Process, ProcessAction, ProcessRecord,
    ProcessView, Record, RecordBody, Timebase, clone_flag_names,
};

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
use open_flows::{Hello, Judged, OpenFlow, OpenFlows, Said};
use payloads::PayloadCounts;
use plaintext::Plaintext;
use queries::Queries;
use rejudge::Rejudging;
use streams::Streams;

/// What a cgroup is, and whose, as far as that is known.
struct Belonging {
    cgroup: Option<Arc<Cgroup>>,
    pod: Option<Arc<Pod>>,
    container: Option<Arc<ContainerView>>,
}

impl Belonging {
    fn view(self, process: &Process) -> ProcessView {
        view::process(process, self.cgroup.as_deref(), self.pod.as_deref(), self.container)
    }
}

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

    fn exec(&mut self, exec: Exec, boot_ns: u64) -> Option<RecordBody> {
        let action = if exec.before_start { ProcessAction::Found } else { ProcessAction::Exec };
        let (process, detail) = self.processes.exec(exec, boot_ns);
        let id = process.exec_id;
        self.process_record(action, id, |record| record.exec = Some(detail))
    }

    /// The record of what a process did; `add` puts in what that action tells besides.
    fn process_record(
        &mut self,
        action: ProcessAction,
        id: ExecId,
        add: impl FnOnce(&mut ProcessRecord),
    ) -> Option<RecordBody> {
        let parent = self.processes.get(id)?.parent;
        let process = self.process_view(id)?;
        let parent = parent.and_then(|parent| self.process_view(parent));
        let mut record = ProcessRecord { action, process, parent, exit: None, clone_flags: None, exec: None };
        add(&mut record);
        Some(RecordBody::Process(Box::new(record)))
    }

    fn process_view(&mut self, id: ExecId) -> Option<ProcessView> {
        let cgroup_id = self.processes.get(id)?.cgroup_id;
        let belonging = self.belonging(cgroup_id);
        self.processes.get(id).map(|process| belonging.view(process))
    }

    fn view_of(&mut self, process: &Process) -> ProcessView {
        self.belonging(process.cgroup_id).view(process)
    }

    /// What a cgroup is, and whose.
    fn belonging(&mut self, cgroup_id: u64) -> Belonging {
        let cgroup = self.host.cgroup(cgroup_id);
        let pod = cgroup.as_deref().and_then(|cgroup| self.knowledge.pod_of(cgroup));
        let container = cgroup.as_deref().and_then(|cgroup| self.knowledge.container_of(cgroup));
        Belonging { cgroup, pod, container }
    }

    fn flow_open(&mut self, flow: &Flow, boot_ns: u64, records: &mut Vec<Record>) {
        let stage = match flow.origin {
            Origin::Observed => FlowStage::Open,
            Origin::BeforeStart => FlowStage::Found,
        };
        let said = self.judge(flow);
        let record = self.flow_record(flow, stage, &said, &Hello::NotSeen, None);
        let found = self.find(flow, &said, &record, boot_ns);
        records.push(self.record(boot_ns, RecordBody::Flow(Box::new(record))));
        records.extend(found);
        self.put_open(flow, said, records);
    }

    /// Keeps what was said of an open flow. One that began under policies which are in force no more is judged by those that
    /// are as well.
    fn put_open(&mut self, flow: &Flow, said: Said, records: &mut Vec<Record>) {
        let said = self.flows.put(flow, said);
        let current = Arc::clone(self.knowledge.epoch());
        if said.epoch != current.number
            && let Some(kept) = self.flows.kept(flow)
        {
            self.rejudge_one(&current, &kept, records);
        }
    }

    fn flow_close(&mut self, flow: &Flow, end: &FlowEnd, boot_ns: u64, records: &mut Vec<Record>) {
        self.settle_streams(flow, records);
        let stage = if end.established { FlowStage::Close } else { FlowStage::Failed };
        let OpenFlow { said, hello } = self.flows.take(flow).unwrap_or_else(|| self.unknown_flow(flow));
        let record = self.flow_record(flow, stage, &said, &hello, Some(end));
        let is_suspect = end.established && self.plaintext.is_suspect(flow, &end.counters, &hello);
        let found = self.find(flow, &said, &record, boot_ns);
        self.put_flow_record(flow, record, is_suspect.then_some(&said.judged), boot_ns, records);
        records.extend(found);
    }

    fn flow_update(&mut self, flow: &Flow, counters: FlowCounters, boot_ns: u64, records: &mut Vec<Record>) {
        let OpenFlow { said, hello } = self.flows.get(flow).unwrap_or_else(|| self.unknown_flow(flow));
        let mut record = self.flow_record(flow, FlowStage::Update, &said, &hello, None);
        record.counters = Some(counters);
        let is_suspect = self.plaintext.is_suspect(flow, &counters, &hello);
        self.put_flow_record(flow, record, is_suspect.then_some(&said.judged), boot_ns, records);
    }

    /// Of a flow that looks like plaintext the record waits until it is known that nothing was lost.
    fn put_flow_record(
        &mut self,
        flow: &Flow,
        record: FlowRecord,
        suspect: Option<&Arc<Judged>>,
        boot_ns: u64,
        records: &mut Vec<Record>,
    ) {
        let record = self.record(boot_ns, RecordBody::Flow(Box::new(record)));
        if let Some(judged) = suspect {
            records.extend(self.plaintext.hold(record, flow.opened_boot_ns, judged));
        } else {
            records.push(record);
        }
    }

    fn flow_dropped(&mut self, flow: &Flow, dropped: FlowDrop) -> RecordBody {
        let OpenFlow { said, hello } = self.flows.get(flow).unwrap_or_else(|| self.unknown_flow(flow));
        let mut record = self.flow_record(flow, FlowStage::Dropped, &said, &hello, None);
        record.tls = None;
        record.drop = Some(dropped);
        RecordBody::Flow(Box::new(record))
    }

    fn unknown_flow(&mut self, flow: &Flow) -> OpenFlow {
        OpenFlow { said: Arc::new(self.judge(flow)), hello: Hello::Unknown }
    }

    fn owner(&self, flow: &Flow) -> Option<&Process> {
        match flow.owner {
            Owner::Known(id) => self.processes.get(id),
            Owner::Unknown(_) => None,
        }
    }

    /// The process at the observed end, or why it is not known.
    fn owner_view(&mut self, flow: &Flow) -> (Option<ProcessView>, Option<OwnerUnknown>) {
        match flow.owner {
            // Its records may be lost: the flow still knows whose it is.
            Owner::Known(id) => {
                let unknown = || view::process(&unknown_process(id), None, None, None);
                (Some(self.process_view(id).unwrap_or_else(unknown)), None)
            }
            Owner::Unknown(why) => (None, Some(why)),
        }
    }

    fn flow_record(
        &mut self,
        flow: &Flow,
        stage: FlowStage,
        said: &Said,
        hello: &Hello,
        end: Option<&FlowEnd>,
    ) -> FlowRecord {
        let Judged { ends, verdict, mesh, names, led } = &*said.judged;
        let (process, process_unknown) = self.owner_view(flow);
        let (client, server) = view::endpoints(&self.knowledge.directory, flow, ends, led.as_ref(), names);
        FlowRecord {
            stage,
            cookie: flow.cookie,
            protocol: flow.protocol,
            icmp: flow.icmp,
            community_id: community_id(flow.protocol, flow.client, flow.server, flow.icmp),
            side: flow.side,
            direction_guessed: flow.direction_guessed,
            client,
            server,
            process,
            process_unknown,
            netns: flow.netns,
            origin: flow.origin,
            opened: self.clock.timebase().wall(flow.opened_boot_ns),
            verdict: verdict.as_ref().clone(),
            because: verdict.because(),
            judgement: Judgement {
                policy_epoch: said.epoch,
                dialect: said.dialect,
                stale_window: said.is_stale,
                mesh: mesh.as_ref().and_then(|mesh| mesh.seen(hello, false)),
                previous: None,
                verdict_now: said.now.as_ref().map(|now| Box::new(now.view(hello))),
            },
            close_reason: end.map(|end| end.reason),
            duration_ns: end.and_then(|end| end.duration_ns),
            handshake_us: flow.handshake_ns.map(|ns| ns / 1000),
            counters: end.map(|end| end.counters),
            tls: hello.view(),
            plaintext: false,
            drop: None,
        }
    }
}
