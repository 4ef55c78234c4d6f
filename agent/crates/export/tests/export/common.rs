//! Records for tests, one of each shape that leaves the agent, and waiting for what other threads do.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use watchfire_export::{EncodedRecord, Encoder};
use watchfire_model::{
    CloseReason, ContainerView, Device, Dialect, Direction, DnsAnswer, DnsRecord, EndpointView, ExecDetail,
    ExecId, ExitStatus, FlowCounters, FlowDrop, FlowRecord, FlowStage, Icmp, Judgement, KindCounters,
    LossRecord, MeshView, MeshWord, Namespaces, Origin, Outcome, OwnerUnknown, Packets, PodUid, PodView,
    PolicyRef, ProcessAction, ProcessOrigin, ProcessRecord, ProcessView, Protocol, Record, RecordBody,
    RecordKind, RuleDetail, RuleRef, Side, SideVerdict, Tier, TlsView, UnknownReason, Verdict, VerdictAt,
    WallTime, WorkloadRef, clone_flag_names,
};

use crate::{events, findings};

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
    let node = Arc::from("node-1");
    Record {
        time: WallTime(1_700_000_000_123_456_789),
        boot_ns: 86_400_123_456_789,
        cluster: None,
        node,
        enrichment: None,
        body,
    }
}

pub(crate) fn loss(lost: u64) -> Record {
    let counters = KindCounters {
        seen: 112,
        filtered: 3,
        suppressed: 2,
        emitted: 100,
        dropped: 7,
        received: 99,
        lost_at_restart: 1,
    };
    record(RecordBody::Loss(Box::new(LossRecord {
        kind: RecordKind::File,
        cgroup_id: Some(7301),
        cgroup: Some(Arc::from("/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope")),
        pod: Some(pod("frontend")),
        lost,
        suppressed: 2,
        first: WallTime(1_700_000_000_000_000_000),
        last: WallTime(1_700_000_000_123_456_789),
        counters,
    })))
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
            detail: RuleDetail::default(),
        },
    }
}

pub(crate) fn deny(names: &[&str]) -> SideVerdict {
    SideVerdict::DenyDefault { isolating: names.iter().map(|name| policy(name)).collect() }
}

pub(crate) fn pod(name: &str) -> PodView {
    PodView {
        uid: PodUid::parse("0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b"),
        workload: Some(WorkloadRef { kind: "Deployment".into(), name: "shop".into() }),
        service_account: Some("shop".into()),
        ..PodView::named("shop", name)
    }
}

fn container() -> Arc<ContainerView> {
    Arc::new(ContainerView {
        id: "4bc7aa".into(),
        name: "app".into(),
        image: "shop/app:1".into(),
        image_digest: "sha256:77".into(),
        sandbox: false,
        privileged: Some(false),
    })
}

pub(crate) fn process_view() -> ProcessView {
    ProcessView {
        exec_id: ExecId { boot: 0x3f2a_91bc, pid: 4242, start_ticks: 567_890 },
        pid: 4242,
        ns_pid: 7,
        binary: "/usr/bin/curl".into(),
        args: ["curl", "--header", "x: \"ü\"\n"].map(str::to_owned).into(),
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
        container: Some(container()),
        unit: None,
    }
}

pub(crate) fn process(action: ProcessAction, exit: Option<ExitStatus>) -> Record {
    let parent = ProcessView {
        exec_id: ExecId { boot: 0x3f2a_91bc, pid: 1, start_ticks: 12 },
        pid: 1,
        ns_pid: 0,
        binary: Arc::default(),
        args: Arc::default(),
        args_truncated: false,
        cgroup: None,
        origin: ProcessOrigin::BeforeStart,
        pod: None,
        ..process_view()
    };
    let process = process_view();
    let clone_flags = (action == ProcessAction::Fork).then(|| clone_flag_names(0x2000_0011));
    let exec = (action == ProcessAction::Exec).then(exec_detail);
    let parent = Some(parent);
    record(RecordBody::Process(Box::new(ProcessRecord { action, process, parent, exit, clone_flags, exec })))
}

fn exec_detail() -> ExecDetail {
    ExecDetail {
        env: [("PATH".to_owned(), "/bin".to_owned())].into(),
        args_redacted: true,
        env_redacted: true,
        args_unreadable: true,
        env_truncated: true,
        env_unreadable: true,
        binary_inode: Some(99),
        binary_device: Some(Device::new(8, 1)),
        binary_mode: Some("104755".into()),
        binary_owner: Some(0),
        setuid: true,
        setgid: true,
        secure_exec: true,
        fileless: true,
        drift: Some(true),
        script: Some("/tmp/run.sh".into()),
        interpreter: Some("/bin/sh".into()),
        capabilities_gained: vec!["CAP_NET_ADMIN".into()],
        tty: Some("pts/3".into()),
        shell_with_tty: true,
    }
}

pub(crate) fn flow(stage: FlowStage, verdict: Verdict) -> FlowRecord {
    FlowRecord {
        stage,
        cookie: 4711,
        protocol: Protocol::Tcp,
        icmp: None,
        community_id: "1:LQU9qZlK+B5F3KDmev6m5PMibrg=".to_owned(),
        side: Side::Client,
        direction_guessed: false,
        client: EndpointView {
            api_server: false,
            address: "10.0.1.5:40112".parse().unwrap(),
            pod: Some(pod("frontend")),
            kind: "pod",
            detail: None,
            names: Vec::new(),
            service: None,
            backend: None,
        },
        server: EndpointView {
            api_server: false,
            address: "[2001:db8::7]:5432".parse().unwrap(),
            pod: None,
            kind: "node",
            detail: Some("node-2".into()),
            names: vec!["db.example".into()],
            service: None,
            backend: None,
        },
        process: Some(process_view()),
        process_unknown: None,
        netns: 4_026_532_001,
        origin: Origin::Observed,
        opened: WallTime(1_700_000_000_000_000_000),
        because: verdict.because(),
        verdict,
        judgement: Judgement::default(),
        close_reason: None,
        duration_ns: None,
        handshake_us: None,
        counters: None,
        tls: None,
        plaintext: false,
        drop: None,
    }
}

/// Shapes that a flow has after it was opened and before it ends, and what was seen in it.
fn flows_that_go_on(verdict: &Verdict) -> Vec<(&'static str, Record)> {
    let tls = TlsView {
        sni: Some("db.example".to_owned()),
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        versions: vec!["TLS 1.3".into(), "TLS 1.2".into()],
        ja4: Some("t13d1516h2_8daaf6152771_e5627efa2ab1".to_owned()),
        truncated: false,
    };
    let datagrams = Packets::Datagrams { datagrams_sent: 3, datagrams_received: 2 };
    let update = FlowRecord {
        handshake_us: Some(410),
        counters: Some(FlowCounters { bytes_sent: 517, ..FlowCounters::default() }),
        tls: Some(tls.into()),
        ..flow(FlowStage::Update, verdict.clone())
    };
    let dropped = FlowRecord {
        protocol: Protocol::Icmp,
        icmp: Some(Icmp { icmp_type: 8, code: 0, id: 77 }),
        drop: Some(FlowDrop { reason: "NETFILTER_DROP".to_owned(), packets: 2 }),
        ..flow(FlowStage::Dropped, verdict.clone())
    };
    let idle = FlowRecord {
        protocol: Protocol::Udp,
        close_reason: Some(CloseReason::Idle),
        counters: Some(FlowCounters { bytes_sent: 120, bytes_received: 340, packets: datagrams }),
        ..flow(FlowStage::Close, verdict.clone())
    };
    let plaintext = FlowRecord {
        close_reason: Some(CloseReason::Fin),
        counters: Some(FlowCounters { bytes_sent: 18, ..FlowCounters::default() }),
        plaintext: true,
        ..flow(FlowStage::Close, verdict.clone())
    };
    let rejudged = FlowRecord {
        judgement: Judgement {
            policy_epoch: 8,
            stale_window: true,
            previous: Some(Box::new(VerdictAt {
                policy_epoch: 7,
                verdict: Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered),
                because: String::new(),
                mesh: None,
            })),
            ..Judgement::default()
        },
        ..flow(FlowStage::VerdictChanged, verdict.clone())
    };
    let policies = vec![Arc::new(PolicyRef {
        kind: "PeerAuthentication",
        namespace: "istio-system".to_owned(),
        name: "strict".to_owned(),
    })];
    let in_mesh = FlowRecord {
        judgement: Judgement {
            policy_epoch: 7,
            dialect: Dialect::Cilium,
            mesh: Some(MeshView {
                outcome: Outcome::Denied,
                verdict: MeshWord::DenyPlaintext,
                policies,
                rule: None,
                reason: None,
            }),
            verdict_now: Some(Box::new(VerdictAt {
                policy_epoch: 8,
                verdict: verdict.clone(),
                because: verdict.because(),
                mesh: None,
            })),
            ..Judgement::default()
        },
        ..flow(FlowStage::Update, verdict.clone())
    };
    [
        ("flow-verdict-changed", rejudged),
        ("flow-update-in-mesh", in_mesh),
        ("flow-update-tls", update),
        ("flow-dropped", dropped),
        ("flow-close-datagrams", idle),
        ("flow-close-plaintext", plaintext),
    ]
    .map(|(name, flow)| (name, flow_record(flow)))
    .into()
}

pub(crate) fn dns(rcode: Option<&'static str>) -> DnsRecord {
    let FlowRecord { client, server, process, .. } =
        flow(FlowStage::Open, Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered));
    let answer = |name: &str, record_type: &'static str, data: Option<&str>| DnsAnswer {
        name: name.to_owned(),
        record_type: record_type.into(),
        ttl: 60,
        data: data.map(str::to_owned),
    };
    let answers = vec![
        answer("www.example", "CNAME", Some("edge.example")),
        answer("edge.example", "A", Some("192.0.2.7")),
        answer("edge.example", "RRSIG", None),
    ];
    DnsRecord {
        client,
        server,
        protocol: Protocol::Udp,
        process,
        process_unknown: None,
        netns: 4_026_532_001,
        id: 4711,
        query: "www.example".to_owned(),
        query_type: "A".into(),
        rcode: rcode.map(Into::into),
        answers: if rcode == Some("NOERROR") { answers } else { Vec::new() },
        latency_us: rcode.map(|_| 1500),
        truncated: false,
    }
}

pub(crate) fn dns_record(dns: DnsRecord) -> Record {
    record(RecordBody::Dns(Box::new(dns)))
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
            packets: Packets::Segments {
                segments_sent: 12,
                segments_received: 22,
                retransmits: 1,
                srtt_us: 350,
                min_rtt_us: 120,
            },
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
    let mut shapes = vec![
        ("process-fork", process(ProcessAction::Fork, None)),
        ("process-exec", process(ProcessAction::Exec, None)),
        ("process-exit", process(ProcessAction::Exit, Some(killed))),
        ("process-found", process(ProcessAction::Found, None)),
        ("flow-open-denied", flow_record(flow(FlowStage::Open, denied))),
        ("flow-close-allowed", flow_record(closed)),
        ("flow-failed-unknown", flow_record(failed)),
        ("flow-found-not-covered", flow_record(found)),
        ("dns", dns_record(dns(Some("NOERROR")))),
        ("dns-unanswered", dns_record(dns(None))),
        ("loss", loss(7)),
    ];
    shapes.extend(flows_that_go_on(&allowed()));
    shapes.extend(findings::every_shape());
    shapes.extend(events::every_shape());
    shapes
}
