//! Records of flows: what is told when one opens, goes on, loses packets and ends.

use std::sync::Arc;

use watchfire_dissect::community_id;
use watchfire_inventory::unknown_process;
use watchfire_model::{
    Flow, FlowCounters, FlowDrop, FlowEnd, FlowRecord, FlowStage, Judgement, Origin, Owner, OwnerUnknown,
    Process, ProcessView, Record, RecordBody,
};

use super::open_flows::{Hello, Judged, OpenFlow, Said};
use super::{Stages, view};

impl Stages {
    pub(super) fn flow_open(&mut self, flow: &Flow, boot_ns: u64, records: &mut Vec<Record>) {
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
    pub(super) fn put_open(&mut self, flow: &Flow, said: Said, records: &mut Vec<Record>) {
        let said = self.flows.put(flow, said);
        let current = Arc::clone(self.knowledge.epoch());
        if said.epoch != current.number
            && let Some(kept) = self.flows.kept(flow)
        {
            self.rejudge_one(&current, &kept, records);
        }
    }

    pub(super) fn flow_close(&mut self, flow: &Flow, end: &FlowEnd, boot_ns: u64, records: &mut Vec<Record>) {
        self.settle_streams(flow, records);
        let stage = if end.established { FlowStage::Close } else { FlowStage::Failed };
        let OpenFlow { said, hello } = self.flows.take(flow).unwrap_or_else(|| self.unknown_flow(flow));
        let record = self.flow_record(flow, stage, &said, &hello, Some(end));
        let is_suspect = end.established && self.plaintext.is_suspect(flow, &end.counters, &hello);
        let found = self.find(flow, &said, &record, boot_ns);
        self.put_flow_record(flow, record, is_suspect.then_some(&said.judged), boot_ns, records);
        records.extend(found);
    }

    pub(super) fn flow_update(
        &mut self,
        flow: &Flow,
        counters: FlowCounters,
        boot_ns: u64,
        records: &mut Vec<Record>,
    ) {
        let OpenFlow { said, hello } = self.flows.get(flow).unwrap_or_else(|| self.unknown_flow(flow));
        let mut record = self.flow_record(flow, FlowStage::Update, &said, &hello, None);
        record.counters = Some(counters);
        let is_suspect = self.plaintext.is_suspect(flow, &counters, &hello);
        self.put_flow_record(flow, record, is_suspect.then_some(&said.judged), boot_ns, records);
    }

    /// Of a flow that looks like plaintext the record waits until it is known that nothing was lost.
    pub(super) fn put_flow_record(
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

    pub(super) fn flow_dropped(&mut self, flow: &Flow, dropped: FlowDrop) -> RecordBody {
        let OpenFlow { said, hello } = self.flows.get(flow).unwrap_or_else(|| self.unknown_flow(flow));
        let mut record = self.flow_record(flow, FlowStage::Dropped, &said, &hello, None);
        record.tls = None;
        record.drop = Some(dropped);
        RecordBody::Flow(Box::new(record))
    }

    pub(super) fn unknown_flow(&mut self, flow: &Flow) -> OpenFlow {
        OpenFlow { said: Arc::new(self.judge(flow)), hello: Hello::Unknown }
    }

    pub(super) fn owner(&self, flow: &Flow) -> Option<&Process> {
        match flow.owner {
            Owner::Known(id) => self.processes.get(id),
            Owner::Unknown(_) => None,
        }
    }

    /// The process at the observed end, or why it is not known.
    pub(super) fn owner_view(&mut self, flow: &Flow) -> (Option<ProcessView>, Option<OwnerUnknown>) {
        match flow.owner {
            // Its records may be lost: the flow still knows whose it is.
            Owner::Known(id) => {
                let unknown = || view::process(&unknown_process(id), None, None, None);
                (Some(self.process_view(id).unwrap_or_else(unknown)), None)
            }
            Owner::Unknown(why) => (None, Some(why)),
        }
    }

    pub(super) fn flow_record(
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
