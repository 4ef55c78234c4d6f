//! Security events for tests, one of each type.

use watchfire_model::{
    AncestorView, Ancestors, CapabilityEvent, CredentialSet, CredentialsEvent, Device, EventFacts,
    EventRecord, ExecId, FileEvent, FileView, Interface, KernelEvent, KernelView, MemoryEvent, MemoryView,
    NamespaceEvent, NamespaceView, Operation, Record, RecordBody, SignalEvent, SignalView, SocketEvent,
    SocketView, StdioEvent, TargetView,
};

use crate::common::{pod, process_view, record};

fn target() -> TargetView {
    TargetView {
        exec_id: Some(ExecId { boot: 0x3f2a_91bc, pid: 555, start_ticks: 600 }),
        pid: 555,
        binary: Some("/usr/sbin/nginx".into()),
        cgroup_id: Some(7400),
        pod: Some(pod("backend")),
    }
}

fn event<D>(operation: Operation, result: Option<i32>, detail: D) -> Box<EventRecord<D>> {
    let facts = EventFacts {
        operation,
        result,
        interface: result.map(|_| Interface::IoUring),
        truncated: result.is_some(),
        unreadable: result.is_some(),
    };
    let ancestors = Ancestors::new(vec![AncestorView {
        exec_id: ExecId { boot: 0x3f2a_91bc, pid: 1, start_ticks: 12 },
        pid: 1,
        binary: "/sbin/init".into(),
    }]);
    Box::new(EventRecord::new(&facts, process_view(), ancestors, detail))
}

/// A record of each security family.
pub(crate) fn every_shape() -> Vec<(&'static str, Record)> {
    let old = CredentialSet { uid: 1000, euid: 1000, permitted: 1, ..CredentialSet::default() };
    let new = CredentialSet { permitted: 1 | 1 << 21, effective: u64::MAX, ..CredentialSet::default() };
    let credentials = CredentialsEvent { old: Some(old), new, user_ns: 4_026_531_837 };
    let open = FileEvent {
        path: "/etc/shadow".into(),
        path_textual: true,
        by_inode: true,
        inode: 99,
        device: Device::new(8, 1),
        mode: 0o100_640,
        flags: 0o1101,
        ..FileEvent::default()
    };
    let open = FileView {
        host_path: Some("/var/lib/containerd/1/fs/etc/shadow".into()),
        ..FileView::new(Operation::Open, open)
    };
    let mount =
        NamespaceEvent { flags: 0x1000, source: "/a".into(), target: "/b".into(), fs_type: "none".into() };
    let kernel = KernelEvent { name: "probe".into(), value: 2, command: 5, target_pid: -1, cpu: 0 };
    let memory =
        MemoryEvent { target_ns_pid: 5, address: 0x1000, length: 8, request: 16, ..MemoryEvent::default() };
    let socket = SocketEvent {
        family: 10,
        socket_type: 1,
        protocol: 6,
        address: "[::]:4444".parse().unwrap(),
        backlog: 128,
        path: String::new(),
    };
    let signal = SignalEvent {
        target: ExecId { boot: 0x3f2a_91bc, pid: 555, start_ticks: 600 },
        target_cgroup_id: 7400,
        signal: 9,
        outcome: 0,
        code: 0,
    };
    let stdio = StdioEvent {
        from_fd: 3,
        to_fd: 0,
        family: 2,
        socket_type: 1,
        local: "10.0.1.5:40112".parse().unwrap(),
        remote: "203.0.113.9:4444".parse().unwrap(),
    };
    let capability = CapabilityEvent { capability: 21, user_ns: 4_026_531_837 };
    let namespace = NamespaceView::new(Operation::Mount, mount);
    let kernel = KernelView::new(Operation::BpfProgLoad, kernel);
    let memory = MemoryView::new(Operation::Ptrace, memory, Some(target()));
    let socket = SocketView::new(Operation::Listen, socket);
    let signal = SignalView::new(signal, target());
    [
        ("credentials", RecordBody::Credentials(event(Operation::Setuid, Some(0), credentials.into()))),
        ("capability", RecordBody::Capability(event(Operation::Capable, Some(-1), capability.into()))),
        ("file", RecordBody::File(event(Operation::Open, Some(-13), open))),
        ("namespace", RecordBody::Namespace(event(Operation::Mount, Some(0), namespace))),
        ("kernel", RecordBody::Kernel(event(Operation::BpfProgLoad, Some(4), kernel))),
        ("memory", RecordBody::Memory(event(Operation::Ptrace, Some(0), memory))),
        ("socket", RecordBody::Socket(event(Operation::Listen, None, socket))),
        ("signal", RecordBody::Signal(event(Operation::Signal, None, signal))),
        ("stdio", RecordBody::Stdio(event(Operation::Dup, Some(0), stdio.into()))),
    ]
    .map(|(name, body)| (name, record(body)))
    .into()
}
