//! What of the flows deserves attention.

use watchfire_detect::{At, Detector, Facts};
use watchfire_export::FindingTotals;
use watchfire_model::{
    Direction, Finding, Flow, FlowRecord, NearestRule, Peer, PolicyRef, Record, RecordBody, RulePlace,
};
use watchfire_policy::{Connection, Endpoint, PolicySet};

use super::Stages;
use super::open_flows::Judged;
use crate::knowledge::Knowledge;

/// What is known beside the record of a flow.
struct FlowFacts<'a> {
    knowledge: &'a Knowledge,
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
        let explanation = self.set.explain(self.knowledge, &self.connection());
        let trial = explanation.nearest(direction)?;
        Some(NearestRule { rule: RulePlace::from(&trial.rule), differs: trial.to_string() })
    }

    fn has_subject(&self, direction: Direction) -> bool {
        self.peer(direction).pod().is_some_and(|pod| !pod.identity.host_network)
    }

    fn has_policies(&self, namespace: &str) -> bool {
        let policies = self.set.policies().iter();
        policies.into_iter().any(|policy| policy.reference().namespace == namespace)
    }

    fn is_candidate(&self, _: &PolicyRef) -> bool {
        false
    }
}

impl Stages {
    /// The finding that begins with the record of a flow. It goes out behind the record.
    pub(super) fn find(
        &mut self,
        flow: &Flow,
        judged: &Judged,
        record: &FlowRecord,
        boot_ns: u64,
    ) -> Option<Record> {
        let at = At { boot_ns, wall: self.clock.timebase().wall(boot_ns) };
        let Self { detector, knowledge, .. } = self;
        let facts = FlowFacts { knowledge, set: knowledge.policies(), flow, judged };
        let finding = detector.flow(record, at, &facts)?;
        Some(self.finding_record(finding, boot_ns))
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
pub(super) fn totals(detector: &Detector) -> FindingTotals {
    let withheld = detector.withheld();
    FindingTotals {
        open: detector.open(),
        overflowed: detector.overflowed(),
        pairs_evicted: detector.pairs_evicted(),
        withheld_before_start: withheld.before_start,
        withheld_direction_guessed: withheld.direction_guessed,
        withheld_stale_window: withheld.stale_window,
        ..FindingTotals::default()
    }
}
