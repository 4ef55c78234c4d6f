use watchfire_model::{BinaryFile, Device};

use super::*;
use crate::Redactor;

const SUCCESS: ExitStatus = ExitStatus { code: Some(0), signal: None, core_dumped: false };

fn table() -> Processes {
    Processes::new(Intake { redactor: Some(Redactor::default()), ..Intake::default() })
}

pub(super) fn id(pid: u32, ticks: u64) -> ExecId {
    ExecId { boot: 1, pid, start_ticks: ticks }
}

fn exit(process: ExecId) -> Exit {
    Exit { process, status: SUCCESS, uid: 0, euid: 0, gid: 0, cgroup_id: 0 }
}

fn fork(parent: ExecId, child: ExecId) -> Fork {
    let namespaces = Namespaces::default();
    Fork { child, parent, ns_pid: 0, clone_flags: 0, uid: 0, euid: 0, gid: 0, cgroup_id: 7, namespaces }
}

pub(super) fn exec(process: ExecId, args: &[&str]) -> Exec {
    Exec {
        process,
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
        tty: Device::default(),
        secure: false,
        effective: 0,
        permitted: 0,
        uid: 0,
        euid: 0,
        gid: 0,
        egid: 0,
        cgroup_id: 7,
        namespaces: Namespaces::default(),
        before_start: false,
    }
}

#[test]
fn a_fork_has_its_parents_image_until_exec() {
    let mut table = table();
    table.exec(exec(id(1, 1), &["/bin/sh", "--token=abc"]), 0);
    assert_eq!(*table.fork(&fork(id(1, 1), id(2, 5)), 0).args, ["/bin/sh", "--token=REDACTED"]);
    let (child, _) = table.exec(exec(id(2, 5), &["/bin/ls"]), 0);
    assert_eq!((&*child.binary, child.parent), ("/bin/ls", Some(id(1, 1))));
    table.fork(&fork(id(2, 5), id(3, 6)), 0);
    let line: Vec<_> = table.ancestry(id(3, 6)).map(|process| process.exec_id.pid).collect();
    assert_eq!(line, [2, 1]);
}

#[test]
fn a_fork_that_comes_late_leaves_the_image() {
    let mut table = table();
    table.exec(Exec { before_start: true, ..exec(id(2, 5), &["/bin/ls"]) }, 0);
    let known = table.fork(&fork(id(1, 1), id(2, 5)), 0);
    assert_eq!((&*known.binary, known.parent), ("/bin/ls", Some(id(1, 1))));
    assert_eq!(known.origin, ProcessOrigin::Observed);
}

#[test]
fn redaction_can_be_turned_off() {
    let mut table = Processes::new(Intake::default());
    assert_eq!(table.exec(exec(id(1, 1), &["x", "--token=abc"]), 0).0.args[1], "--token=abc");
}

#[test]
fn ended_processes_stay_for_a_while() {
    let mut table = table();
    table.fork(&fork(id(1, 1), id(2, 5)), 0);
    table.exit(&exit(id(2, 5)), 1_000_000_000);
    table.expire(1_000_000_000 + EXITED_KEEP_MS * 1_000_000 - 1);
    assert_eq!(table.get(id(2, 5)).unwrap().state, ProcessState::Exited(SUCCESS));
    table.expire(1_000_000_000 + EXITED_KEEP_MS * 1_000_000);
    assert!(table.is_empty());
}

#[test]
fn a_pid_that_comes_back_ends_its_last_owner() {
    let mut table = table();
    table.fork(&fork(id(1, 1), id(2, 5)), 0);
    table.fork(&fork(id(1, 1), id(2, 9)), 0);
    assert!(matches!(table.get(id(2, 5)).unwrap().state, ProcessState::Exited(_)));
    assert_eq!((table.running(), table.counters().exits_missed), (1, 1));
}

#[test]
fn a_pid_that_comes_back_within_a_tick_is_another_process() {
    let mut table = table();
    table.exec(exec(id(1, 1), &["/bin/sh"]), 1);
    table.fork(&fork(id(1, 1), id(2, 5)), 10);
    table.exec(exec(id(2, 5), &["/bin/ls"]), 11);
    table.exit(&exit(id(2, 5)), 12);
    // The same again, told by another CPU.
    assert_eq!(&*table.fork(&fork(id(1, 1), id(2, 5)), 10).binary, "/bin/ls");
    assert!(table.running_pid(2).is_none());
    assert_eq!(&*table.fork(&fork(id(1, 1), id(2, 5)), 13).binary, "/bin/sh");
    assert_eq!(table.running_pid(2).map(|process| process.exec_id), Some(id(2, 5)));
    table.exit(&exit(id(2, 5)), 14);
    table.expire(12 + EXITED_KEEP_MS * 1_000_000);
    assert!(table.get(id(2, 5)).is_some(), "it ended later than the one before");
    table.expire(14 + EXITED_KEEP_MS * 1_000_000);
    assert_eq!(table.len(), 1);
}

#[test]
fn the_end_of_an_unknown_process_is_kept() {
    let mut table = table();
    let process = table.exit(&Exit { uid: 1000, cgroup_id: 7, ..exit(id(9, 9)) }, 0);
    assert_eq!((process.origin, process.state), (ProcessOrigin::Unseen, ProcessState::Exited(SUCCESS)));
    assert_eq!((process.uid, process.cgroup_id), (1000, 7));
    assert_eq!(table.running(), 0);
}

#[test]
fn limits_hold_and_are_counted() {
    let mut table = table();
    let parent = id(1, 1);
    for pid in 0..PROCESSES_MAX as u32 + 10 {
        table.fork(&fork(parent, id(pid + 2, 5)), 0);
    }
    assert_eq!((table.len(), table.running()), (PROCESSES_MAX, PROCESSES_MAX));
    assert_eq!(table.counters().evicted_running, 10);
    for pid in 20..20 + EXITED_PROCESSES_MAX as u32 + 3 {
        table.exit(&exit(id(pid, 5)), 0);
    }
    assert_eq!(table.counters().evicted_exited, 3);
    assert_eq!(table.len(), PROCESSES_MAX - 3);
}

#[test]
fn a_process_is_found_by_its_id_in_its_namespace() {
    let mut table = table();
    let inside = Namespaces { pid: 77, ..Namespaces::default() };
    table.fork(&Fork { ns_pid: 4, namespaces: inside, ..fork(id(1, 1), id(20, 5)) }, 0);
    let found =
        |table: &Processes, pid_ns, ns_pid| table.in_namespace(pid_ns, ns_pid).map(|found| found.exec_id);
    assert_eq!(found(&table, 77, 4), Some(id(20, 5)));
    assert_eq!(found(&table, INITIAL_PID_NS, 20), Some(id(20, 5)));
    assert_eq!((found(&table, 77, 5), found(&table, 78, 4)), (None, None));
    // Its children will be elsewhere; it itself stays where it is.
    let unshared = Namespaces { pid: 88, ..inside };
    table.exec(Exec { ns_pid: 4, namespaces: unshared, ..exec(id(20, 5), &["/bin/sh"]) }, 0);
    assert_eq!((found(&table, 77, 4), found(&table, 88, 4)), (Some(id(20, 5)), None));
    // The pid comes back inside before the end is told.
    table.fork(&Fork { ns_pid: 4, namespaces: inside, ..fork(id(1, 1), id(30, 9)) }, 0);
    table.exit(&exit(id(20, 5)), 0);
    assert_eq!(found(&table, 77, 4), Some(id(30, 9)));
    table.exit(&exit(id(30, 9)), 0);
    assert_eq!(found(&table, 77, 4), None);
}

#[test]
fn credentials_change_under_way_and_are_inherited() {
    let mut table = table();
    table.exec(exec(id(1, 1), &["/bin/su"]), 0);
    let new = CredentialSet {
        uid: 1000,
        euid: 1001,
        gid: 1002,
        egid: 1003,
        permitted: 5,
        ..CredentialSet::default()
    };
    table.credentials(id(1, 1), &new, 14);
    let process = table.get(id(1, 1)).unwrap();
    assert_eq!((process.uid, process.euid, process.gid, process.namespaces.user), (1000, 1001, 1002, 14));
    let child = table.fork(&fork(id(1, 1), id(2, 5)), 0);
    assert_eq!((child.egid, child.permitted), (Some(1003), Some(5)));
    table.credentials(id(9, 9), &new, 14);
    assert_eq!(table.len(), 2);
}
