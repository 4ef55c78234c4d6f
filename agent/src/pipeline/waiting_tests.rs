//! Observations that come before it is known who they are about.

use std::time::Instant;

use watchfire_inventory::{
    Change, ContainerChange, ContainerObject, NodeObject, Object, PodObject, ResourceKind, Source,
    SourceBatch, UnknownReason,
};
use watchfire_model::{Enrichment, EnrichmentOutcome, Flow, Missing};

use super::*;

const UID: &str = "0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b";
const CONTAINER: &str = "4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7aa4bc7";
const LIMIT: Duration = Duration::from_millis(500);
const EXPECTED: Expected = Expected { pods: true, containers: true, peers: true, policies: false };
const CGROUP: u64 = 77;

/// Pid, pod, container and how they came to be known.
type Shown = (u32, Option<String>, Option<String>, Option<Enrichment>);

struct Waited {
    stages: Stages,
    start: Instant,
    records: Vec<Record>,
}

impl Waited {
    fn new() -> Self {
        let mut stages = stages("").waiting_for(EXPECTED, LIMIT);
        let path = format!("/kubepods/pod{UID}/{CONTAINER}");
        stages.take(Observation { boot_ns: 1, body: Body::CgroupMade { id: CGROUP, path } }, &mut Vec::new());
        Self { stages, start: Instant::now(), records: Vec::new() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn admit(&mut self, ms: u64, body: Body) {
        let now = self.at(ms);
        self.stages.admit(Observation { boot_ns: 5, body }, now, &mut self.records);
    }

    fn exec(&mut self, ms: u64, pid: u32, cgroup_id: u64) {
        let Body::Exec(mut exec) = exec(pid, &["/bin/sh"], false) else { unreachable!() };
        exec.cgroup_id = cgroup_id;
        self.admit(ms, Body::Exec(exec));
    }

    /// What the records since the last call show.
    fn released(&mut self, ms: u64) -> Vec<Shown> {
        let now = self.at(ms);
        self.stages.release(now, &mut self.records);
        let shown = |record: Record| match record.body {
            RecordBody::Process(process) => {
                let process = process.process;
                let pod = process.pod.map(|pod| pod.name.to_string());
                let container = process.container.map(|container| container.name.to_string());
                (process.pid, pod, container, record.enrichment)
            }
            other => panic!("{other:?}"),
        };
        std::mem::take(&mut self.records).into_iter().map(shown).collect()
    }

    fn tell(&mut self, changes: Vec<Change>) {
        let at = moment(self.stages.clock.timebase());
        self.stages.knowledge.take(SourceBatch { source: Source::Api, changes }, at);
    }

    fn tell_pod(&mut self) {
        let pod = PodObject {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            uid: UID.to_owned(),
            ips: vec!["10.1.0.9".parse().unwrap()],
            created_unix_s: Some(0),
            ..PodObject::default()
        };
        self.tell(vec![Change::Apply(Box::new(Object::Pod(pod)))]);
    }

    fn tell_unknown(&mut self, reason: UnknownReason) {
        let at = moment(self.stages.clock.timebase());
        self.stages.take_container(ContainerChange::Unknown { id: CONTAINER.to_owned(), reason }, at);
    }

    fn tell_container(&mut self) {
        let container = ContainerObject {
            id: CONTAINER.to_owned(),
            name: "app".to_owned(),
            ..ContainerObject::default()
        };
        let at = moment(self.stages.clock.timebase());
        self.stages.take_container(ContainerChange::Apply(Arc::new(container)), at);
    }
}

fn enrichment(outcome: EnrichmentOutcome, missing: Missing, waited_ms: u64) -> Option<Enrichment> {
    Some(Enrichment { outcome, missing, waited_ms })
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn records_of_a_pod_wait_for_it_in_their_order() {
    let mut waited = Waited::new();
    waited.exec(0, 10, CGROUP);
    waited.exec(1, 11, CGROUP);
    waited.exec(2, 12, 0);
    assert_eq!(waited.released(2), [(12, None, None, None)], "others do not wait with them");
    waited.tell_container();
    assert_eq!(waited.released(20), []);
    waited.tell_pod();
    // Behind those that wait, though nothing is missing any more.
    waited.exec(21, 13, CGROUP);
    let late = |waited_ms| enrichment(EnrichmentOutcome::Late, Missing::Pod, waited_ms);
    let expected = [
        (10, text("web"), text("app"), late(30)),
        (11, text("web"), text("app"), late(29)),
        (13, text("web"), text("app"), late(9)),
    ];
    assert_eq!(waited.released(30), expected);
    waited.exec(31, 14, CGROUP);
    assert_eq!(waited.released(31), [(14, text("web"), text("app"), None)]);
    assert_eq!(waited.stages.waiting.count(EnrichmentOutcome::Late, Missing::Pod), 3);
    assert_eq!(waited.stages.waiting.len(), 0);
}

#[test]
fn what_is_not_told_in_time_is_missing_and_not_waited_for_again() {
    let mut waited = Waited::new();
    waited.exec(0, 10, CGROUP);
    assert_eq!(waited.released(499), []);
    let failed = |waited_ms| enrichment(EnrichmentOutcome::Failed, Missing::Pod, waited_ms);
    // That a container runs there is told by its cgroup.
    assert_eq!(waited.released(502), [(10, None, text(""), failed(502))]);
    waited.exec(600, 11, CGROUP);
    assert_eq!(waited.released(600), [(11, None, text(""), failed(0))]);
    waited.tell_pod();
    waited.tell_container();
    waited.exec(700, 12, CGROUP);
    assert_eq!(waited.released(700), [(12, text("web"), text("app"), None)]);
}

#[test]
fn a_container_is_asked_for_as_its_cgroup_is_made_and_waited_for() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ids = Arc::clone(&asked);
    let mut waited = Waited::new();
    waited.stages =
        waited.stages.asking_for_containers(Box::new(move |id| ids.lock().unwrap().push(id.to_owned())));
    let path = format!("/kubepods/pod{UID}/{}", CONTAINER.replace('4', "5"));
    waited.admit(0, Body::CgroupMade { id: CGROUP + 1, path });
    assert_eq!(*asked.lock().unwrap(), [CONTAINER.replace('4', "5")]);
    waited.tell_pod();
    waited.exec(1, 10, CGROUP);
    assert_eq!(asked.lock().unwrap().last().map(String::as_str), Some(CONTAINER), "older than the agent");
    assert_eq!(waited.released(3), []);
    waited.tell_container();
    let late = enrichment(EnrichmentOutcome::Late, Missing::Container, 9);
    assert_eq!(waited.released(10), [(10, text("web"), text("app"), late)]);
}

#[test]
fn a_flow_waits_for_who_has_the_cluster_address_at_its_other_end() {
    let mut waited = Waited::new();
    waited.stages = stages("").waiting_for(EXPECTED, LIMIT);
    let node = NodeObject {
        name: "node-b".to_owned(),
        pod_cidrs: vec!["10.1.0.0/16".to_owned()],
        ..NodeObject::default()
    };
    waited.tell(vec![
        Change::ListBegins(ResourceKind::Node),
        Change::Apply(Box::new(Object::Node(node))),
        Change::ListEnds(ResourceKind::Node),
    ]);
    let path = "/system.slice/sshd.service".to_owned();
    waited.admit(0, Body::CgroupMade { id: 5, path });
    let to_unknown = Flow { cgroup_id: 5, server: "10.1.0.9:80".parse().unwrap(), ..flow() };
    waited.admit(0, Body::FlowOpen(to_unknown));
    waited.admit(
        0,
        Body::FlowOpen(Flow { cookie: 9, server: "198.51.100.1:80".parse().unwrap(), ..to_unknown }),
    );
    let now = waited.at(4);
    waited.stages.release(now, &mut waited.records);
    assert_eq!(waited.records.len(), 0, "nor does what its cgroup does later");
    waited.tell_pod();
    let now = waited.at(8);
    waited.stages.release(now, &mut waited.records);
    let shown: Vec<_> = waited
        .records
        .iter()
        .map(|record| match &record.body {
            RecordBody::Flow(flow) => {
                (flow.server.kind, record.enrichment.map(|enrichment| enrichment.missing))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shown, [("pod", Some(Missing::Peer)), ("world", Some(Missing::Peer))]);
}

#[test]
fn at_the_end_and_at_the_limit_what_waits_goes_out() {
    let mut waited = Waited::new();
    for pid in 0..super::super::waiting::WAITING_MAX as u32 {
        waited.exec(0, pid + 10, CGROUP);
    }
    assert_eq!((waited.stages.waiting.len(), waited.records.len()), (super::super::waiting::WAITING_MAX, 0));
    waited.exec(0, 5, CGROUP);
    assert_eq!(waited.stages.waiting.len(), 0);
    assert_eq!(waited.records.len(), super::super::waiting::WAITING_MAX + 1);
    let last = waited.records.last().unwrap().enrichment;
    assert_eq!(last, enrichment(EnrichmentOutcome::Failed, Missing::Room, 0));
    waited.records.clear();
    waited.exec(0, 6, CGROUP);
    waited.stages.finish(&mut waited.records);
    assert_eq!(waited.records.len(), 1);
}

#[test]
fn a_container_that_its_runtime_cannot_tell_of_is_waited_for_and_missing() {
    for reason in [UnknownReason::NotConnected, UnknownReason::Timeout, UnknownReason::Failed] {
        let mut waited = Waited::new();
        waited.tell_pod();
        waited.exec(0, 10, CGROUP);
        waited.tell_unknown(reason);
        assert_eq!(waited.released(499), []);
        let failed = enrichment(EnrichmentOutcome::Failed, Missing::Container, 502);
        assert_eq!(waited.released(502), [(10, text("web"), text(""), failed)]);
        waited.tell_container();
        waited.exec(600, 11, CGROUP);
        assert_eq!(waited.released(600), [(11, text("web"), text("app"), None)]);
    }
    let mut waited = Waited::new();
    waited.tell_pod();
    waited.tell_unknown(UnknownReason::NotFound);
    waited.exec(0, 10, CGROUP);
    assert_eq!(waited.released(0), [(10, text("web"), text(""), None)], "there is no more to be had");
}

#[test]
fn what_waits_at_the_end_goes_out_for_want_of_what_it_waits_for() {
    let mut waited = Waited::new();
    waited.tell_pod();
    waited.exec(0, 10, CGROUP);
    waited.stages.finish(&mut waited.records);
    assert_eq!(waited.records[0].enrichment.unwrap().missing, Missing::Container);
}

#[test]
fn a_runtime_that_appears_is_waited_for_from_then_on() {
    let mut waited = Waited::new();
    waited.stages = waited.stages.waiting_for(Expected::default(), LIMIT);
    waited.tell_pod();
    waited.exec(0, 10, CGROUP);
    assert_eq!(waited.released(0), [(10, text("web"), text(""), None)]);
    let at = moment(waited.stages.clock.timebase());
    waited.stages.take_container(ContainerChange::ListBegins, at);
    waited.exec(1, 11, CGROUP);
    assert_eq!(waited.released(10), []);
}

#[test]
fn nothing_waits_where_nobody_is_there_to_tell() {
    let mut waited = Waited::new();
    waited.stages = waited.stages.waiting_for(Expected::default(), LIMIT);
    waited.exec(0, 10, CGROUP);
    assert_eq!(waited.released(0), [(10, None, text(""), None)]);
}
