//! Records for tests, one of each shape that leaves the agent, and waiting for what other threads do.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use watchfire_export::{EncodedRecord, Encoder};
use watchfire_model::{
    CloseReason, Dialect, Direction, EndpointView, ExecId, ExitStatus, FlowCounters, FlowRecord, FlowStage,
    KindCounters, LossRecord, Namespaces, Origin, OwnerUnknown, PodView, PolicyRef, ProcessAction,
    ProcessOrigin, ProcessRecord, ProcessView, Protocol, Record, RecordBody, RecordKind, RuleRef, Side,
    SideVerdict, Tier, UnknownReason, Verdict, WallTime,
};

/// Long enough for any machine; reaching it is a failure, not a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it holds.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never came true: {what}");
        thread::yield_now();
    }
}

/// Loss records numbered from `from`, encoded.
pub(crate) fn numbered(from: u64, records: u64) -> Vec<EncodedRecord> {
    let mut encoder = Encoder::new();
    (from..from + records).map(|n| encoder.encode(&loss(n))).collect()
}

/// The number in a line made by `numbered`.
pub(crate) fn number(line: &str) -> u64 {
    let value: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(value["type"], "loss", "{line}");
    value["lost"].as_u64().unwrap()
}

pub(crate) fn record(body: RecordBody) -> Record {
    Record { time: WallTime(1_700_000_000_123_456_789), node: Arc::from("node-1"), body }
}

pub(crate) fn loss(lost: u64) -> Record {
    let counters = KindCounters { seen: 110, filtered: 3, emitted: 100, dropped: 7, received: 100 };
    record(RecordBody::Loss(LossRecord { kind: RecordKind::ProcessFork, lost, counters }))
}

pub(crate) fn policy(name: &str) -> Arc<PolicyRef> {
    Arc::new(PolicyRef { kind: "NetworkPolicy", namespace: "shop".into(), name: name.into() })
}

pub(crate) fn allow(direction: Direction, name: &str) -> SideVerdict {
    SideVerdict::Allow {
        rule: RuleRef {
            dialect: Dialect::K8s,
            tier: Tier::Normal,
            direction,
            policy: policy(name),
            rule: 0,
            peer: Some(1),
            port: None,
        },
    }
}

pub(crate) fn deny(names: &[&str]) -> SideVerdict {
    SideVerdict::DenyDefault { isolating: names.iter().map(|name| policy(name)).collect() }
}

fn pod(name: &str) -> PodView {
    PodView { namespace: "shop".into(), name: name.into(), uid: format!("uid-of-{name}") }
}

pub(crate) fn process_view() -> ProcessView {
    ProcessView {
        exec_id: ExecId { boot: 0x3f2a_91bc, pid: 4242, start_ticks: 567_890 },
        pid: 4242,
        binary: "/usr/bin/curl".into(),
        args: vec!["curl".into(), "--header".into(), "x: \"ü\"\n".into()],
        args_truncated: true,
        cwd: "/srv".into(),
        uid: 1000,
        euid: 0,
        gid: 1000,
        cgroup_id: 7301,
        cgroup: Some(Arc::from("/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope")),
        namespaces: Namespaces {
            net: 4_026_532_001,
            mnt: 4_026_532_002,
            pid: 4_026_532_003,
            user: 4_026_531_837,
        },
        origin: ProcessOrigin::Observed,
        pod: Some(pod("frontend")),
    }
}

pub(crate) fn process(action: ProcessAction, exit: Option<ExitStatus>) -> Record {
    let parent = ProcessView {
        exec_id: ExecId { boot: 0x3f2a_91bc, pid: 1, start_ticks: 12 },
        pid: 1,
        binary: String::new(),
        args: vec![],
        args_truncated: false,
        cgroup: None,
        origin: ProcessOrigin::BeforeStart,
        pod: None,
        ..process_view()
    };
    let process = process_view();
    record(RecordBody::Process(Box::new(ProcessRecord { action, process, parent: Some(parent), exit })))
}

pub(crate) fn flow(stage: FlowStage, verdict: Verdict) -> FlowRecord {
    FlowRecord {
        stage,
        cookie: 4711,
        protocol: Protocol::Tcp,
        side: Side::Client,
        direction_guessed: false,
        client: EndpointView {
            address: "10.0.1.5:40112".parse().unwrap(),
            pod: Some(pod("frontend")),
            kind: "pod",
            detail: None,
        },
        server: EndpointView {
            address: "[2001:db8::7]:5432".parse().unwrap(),
            pod: None,
            kind: "node",
            detail: Some("node-2".into()),
        },
        process: Some(process_view()),
        process_unknown: None,
        netns: 4_026_532_001,
        origin: Origin::Observed,
        opened: WallTime(1_700_000_000_000_000_000),
        because: verdict.because(),
        verdict,
        close_reason: None,
        duration_ns: None,
        counters: None,
    }
}

pub(crate) fn flow_record(flow: FlowRecord) -> Record {
    record(RecordBody::Flow(Box::new(flow)))
}

/// Every shape, by the name of its golden file.
pub(crate) fn every_shape() -> Vec<(&'static str, Record)> {
    let allowed = || Verdict::combine(allow(Direction::Egress, "to-db"), SideVerdict::NotCovered);
    let denied = Verdict::combine(allow(Direction::Egress, "to-db"), deny(&["default-deny", "db"]));
    let unknown = SideVerdict::Unknown { reason: UnknownReason::PeerUnresolved };
    let closed = FlowRecord {
        close_reason: Some(CloseReason::Fin),
        duration_ns: Some(1_500_000_000),
        counters: Some(FlowCounters {
            bytes_sent: 1000,
            bytes_received: 20_000,
            segments_sent: 12,
            segments_received: 22,
            retransmits: 1,
            srtt_us: 350,
            min_rtt_us: 120,
        }),
        ..flow(FlowStage::Close, allowed())
    };
    let failed = FlowRecord {
        close_reason: Some(CloseReason::Refused),
        duration_ns: Some(90_000),
        counters: Some(FlowCounters::default()),
        ..flow(FlowStage::Failed, Verdict::combine(unknown, SideVerdict::NotCovered))
    };
    let found = FlowRecord {
        side: Side::Server,
        direction_guessed: true,
        process: None,
        process_unknown: Some(OwnerUnknown::BeforeStart),
        origin: Origin::BeforeStart,
        ..flow(FlowStage::Found, Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered))
    };
    let killed = ExitStatus { code: None, signal: Some(9), core_dumped: false };
    vec![
        ("process-fork", process(ProcessAction::Fork, None)),
        ("process-exec", process(ProcessAction::Exec, None)),
        ("process-exit", process(ProcessAction::Exit, Some(killed))),
        ("process-found", process(ProcessAction::Found, None)),
        ("flow-open-denied", flow_record(flow(FlowStage::Open, denied))),
        ("flow-close-allowed", flow_record(closed)),
        ("flow-failed-unknown", flow_record(failed)),
        ("flow-found-not-covered", flow_record(found)),
        ("loss", loss(7)),
    ]
}
