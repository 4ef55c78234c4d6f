use watchfire_inventory::Redactor;
use watchfire_model::{
    BinaryFile, CloseReason, Device, Exec, ExecId, Exit, ExitStatus, Flow, FlowCounters, FlowEnd, FlowRecord,
    FlowStage, Fork, Gap, KindCounters, Namespaces, Origin, Outcome, Owner, OwnerUnknown, ProcessOrigin,
    ProcessRecord, Protocol, RecordKind, Side, WallTime,
};

use super::*;
use crate::config::Config;
use crate::knowledge::Loaded;

#[path = "events_tests.rs"]
mod events;
#[path = "findings_tests.rs"]
mod findings;
#[path = "payloads_tests.rs"]
mod payloads;
#[path = "rejudge_tests.rs"]
mod rejudge;
#[path = "services_tests.rs"]
mod services;
#[path = "waiting_tests.rs"]
mod waiting;
#[path = "who_tests.rs"]
mod who;

const INVENTORY: &str = "\
clusterCIDRs: [10.1.0.0/16]
nodes: [{name: node-a, ips: [192.0.2.1], local: true}]
namespaces: [{name: shop}]
pods:
- {namespace: shop, name: frontend, labels: {app: frontend}, ips: [10.1.0.1]}
- {namespace: shop, name: db, labels: {app: db}, ips: [10.1.0.3], cgroup: kubepods/db}
";
const DENY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: default-deny}
spec: {podSelector: {}, policyTypes: [Ingress]}
";
const BOOT: u32 = 1;

fn knowledge(inventory: &str, policies: &str) -> Knowledge {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let config = Config {
        inventory: Some(file("inventory.yaml", inventory)),
        policies: Some(file("policies.yaml", policies)),
        node_name: Some("node-a".to_owned()),
        ..Config::default()
    };
    let knowledge = Knowledge::new(Loaded::read(&config).unwrap(), moment(Timebase { boot_epoch_ns: 0 }));
    assert_eq!(knowledge.objects().rejected, 0);
    knowledge
}

fn stages(policies: &str) -> Stages {
    stages_of(INVENTORY, policies)
}

fn stages_of(inventory: &str, policies: &str) -> Stages {
    let empty = tempfile::tempdir().unwrap();
    Stages::new(
        knowledge(inventory, policies),
        HostView::read(Some(watchfire_sensor::CgroupRoot::at(empty.path()))),
        Services::new(None),
        Timebase { boot_epoch_ns: 0 },
        Intake { redactor: Some(Redactor::default()), environment: Vec::new() },
    )
}

fn take(stages: &mut Stages, body: Body) -> RecordBody {
    let mut records = Vec::new();
    stages.take(Observation { boot_ns: 5, body }, &mut records);
    // They have tests of their own.
    records.retain(|record| !matches!(record.body, RecordBody::Finding(_)));
    let record = records.pop().unwrap();
    assert!(records.is_empty());
    assert_eq!((&*record.node, record.time), ("node-a", Timebase { boot_epoch_ns: 0 }.wall(5)));
    record.body
}

fn take_flow(stages: &mut Stages, body: Body) -> FlowRecord {
    match take(stages, body) {
        RecordBody::Flow(flow) => *flow,
        other => panic!("{other:?}"),
    }
}

fn take_process(stages: &mut Stages, body: Body) -> ProcessRecord {
    match take(stages, body) {
        RecordBody::Process(process) => *process,
        other => panic!("{other:?}"),
    }
}

fn id(pid: u32) -> ExecId {
    ExecId { boot: BOOT, pid, start_ticks: u64::from(pid) }
}

fn exec(pid: u32, args: &[&str], before_start: bool) -> Body {
    Body::Exec(Box::new(Exec {
        process: id(pid),
        parent: None,
        binary: args[0].to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        args_truncated: false,
        args_unreadable: false,
        env: Vec::new(),
        env_truncated: false,
        env_unreadable: false,
        cwd: "/".to_owned(),
        ns_pid: 0,
        file: BinaryFile::default(),
        script: None,
        interpreter: None,
        tty: Device::new(136, 3),
        secure: false,
        effective: 0,
        permitted: 0,
        uid: 0,
        euid: 0,
        gid: 0,
        egid: 0,
        cgroup_id: 0,
        namespaces: Namespaces::default(),
        before_start,
    }))
}

/// From the frontend to the database, as the frontend's socket shows it.
pub(super) fn flow() -> Flow {
    Flow {
        cookie: 7,
        protocol: Protocol::Tcp,
        client: "10.1.0.1:40000".parse().unwrap(),
        server: "10.1.0.3:5432".parse().unwrap(),
        side: Side::Client,
        direction_guessed: false,
        owner: Owner::Known(id(2)),
        cgroup_id: 0,
        netns: u32::MAX,
        opened_boot_ns: 4,
        origin: Origin::Observed,
        handshake_ns: None,
        icmp: None,
    }
}

fn end(established: bool) -> FlowEnd {
    let reason = if established { CloseReason::Fin } else { CloseReason::Refused };
    FlowEnd { reason, established, duration_ns: Some(1), counters: FlowCounters::default() }
}

#[test]
fn a_flow_that_the_default_denies_says_so_and_by_what() {
    let mut stages = stages(DENY);
    take(&mut stages, exec(2, &["/bin/curl", "--token=abc"], false));
    let open = take_flow(&mut stages, Body::FlowOpen(flow()));
    assert_eq!((open.stage, open.verdict.outcome), (FlowStage::Open, Outcome::Denied));
    assert_eq!(open.because, "isolated by NetworkPolicy/shop/default-deny");
    let names = [&open.client, &open.server].map(|end| &*end.pod.as_ref().unwrap().name);
    assert_eq!(names, ["frontend", "db"]);
    assert_eq!(*open.process.unwrap().args, ["/bin/curl", "--token=REDACTED"]);
    assert_eq!(open.process_unknown, None);
}

#[test]
fn a_flow_is_judged_as_of_its_opening() {
    let mut stages = stages(DENY);
    take(&mut stages, Body::FlowOpen(flow()));
    stages.knowledge = knowledge(INVENTORY, "");
    let close = take_flow(&mut stages, Body::FlowClose(flow(), end(true)));
    assert_eq!((close.stage, close.verdict.outcome), (FlowStage::Close, Outcome::Denied));
    assert_eq!((close.close_reason, close.duration_ns), (Some(CloseReason::Fin), Some(1)));
    assert_eq!(stages.flows.len(), 0);

    let failed = take_flow(&mut stages, Body::FlowClose(flow(), end(false)));
    assert_eq!((failed.stage, failed.verdict.outcome), (FlowStage::Failed, Outcome::NotCovered));
}

#[test]
fn what_is_not_known_is_said() {
    let mut stages = stages(DENY);
    let unowned = Owner::Unknown(OwnerUnknown::NoStorage);
    let stranger = Flow { client: "10.1.0.99:1".parse().unwrap(), owner: unowned, ..flow() };
    let record = take_flow(&mut stages, Body::FlowOpen(stranger));
    assert_eq!((record.client.kind, record.server.kind), ("unresolved", "pod"));
    assert_eq!((record.process, record.process_unknown), (None, Some(OwnerUnknown::NoStorage)));

    let guessed = Flow { direction_guessed: true, origin: Origin::BeforeStart, ..flow() };
    let record = take_flow(&mut stages, Body::FlowOpen(guessed));
    assert_eq!((record.stage, record.verdict.outcome), (FlowStage::Found, Outcome::Unknown));
}

#[test]
fn processes_have_parents_and_ends() {
    let mut stages = stages("");
    let found = take_process(&mut stages, exec(1, &["/sbin/init"], true));
    assert_eq!((found.action, found.process.origin), (ProcessAction::Found, ProcessOrigin::BeforeStart));
    let fork = Fork {
        child: id(2),
        parent: id(1),
        ns_pid: 0,
        clone_flags: 0x4011,
        uid: 0,
        euid: 0,
        gid: 0,
        cgroup_id: 0,
        namespaces: Namespaces::default(),
    };
    let forked = take_process(&mut stages, Body::Fork(fork));
    assert_eq!((forked.action, &*forked.process.binary), (ProcessAction::Fork, "/sbin/init"));
    assert_eq!((forked.clone_flags.unwrap(), forked.exec), (vec!["CLONE_VFORK".into()], None));
    let ls = take_process(&mut stages, exec(2, &["/bin/ls", "--token=x"], false));
    let detail = ls.exec.unwrap();
    assert_eq!((detail.tty.as_deref(), detail.args_redacted, ls.clone_flags), (Some("pts/3"), true, None));
    let status = ExitStatus { code: Some(0), signal: None, core_dumped: false };
    let ended = take_process(
        &mut stages,
        Body::Exit(Exit { process: id(2), status, uid: 0, euid: 0, gid: 0, cgroup_id: 0 }),
    );
    assert_eq!((ended.action, ended.exit), (ProcessAction::Exit, Some(status)));
    assert_eq!((&*ended.process.binary, ended.parent.unwrap().pid), ("/bin/ls", 1));
}

#[test]
fn gaps_become_loss_records() {
    let counters = KindCounters { dropped: 3, suppressed: 4, ..KindCounters::default() };
    let mut stages = stages("");
    stages.host.cgroup_made(7, "/kubepods/db");
    let gap = Gap {
        kind: RecordKind::File,
        cgroup_id: Some(7),
        lost: 3,
        suppressed: 4,
        first_boot_ns: 1,
        last_boot_ns: 2,
        counters,
    };
    let RecordBody::Loss(loss) = take(&mut stages, Body::Gap(gap)) else { panic!() };
    assert_eq!(
        (loss.kind, loss.cgroup_id, loss.cgroup.as_deref()),
        (RecordKind::File, Some(7), Some("/kubepods/db"))
    );
    assert_eq!(&*loss.pod.unwrap().name, "db");
    assert_eq!((loss.lost, loss.suppressed, loss.counters), (3, 4, counters));
    assert_eq!((loss.first, loss.last), (WallTime(1), WallTime(2)));
    let RecordBody::Loss(loss) = take(&mut stages, Body::Gap(Gap { cgroup_id: None, ..gap })) else {
        panic!()
    };
    assert_eq!((loss.cgroup_id, loss.cgroup, loss.pod), (None, None, None));
}
