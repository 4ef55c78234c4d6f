//! Golden wire bytes of the security families.

use watchfire_model::{
    CapabilityEvent, CredentialSet, CredentialsEvent, Detail, Device, Event, FileEvent, Interface,
    KernelEvent, MemoryEvent, NamespaceEvent, Operation, SignalEvent, SocketEvent, StdioEvent,
};

use super::*;

/// The head of a security record: flags say that the result is known and what came through io_uring.
fn head(kind: u16, size: u32, operation: u16) -> Wire {
    Wire::header(kind, size).u16(operation).u16(1 | 2 | 8).u32((-13i32).cast_unsigned())
}

fn event(operation: Operation, detail: Detail) -> Body {
    Body::Event(Box::new(Event {
        process: id(4321, 800),
        uid: 1000,
        euid: 1001,
        gid: 1002,
        cgroup_id: 77,
        namespaces: NAMESPACES,
        operation,
        result: if matches!(detail, Detail::Signal(_)) { None } else { Some(-13) },
        interface: Some(Interface::IoUring),
        truncated: true,
        unreadable: false,
        detail,
    }))
}

fn check(wire: &[u8], kind: RecordKind, operation: Operation, detail: Detail) {
    let (decoded, observation) = decode(wire, CONTEXT).unwrap();
    assert_eq!((decoded, observation.body), (kind, event(operation, detail)));
}

fn credential_set(wire: Wire, first: u32) -> Wire {
    let sets = (0..4).fold(wire, |wire, n| wire.u64(u64::from(first) + n));
    (0..8).fold(sets, |wire, n| wire.u32(first + 10 + n))
}

pub(super) fn credentials() -> Vec<u8> {
    credential_set(credential_set(head(7, 208, 20), 100), 200).u32(14).u32(1).0
}

#[test]
fn credentials_bytes() {
    let set = |first: u32| CredentialSet {
        effective: first.into(),
        permitted: u64::from(first) + 1,
        inheritable: u64::from(first) + 2,
        ambient: u64::from(first) + 3,
        uid: first + 10,
        gid: first + 11,
        suid: first + 12,
        sgid: first + 13,
        euid: first + 14,
        egid: first + 15,
        fsuid: first + 16,
        fsgid: first + 17,
    };
    let detail = |old| Detail::Credentials(CredentialsEvent { old, new: set(200), user_ns: 14 });
    check(&credentials(), RecordKind::Credentials, Operation::Setuid, detail(Some(set(100))));
    let mut unknown = credentials();
    unknown[204] = 0;
    check(&unknown, RecordKind::Credentials, Operation::Setuid, detail(None));
}

pub(super) fn capability() -> Vec<u8> {
    head(8, 80, 25).u32(21).u32(14).0
}

#[test]
fn capability_bytes() {
    let detail = Detail::Capability(CapabilityEvent { capability: 21, user_ns: 14 });
    check(&capability(), RecordKind::Capability, Operation::Capable, detail);
}

pub(super) fn file(operation: u16, path_flags: u16, strings: [&[u8]; 5]) -> Vec<u8> {
    let wire = head(9, 120 + strings.concat().len() as u32, operation)
        .u64(99) // inode
        .u64(4096) // length
        .u32(8 << 20 | 1) // device
        .u32(0o100_644) // mode
        .u32(0o1101) // flags
        .u32(0o4755) // value
        .u32(u32::MAX) // group
        .u16(path_flags);
    let wire = strings.iter().fold(wire, |wire, string| wire.u16(string.len() as u16));
    strings.iter().fold(wire, |wire, string| wire.bytes(string)).0
}

#[test]
fn file_bytes() {
    let expected = |path: &str, other: Option<&str>| FileEvent {
        path: path.to_owned(),
        other_path: other.map(str::to_owned),
        inode: 99,
        device: Device::new(8, 1),
        mode: 0o100_644,
        flags: 0o1101,
        value: 0o4755,
        group: u32::MAX,
        length: Some(4096),
        ..FileEvent::default()
    };
    let open = file(1, 8, [b"shadow\0etc\0", b"", b"", b"", b""]);
    let detail = Detail::File(FileEvent { by_inode: true, ..expected("/etc/shadow", None) });
    check(&open, RecordKind::File, Operation::Open, detail);
    let rename = file(4, 1 | 2 | 4, [b"a\0", b"tmp\0", b"../b", b"x\0srv\0", b""]);
    let detail = Detail::File(FileEvent {
        path_textual: true,
        path_in_filesystem: true,
        ..expected("/tmp/a", Some("/srv/b"))
    });
    check(&rename, RecordKind::File, Operation::Rename, detail);
    let symlink = file(6, 2, [b"link\0tmp\0", b"", b"../b", b"x\0", b""]);
    let detail = Detail::File(expected("/tmp/link", Some("../b")));
    check(&symlink, RecordKind::File, Operation::Symlink, detail);
    let setxattr = file(9, 0, [b"a\0", b"", b"", b"", b"security.capability"]);
    let attribute = "security.capability".to_owned();
    let detail = Detail::File(FileEvent { attribute, ..expected("/a", None) });
    check(&setxattr, RecordKind::File, Operation::Setxattr, detail);
    let mut lying = open;
    lying[112] = 200;
    assert_eq!(decode(&lying, CONTEXT), Err(DecodeError::Strings));
}

pub(super) fn namespace(operation: u16, flags: u64, strings: [&[u8]; 4]) -> Vec<u8> {
    let wire = head(10, 88 + strings.concat().len() as u32, operation).u64(flags);
    let wire = strings.iter().fold(wire, |wire, string| wire.u16(string.len() as u16));
    strings.iter().fold(wire, |wire, string| wire.bytes(string)).0
}

#[test]
fn namespace_bytes() {
    let mount = namespace(32, 0, [b"tmpfs\0", b"mnt\0", b"srv\0", b"tmpfs\0"]);
    let expected = NamespaceEvent {
        flags: 0,
        source: "tmpfs".to_owned(),
        target: "/srv/mnt".to_owned(),
        fs_type: "tmpfs".to_owned(),
    };
    check(&mount, RecordKind::Namespace, Operation::Mount, Detail::Namespace(expected));
    let bind = namespace(32, 0x1000, [b"a", b"/b", b"srv\0", b""]);
    let expected = NamespaceEvent {
        flags: 0x1000,
        source: "/srv/a".to_owned(),
        target: "/b".to_owned(),
        fs_type: String::new(),
    };
    check(&bind, RecordKind::Namespace, Operation::Mount, Detail::Namespace(expected));
    let unshare = namespace(30, 0x1000_0000, [b"", b"", b"", b""]);
    let expected = NamespaceEvent { flags: 0x1000_0000, ..NamespaceEvent::default() };
    check(&unshare, RecordKind::Namespace, Operation::Unshare, Detail::Namespace(expected));
}

pub(super) fn kernel(operation: u16, command: u32, flags: u32, name: &[u8]) -> Vec<u8> {
    let wire = head(11, 104 + name.len() as u32, operation)
        .u64(2) // value
        .u32(command)
        .u32(u32::MAX) // target_pid
        .u32(1) // cpu
        .u32(flags)
        .u32(name.len() as u32)
        .u32(0);
    wire.bytes(name).0
}

#[test]
fn kernel_bytes() {
    let detail = |name: &str, command| {
        Detail::Kernel(KernelEvent { name: name.to_owned(), value: 2, command, target_pid: -1, cpu: 1 })
    };
    let module = kernel(41, 0, 1, b"x.ko\0tmp\0");
    check(&module, RecordKind::Kernel, Operation::FinitModule, detail("/tmp/x.ko", 0));
    for (command, expected) in [
        (0, Operation::BpfMapCreate),
        (5, Operation::BpfProgLoad),
        (34, Operation::BpfDetach),
        (6, Operation::Bpf),
    ] {
        check(&kernel(49, command, 0, b"prog\0"), RecordKind::Kernel, expected, detail("prog", command));
    }
}

pub(super) fn memory(operation: u16, flags: u32, name: &[u8]) -> Vec<u8> {
    let wire = head(12, 120 + name.len() as u32, operation)
        .u64(6_000_000_000) // target_start_ns
        .u32(555) // target_pid
        .u32(5) // target_ns_pid
        .u64(0x1000) // address
        .u64(64) // length
        .u32(16) // request
        .u32(flags)
        .u32(name.len() as u32)
        .u32(0);
    wire.bytes(name).0
}

#[test]
fn memory_bytes() {
    let detail = |was_writable, name: &str| {
        Detail::Memory(MemoryEvent {
            target: Some(id(555, 600)),
            target_ns_pid: 5,
            address: 0x1000,
            length: 64,
            request: 16,
            was_writable,
            name: name.to_owned(),
        })
    };
    check(&memory(50, 2, b""), RecordKind::Memory, Operation::Ptrace, detail(None, ""));
    check(&memory(54, 1, b""), RecordKind::Memory, Operation::Mprotect, detail(Some(true), ""));
    let open = memory(52, 0, b"mem\x00555\0proc\0");
    check(&open, RecordKind::Memory, Operation::MemOpen, detail(Some(false), "/proc/555/mem"));
}

const MAPPED: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];

pub(super) fn socket(operation: u16, path: &[u8]) -> Vec<u8> {
    let wire = head(13, 104 + path.len() as u32, operation)
        .u16(2)
        .u16(1)
        .u16(6)
        .u16(443)
        .bytes(&MAPPED)
        .u32(128)
        .u32(path.len() as u32);
    wire.bytes(path).0
}

#[test]
fn socket_bytes() {
    let expected = SocketEvent {
        family: 2,
        socket_type: 1,
        protocol: 6,
        address: "10.0.0.1:443".parse().unwrap(),
        backlog: 128,
        path: "@x".to_owned(),
    };
    check(&socket(62, b"\0x"), RecordKind::Socket, Operation::Listen, Detail::Socket(expected));
}

pub(super) fn signal() -> Vec<u8> {
    head(14, 104, 70)
        .u64(6_000_000_000) // target_start_ns
        .u64(78) // target_cgroup_id
        .u32(555)
        .u32(9)
        .u32(1)
        .u32((-6i32).cast_unsigned())
        .0
}

#[test]
fn signal_bytes() {
    let expected =
        SignalEvent { target: id(555, 600), target_cgroup_id: 78, signal: 9, outcome: 1, code: -6 };
    check(&signal(), RecordKind::Signal, Operation::Signal, Detail::Signal(expected));
}

pub(super) fn stdio() -> Vec<u8> {
    let wire = head(15, 120, 80).u32(3).u32(0).u16(2).u16(1).u16(4444).u16(80);
    wire.bytes(&MAPPED).bytes(&MAPPED).0
}

#[test]
fn stdio_bytes() {
    let expected = StdioEvent {
        from_fd: 3,
        to_fd: 0,
        family: 2,
        socket_type: 1,
        local: "10.0.0.1:4444".parse().unwrap(),
        remote: "10.0.0.1:80".parse().unwrap(),
    };
    check(&stdio(), RecordKind::Stdio, Operation::Dup, Detail::Stdio(expected));
}

#[test]
fn an_operation_belongs_to_its_kind() {
    for operation in [0, 1, 999] {
        let mut bytes = stdio();
        bytes[64..66].copy_from_slice(&u16::to_le_bytes(operation));
        assert_eq!(decode(&bytes, CONTEXT), Err(DecodeError::Operation { kind: 15, operation }));
    }
}
