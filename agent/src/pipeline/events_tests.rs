//! Security events with whom they name.

use watchfire_model::{
    CredentialSet, CredentialsEvent, Detail, Event, ExecId, FileEvent, Interface, MemoryEvent, Operation,
    SignalEvent,
};

use super::*;

fn event(process: ExecId, operation: Operation, detail: Detail) -> Event {
    Event {
        process,
        uid: 1000,
        euid: 1001,
        gid: 1002,
        cgroup_id: 7,
        namespaces: Namespaces { pid: 77, ..Namespaces::default() },
        operation,
        result: Some(0),
        interface: None,
        truncated: false,
        unreadable: false,
        detail,
    }
}

fn take_event(stages: &mut Stages, event: Event) -> RecordBody {
    take(stages, Body::Event(Box::new(event)))
}

fn open(process: ExecId) -> Event {
    let file = FileEvent { path: "/etc/shadow".to_owned(), ..FileEvent::default() };
    event(process, Operation::Open, Detail::File(file))
}

/// Process 1 forked 2, and 2 forked 3; 3 is in the pod `db`, with the id 4 in its pid namespace.
fn family() -> Stages {
    let mut stages = stages("");
    stages.host.cgroup_made(7, "/kubepods/db");
    take(&mut stages, exec(1, &["/usr/sbin/sshd"], true));
    for (parent, child, ns_pid) in [(1, 2, 0), (2, 3, 4)] {
        let fork = Fork {
            child: id(child),
            parent: id(parent),
            ns_pid,
            clone_flags: 0,
            uid: 0,
            euid: 0,
            gid: 0,
            cgroup_id: if child == 3 { 7 } else { 0 },
            namespaces: Namespaces { pid: 77, ..Namespaces::default() },
        };
        take(&mut stages, Body::Fork(fork));
    }
    take(&mut stages, exec(2, &["/bin/bash"], false));
    stages
}

#[test]
fn the_actor_is_as_it_was_at_that_moment() {
    let mut stages = family();
    let denied = Event { result: Some(-13), interface: Some(Interface::IoUring), ..open(id(2)) };
    let RecordBody::File(record) = take_event(&mut stages, denied) else { panic!() };
    assert_eq!((record.operation, record.result, record.error), (Operation::Open, Some(-13), Some("EACCES")));
    assert_eq!(record.interface, Some(Interface::IoUring));
    let process = &record.process;
    assert_eq!((&*process.binary, process.uid, process.euid, process.gid), ("/bin/bash", 1000, 1001, 1002));
    assert_eq!(&*process.pod.as_ref().unwrap().name, "db");
    assert_eq!(record.ancestors.iter().map(|one| &*one.binary).collect::<Vec<_>>(), ["/usr/sbin/sshd"]);
    assert_eq!((record.detail.path.as_str(), record.detail.host_path.as_ref()), ("/etc/shadow", None));

    let RecordBody::File(record) = take_event(&mut stages, open(id(99))) else { panic!() };
    assert_eq!((record.process.origin, record.process.uid), (ProcessOrigin::Unseen, 1000));
    assert!(record.ancestors.is_empty());
}

#[test]
fn new_credentials_show_in_what_comes_after() {
    let mut stages = family();
    let new = CredentialSet { uid: 33, euid: 34, gid: 35, ..CredentialSet::default() };
    let change = |result| {
        let detail = Detail::Credentials(CredentialsEvent { old: None, new, user_ns: 14 });
        Event { result, ..event(id(2), Operation::Setuid, detail) }
    };
    take_event(&mut stages, change(Some(-1)));
    assert_eq!(stages.processes.get(id(2)).unwrap().uid, 0, "it was refused");
    let RecordBody::Credentials(record) = take_event(&mut stages, change(None)) else { panic!() };
    assert_eq!((record.process.uid, record.detail.new.uid), (1000, 33));
    let now = stages.processes.get(id(2)).unwrap();
    assert_eq!((now.uid, now.euid, now.gid, now.namespaces.user), (33, 34, 35, 14));
}

#[test]
fn targets_are_found_by_the_kernels_word_or_the_callers() {
    let mut stages = family();
    let mut target = |memory| {
        let ptrace = event(id(2), Operation::Ptrace, Detail::Memory(memory));
        let RecordBody::Memory(record) = take_event(&mut stages, ptrace) else { panic!() };
        record.detail.target
    };
    let none = MemoryEvent::default;
    for memory in [
        MemoryEvent { target: Some(id(3)), ..none() },
        MemoryEvent { target: Some(ExecId { start_ticks: 0, ..id(3) }), ..none() },
        MemoryEvent { target_ns_pid: 4, ..none() },
    ] {
        let found = target(memory).unwrap();
        assert_eq!((found.exec_id, found.pid, found.cgroup_id), (Some(id(3)), 3, Some(7)));
        assert_eq!((found.binary.as_deref(), &*found.pod.unwrap().name), (Some("/usr/sbin/sshd"), "db"));
    }
    assert_eq!(target(MemoryEvent { target_ns_pid: 9, ..none() }), None);
    assert_eq!(target(none()), None);
    let gone = target(MemoryEvent { target: Some(id(50)), ..none() }).unwrap();
    assert_eq!((gone.exec_id, gone.binary), (Some(id(50)), None));
}

#[test]
fn signals_name_the_cgroup_that_the_kernel_saw() {
    let mut stages = family();
    let signal = SignalEvent { target: id(60), target_cgroup_id: 7, signal: 9, outcome: 0, code: 0 };
    let kill = event(id(2), Operation::Signal, Detail::Signal(signal));
    let RecordBody::Signal(record) = take_event(&mut stages, kill) else { panic!() };
    assert_eq!((record.detail.signal, record.detail.name.as_deref()), (9, Some("SIGKILL")));
    assert_eq!(record.detail.target.cgroup_id, Some(7));
    assert_eq!(&*record.detail.target.pod.as_ref().unwrap().name, "db");
}
