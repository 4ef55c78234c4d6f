//! The stages in their order: inventory, policy, records. The only place that knows them all.

mod events;
mod gauges;
mod host_paths;
mod host_view;
mod open_flows;
mod services;
#[cfg(test)]
mod tests;
mod thread;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use watchfire_inventory::{CgroupOwner, Intake, Processes, Resolver, unknown_process};
use watchfire_model::{
    BackendView, Body, Exec, ExecId, Flow, FlowCounters, FlowDrop, FlowEnd, FlowRecord, FlowStage,
    Observation, Origin, Owner, Peer, Pod, Process, ProcessAction, ProcessRecord, ProcessView, Record,
    RecordBody, Timebase, Verdict, clone_flag_names,
};
use watchfire_policy::{Connection, Endpoint};

use host_paths::HostPaths;
pub(crate) use host_view::HostView;
pub(crate) use services::Services;
pub(crate) use thread::{Control, Pipeline};

use crate::knowledge::Knowledge;
use open_flows::{Judged, Led, OpenFlows};
use services::{BACKENDS_JUDGED_MAX, UNRESOLVED};

/// What the stages hold between observations.
#[derive(Debug)]
pub(crate) struct Stages {
    knowledge: Knowledge,
    host: HostView,
    host_paths: HostPaths,
    services: Services,
    processes: Processes,
    flows: OpenFlows,
    timebase: Timebase,
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
            timebase,
            latest_boot_ns: 0,
        }
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
            Body::FlowOpen(flow) => Some(self.flow_open(&flow)),
            Body::FlowClose(flow, end) => Some(self.flow_close(&flow, &end)),
            Body::FlowUpdate(flow, counters) => Some(self.flow_update(&flow, counters)),
            Body::FlowDropped(flow, dropped) => Some(self.flow_dropped(&flow, dropped)),
            Body::Payload(_) => None,
            Body::CgroupMade { id, path } => {
                self.host.cgroup_made(id, &path);
                None
            }
            Body::CgroupRemoved { id } => {
                self.host.cgroup_removed(id);
                None
            }
            Body::Event(event) => Some(self.event(*event)),
            Body::Gap(gap) => Some(self.loss(&gap)),
        };
        let time = self.timebase.wall(boot_ns);
        records.extend(body.map(|body| Record {
            time,
            boot_ns,
            node: Arc::clone(&self.knowledge.node),
            body,
        }));
    }

    /// To be called about every second.
    pub(crate) fn tick(&mut self) {
        self.processes.expire(self.latest_boot_ns);
        self.host.tick();
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
        let process = self.processes.get(id)?;
        let cgroup = self.host.cgroup(process.cgroup_id);
        let pod = cgroup.as_ref().and_then(|path| self.pod_of(path));
        Some(view::process(process, cgroup.as_ref(), pod.as_deref()))
    }

    fn view_of(&mut self, process: &Process) -> ProcessView {
        let cgroup = self.host.cgroup(process.cgroup_id);
        let pod = cgroup.as_ref().and_then(|path| self.pod_of(path));
        view::process(process, cgroup.as_ref(), pod.as_deref())
    }

    fn pod_of(&self, cgroup: &str) -> Option<Arc<Pod>> {
        match self.knowledge.directory.cgroup_owner(cgroup) {
            CgroupOwner::Pod(pod) => Some(pod),
            CgroupOwner::UnknownPod { .. } | CgroupOwner::NoPod => None,
        }
    }

    fn flow_open(&mut self, flow: &Flow) -> RecordBody {
        let stage = match flow.origin {
            Origin::Observed => FlowStage::Open,
            Origin::BeforeStart => FlowStage::Found,
        };
        let judged = self.judge(flow);
        let record = self.flow_record(flow, stage, &judged, None);
        self.flows.put(flow, judged);
        RecordBody::Flow(Box::new(record))
    }

    fn flow_close(&mut self, flow: &Flow, end: &FlowEnd) -> RecordBody {
        let stage = if end.established { FlowStage::Close } else { FlowStage::Failed };
        let judged = self.flows.take(flow).unwrap_or_else(|| self.judge(flow));
        RecordBody::Flow(Box::new(self.flow_record(flow, stage, &judged, Some(end))))
    }

    fn flow_update(&mut self, flow: &Flow, counters: FlowCounters) -> RecordBody {
        let judged = self.flows.get(flow).unwrap_or_else(|| self.judge(flow));
        let mut record = self.flow_record(flow, FlowStage::Update, &judged, None);
        record.counters = Some(counters);
        RecordBody::Flow(Box::new(record))
    }

    fn flow_dropped(&mut self, flow: &Flow, dropped: FlowDrop) -> RecordBody {
        let judged = self.flows.get(flow).unwrap_or_else(|| self.judge(flow));
        let mut record = self.flow_record(flow, FlowStage::Dropped, &judged, None);
        record.drop = Some(dropped);
        RecordBody::Flow(Box::new(record))
    }

    /// Who stands at the ends, and what policy says about it, both as known now.
    fn judge(&mut self, flow: &Flow) -> Judged {
        let cgroup_id = if flow.cgroup_id == 0 {
            self.owner(flow).map_or(0, |owner| owner.cgroup_id)
        } else {
            flow.cgroup_id
        };
        let cgroup = self.host.cgroup(cgroup_id);
        let Knowledge { directory, policies, node, .. } = &self.knowledge;
        let resolver = Resolver { directory, host: self.host.net(), node };
        let mut ends = resolver.ends(flow, cgroup.as_deref());
        let led = self.services.led(directory, flow, &ends.server);
        let to = |peer: &Peer, server: SocketAddr| {
            let connection = Connection {
                protocol: flow.protocol,
                client: Endpoint { peer: &ends.client, ip: flow.client.ip() },
                server: Endpoint { peer, ip: server.ip() },
                server_port: server.port(),
                direction_guessed: flow.direction_guessed,
            };
            policies.judge(&self.knowledge, &connection)
        };
        let (server, verdict) = match &led {
            None => (None, to(&ends.server, flow.server)),
            Some(Led { backend: BackendView { address: Some(backend), .. }, .. }) => {
                let server = resolver.address(backend.ip());
                let verdict = to(&server, *backend);
                (Some(server), verdict)
            }
            Some(Led { service, .. }) => {
                let backends = service.as_ref().map_or(&[][..], |service| &service.backends);
                let each = backends.iter().filter(|_| backends.len() <= BACKENDS_JUDGED_MAX);
                let each = each.map(|backend| to(&resolver.address(backend.ip()), *backend));
                (Some(UNRESOLVED), Verdict::common(each).unwrap_or_else(|| to(&UNRESOLVED, flow.server)))
            }
        };
        ends.server = server.unwrap_or(ends.server);
        Judged { ends, verdict, led }
    }

    fn owner(&self, flow: &Flow) -> Option<&Process> {
        match flow.owner {
            Owner::Known(id) => self.processes.get(id),
            Owner::Unknown(_) => None,
        }
    }

    fn flow_record(
        &mut self,
        flow: &Flow,
        stage: FlowStage,
        judged: &Judged,
        end: Option<&FlowEnd>,
    ) -> FlowRecord {
        let Judged { ends, verdict, led } = judged;
        let (process, process_unknown) = match flow.owner {
            // Its records may be lost: the flow still knows whose it is.
            Owner::Known(id) => {
                let unknown = || view::process(&unknown_process(id), None, None);
                (Some(self.process_view(id).unwrap_or_else(unknown)), None)
            }
            Owner::Unknown(why) => (None, Some(why)),
        };
        FlowRecord {
            stage,
            cookie: flow.cookie,
            protocol: flow.protocol,
            icmp: flow.icmp,
            community_id: String::new(),
            side: flow.side,
            direction_guessed: flow.direction_guessed,
            client: view::endpoint(flow.client, &ends.client),
            server: view::server(flow.server, &ends.server, led.as_ref()),
            process,
            process_unknown,
            netns: flow.netns,
            origin: flow.origin,
            opened: self.timebase.wall(flow.opened_boot_ns),
            verdict: verdict.clone(),
            because: verdict.because(),
            close_reason: end.map(|end| end.reason),
            duration_ns: end.and_then(|end| end.duration_ns),
            handshake_us: flow.handshake_ns.map(|ns| ns / 1000),
            counters: end.map(|end| end.counters),
            tls: None,
            plaintext: false,
            drop: None,
        }
    }
}
