//! What of the flows deserves attention.

use std::iter;
use std::sync::Arc;

use watchfire_detect::{At, Detector, Facts};
use watchfire_export::FindingTotals;
use watchfire_model::{
    Direction, Finding, Flow, FlowRecord, FlowStage, NearestRule, Peer, PolicyRef, Record, RecordBody,
    RulePlace,
};
use watchfire_policy::{Connection, Endpoint, PolicySet};

use super::clock::moment;
use super::judge::Judge;
use super::open_flows::{Judged, Said};
use super::{Names, Stages};
use crate::knowledge::{Epoch, Knowledge};

/// Most entries of the nearest rule of which it is told what differs.
const DIFFERENCES_MAX: usize = 3;

/// What is known beside the record of a flow.
struct FlowFacts<'a> {
    knowledge: &'a Knowledge,
    names: &'a Names,
    /// The policies that it was judged by.
    set: &'a PolicySet,
    flow: &'a Flow,
    judged: &'a Judged,
}

impl FlowFacts<'_> {
    fn peer(&self, direction: Direction) -> &Peer {
        match direction {
            Direction::Ingress => &self.judged.ends.server,
            Direction::Egress => &self.judged.ends.client,
        }
    }

    /// The flow as policies see it. Where it is not known which of several pods a service led to, none is near.
    fn connection(&self) -> Connection<'_> {
        let Self { flow, judged, .. } = self;
        let backend = judged.led.as_ref().and_then(|led| led.backend.address);
        let server = backend.unwrap_or(flow.server);
        Connection {
            protocol: flow.protocol,
            client: Endpoint { peer: &judged.ends.client, ip: flow.client.ip() },
            server: Endpoint { peer: &judged.ends.server, ip: server.ip() },
            server_port: server.port(),
            icmp_type: flow.icmp.map(|icmp| icmp.icmp_type),
            direction_guessed: flow.direction_guessed,
        }
    }
}

impl Facts for FlowFacts<'_> {
    fn nearest(&self, direction: Direction) -> Option<NearestRule> {
        let explanation = self.set.explain(&self.knowledge.world(self.names), &self.connection());
        let trial = explanation.nearest(direction)?;
        let told = trial.differences.iter().take(DIFFERENCES_MAX).map(ToString::to_string);
        let differs: Vec<String> = iter::once(trial.to_string()).chain(told).collect();
        Some(NearestRule { rule: RulePlace::from(&trial.rule), differs: differs.join("; ") })
    }

    fn has_subject(&self, direction: Direction) -> bool {
        subject(self.peer(direction)).is_some()
    }

    fn has_policies(&self, namespace: &str) -> bool {
        self.knowledge.has_policies(namespace)
    }

    fn is_candidate(&self, policy: &PolicyRef) -> bool {
        self.knowledge.candidates().references().contains(policy)
    }
}

/// The namespace of who policies can be about: pods on their node's network are not.
fn subject(peer: &Peer) -> Option<&str> {
    let identity = &peer.pod()?.identity;
    (!identity.host_network).then_some(&*identity.namespace)
}

impl Stages {
    /// The findings that begin with the record of a flow. They go out behind the record.
    pub(super) fn find(
        &mut self,
        flow: &Flow,
        said: &Said,
        record: &FlowRecord,
        boot_ns: u64,
    ) -> Vec<Record> {
        let judged = &*said.judged;
        let epochs = self.knowledge.epochs();
        // Where it is kept no more, the flow is not new, and no rule is asked for.
        let epoch = Arc::clone(epochs.numbered(said.epoch).unwrap_or_else(|| epochs.current()));
        let mut found = self.find_by(&epoch.set, flow, judged, record, boot_ns);
        let is_new = matches!(record.stage, FlowStage::Open | FlowStage::Failed);
        if is_new {
            found.extend(self.find_by_candidates(flow, said, record, boot_ns));
        }
        found
    }

    /// The same for a record that was made by another set of policies.
    pub(super) fn find_by(
        &mut self,
        set: &PolicySet,
        flow: &Flow,
        judged: &Judged,
        record: &FlowRecord,
        boot_ns: u64,
    ) -> Vec<Record> {
        let at = self.moment_of(boot_ns);
        let Self { detector, knowledge, names, .. } = self;
        let facts = FlowFacts { knowledge, names, set, flow, judged };
        let found = detector.flow(record, at, &facts);
        found.into_iter().map(|finding| self.finding_record(finding, boot_ns)).collect()
    }

    /// What the candidates would have policy say of a flow, where that is something else. A flow that began under policies which
    /// are in force no more is not compared: the candidates are judged with those that are.
    fn find_by_candidates(
        &mut self,
        flow: &Flow,
        said: &Said,
        record: &FlowRecord,
        boot_ns: u64,
    ) -> Option<Record> {
        let set = Arc::clone(self.knowledge.candidates().set()?);
        let current = Arc::clone(self.knowledge.epoch());
        if said.epoch != current.number {
            return None;
        }
        self.note_candidates();
        let at = self.moment_of(boot_ns);
        let with_candidates = Epoch {
            number: current.number,
            since_ns: current.since_ns,
            dialect: current.dialect,
            set: Arc::clone(&set),
            facts: current.facts,
            mesh: None,
            is_whole: current.is_whole,
        };
        let judged = &*said.judged;
        let Self { knowledge, host, names, candidate_memory, detector, .. } = self;
        let modes = knowledge.modes();
        let [client, server] = [&judged.ends.client, &judged.ends.server].map(subject);
        // Candidates cannot be about it.
        if ![client, server].into_iter().flatten().any(|namespace| modes.is_candidate(namespace)) {
            return None;
        }
        let mut judge = Judge { knowledge, host, names, memory: candidate_memory };
        let with = judge.verdict(&with_candidates, flow, &judged.ends, judged.led.as_ref());
        let combined = modes.combined(&judged.verdict, &with, client, server);
        let facts = FlowFacts { knowledge, names, set: &set, flow, judged };
        let finding = detector.candidate(record, &combined, at, &facts)?;
        Some(self.finding_record(finding, boot_ns))
    }

    /// Counts anew what candidates would change, where they are others now.
    pub(super) fn note_candidates(&mut self) {
        let candidates = self.knowledge.candidates();
        if candidates.version() != self.candidates_version {
            self.candidates_version = candidates.version();
            let policies = candidates.references().iter().cloned().collect();
            let timebase = self.clock.timebase();
            self.detector.candidates_changed(timebase.wall(moment(timebase).boot_ns), policies);
        }
    }

    /// Records of which it was found out whether they are of plaintext, with the findings that begin with them.
    pub(super) fn put_decided(&mut self, now_ns: u64, records: &mut Vec<Record>) {
        while let Some(record) = self.plaintext.decided(now_ns) {
            let at = self.moment_of(record.boot_ns);
            let found = match &record.body {
                RecordBody::Flow(flow) => self.detector.carried(flow, at),
                _ => None,
            };
            let boot_ns = record.boot_ns;
            records.push(record);
            records.extend(found.map(|finding| self.finding_record(finding, boot_ns)));
        }
    }

    const fn moment_of(&self, boot_ns: u64) -> At {
        At { boot_ns, wall: self.clock.timebase().wall(boot_ns) }
    }

    /// What is to be told of findings because time has passed.
    pub(super) fn expire_findings(&mut self, now_ns: u64, records: &mut Vec<Record>) {
        let findings = self.detector.expire(now_ns);
        records.extend(findings.into_iter().map(|finding| self.finding_record(finding, now_ns)));
    }

    /// The last record of each finding.
    pub(super) fn finish_findings(&mut self, records: &mut Vec<Record>) {
        let findings = self.detector.finish();
        let now_ns = self.latest_boot_ns;
        records.extend(findings.into_iter().map(|finding| self.finding_record(finding, now_ns)));
    }

    fn finding_record(&self, finding: Finding, boot_ns: u64) -> Record {
        self.record(boot_ns, RecordBody::Finding(Box::new(finding)))
    }
}

/// What the detector counts.
pub(super) fn totals(detector: &Detector, knowledge: &Knowledge) -> FindingTotals {
    let withheld = detector.withheld();
    let (candidate_effects, candidate_unchanged, candidate_unknown) = detector.candidate_totals();
    FindingTotals {
        open: detector.open(),
        overflowed: detector.overflowed(),
        pairs_evicted: detector.pairs_evicted(),
        withheld_before_start: withheld.before_start,
        withheld_direction_guessed: withheld.direction_guessed,
        withheld_stale_window: withheld.stale_window,
        candidates: knowledge.candidates().references().len(),
        candidate_effects,
        candidate_unchanged,
        candidate_unknown,
    }
}
