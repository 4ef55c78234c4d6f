//! Golden wire bytes: the layout is written out by hand here, so that a change of a record type shows.

use watchfire_model::{
    BinaryFile, CapabilityEvent, CloseReason, CredentialSet, CredentialsEvent, Detail, Device, Event, Exec,
    Exit, ExitStatus, FileEvent, Fork, Interface, KernelEvent, MemoryEvent, NamespaceEvent, Operation, Owner,
    OwnerUnknown, Side, SignalEvent, SocketEvent, StdioEvent,
};

use super::*;

const BOOT: u32 = 0xabcd_ef01;
const CONTEXT: Context = Context { boot: BOOT, owners_probed: true };

/// Little-endian fields in wire order.
struct Wire(Vec<u8>);

impl Wire {
    fn header(kind: u16, size: u32) -> Self {
        Self(Vec::new())
            .u32(size)
            .u16(kind)
            .u16(2)
            .u64(9_000_000_000) // boot_ns
            .u32(4321) // pid
            .u32(1000) // uid
            .u64(8_000_000_000) // start_ns
            .u64(77) // cgroup_id
            .u32(11)
            .u32(12)
            .u32(13)
            .u32(14) // net, mnt, pid, user
            .u32(1001) // euid
            .u32(1002) // gid
    }

    fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

fn id(pid: u32, start_ticks: u64) -> ExecId {
    ExecId { boot: BOOT, pid, start_ticks }
}

const NAMESPACES: Namespaces = Namespaces { net: 11, mnt: 12, pid: 13, user: 14 };

fn fork() -> Vec<u8> {
    Wire::header(0, 88).u32(4000).u32(17).u64(7_000_000_000).u64(0x2000_0000).0
}

#[test]
fn fork_bytes() {
    let (kind, observation) = decode(&fork(), CONTEXT).unwrap();
    assert_eq!((kind, observation.boot_ns), (RecordKind::ProcessFork, 9_000_000_000));
    assert_eq!(
        observation.body,
        Body::Fork(Fork {
            child: id(4321, 800),
            parent: id(4000, 700),
            ns_pid: 17,
            clone_flags: 0x2000_0000,
            uid: 1000,
            euid: 1001,
            gid: 1002,
            cgroup_id: 77,
            namespaces: NAMESPACES,
        })
    );
}

fn exec() -> Vec<u8> {
    let strings: [&[u8]; 6] =
        [b"sh\0-c\0\0", b"sh\0bin\0usr\0", b"", b"A=1\0B=\xff\0", b"/tmp/run.sh", b"/bin/sh"];
    let [args, binary, cwd, env, script, interpreter] = strings.map(|string| string.len() as u16);
    let wire = Wire::header(1, 144 + strings.concat().len() as u32)
        .u32(4000)
        .u16(args)
        .u16(binary)
        .u64(7_000_000_000)
        .u16(cwd)
        .u16(1 | 4 | 16 | 32 | 64 | 128)
        .u16(env)
        .u16(script)
        .u16(interpreter)
        .u16(0)
        .u32(17) // ns_pid
        .u64(99) // inode
        .u64(3) // effective
        .u64(7) // permitted
        .u32(8 << 20 | 1) // device
        .u32(0o104_755) // mode
        .u32(5) // owner
        .u32(6) // group
        .u32(136 << 20 | 3) // tty
        .u32(1003); // egid
    strings.iter().fold(wire, |wire, string| wire.bytes(string)).0
}

#[test]
fn exec_bytes() {
    let Body::Exec(decoded) = decode(&exec(), CONTEXT).unwrap().1.body else { panic!("no exec") };
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    assert_eq!(
        *decoded,
        Exec {
            process: id(4321, 800),
            parent: Some(id(4000, 700)),
            binary: "/usr/bin/sh".to_owned(),
            args: texts(&["sh", "-c", ""]),
            args_truncated: true,
            args_unreadable: false,
            env: texts(&["A=1", "B=\\xff"]),
            env_truncated: true,
            env_unreadable: false,
            cwd: "/".to_owned(),
            ns_pid: 17,
            file: BinaryFile {
                inode: 99,
                device: Device::new(8, 1),
                mode: 0o104_755,
                owner: 5,
                group: 6,
                unlinked: true,
                drift: Some(true),
            },
            script: Some("/tmp/run.sh".to_owned()),
            interpreter: Some("/bin/sh".to_owned()),
            tty: Device::new(136, 3),
            secure: true,
            effective: 3,
            permitted: 7,
            uid: 1000,
            euid: 1001,
            gid: 1002,
            egid: 1003,
            cgroup_id: 77,
            namespaces: NAMESPACES,
            before_start: false,
        }
    );

    let mut lying = exec();
    lying[68..70].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(decode(&lying, CONTEXT), Err(DecodeError::Strings));
}

#[test]
fn exit_bytes() {
    let wire = Wire::header(2, 72).u32(0x0500).u32(0);
    let status = ExitStatus { code: Some(5), signal: None, core_dumped: false };
    assert_eq!(
        decode(&wire.0, CONTEXT).unwrap().1.body,
        Body::Exit(Exit { process: id(4321, 800), status, uid: 1000, euid: 1001, gid: 1002, cgroup_id: 77 })
    );
}

#[test]
fn cgroup_bytes() {
    let path = b"/kubepods/burstable/pod1";
    let bytes = path.len() as u32;
    let wire = |flags: u32| Wire::header(6, 80 + bytes).u64(4242).u32(flags).u32(bytes).bytes(path);
    let made = Body::CgroupMade { id: 4242, path: "/kubepods/burstable/pod1".to_owned() };
    assert_eq!(decode(&wire(0).0, CONTEXT).unwrap().1.body, made);
    let removed = decode(&wire(1).0, CONTEXT).unwrap().1.body;
    assert_eq!(removed, Body::CgroupRemoved { id: 4242 });
    let mut lying = wire(0).0;
    lying[76] = 200;
    assert_eq!(decode(&lying, CONTEXT), Err(DecodeError::Strings));
}

fn tcp(kind: u16, flags: u32, old_state: u32, error: u32) -> Vec<u8> {
    let mapped = |last: u8| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last];
    Wire::header(kind, 168)
        .u64(55) // cookie
        .u64(8_500_000_000) // opened_ns
        .bytes(&mapped(1))
        .bytes(&mapped(2))
        .u16(40000)
        .u16(443)
        .u32(flags)
        .u32(1) // owner_flags
        .u32(old_state)
        .u32(error)
        .u32(3) // retransmits
        .u64(102) // bytes_acked
        .u64(201) // bytes_received
        .u32(9)
        .u32(8) // segments
        .u32(800)
        .u32(50) // srtt, min rtt
        .0
}

#[test]
fn tcp_bytes() {
    let (_, opened) = decode(&tcp(3, 1, 2, 0), CONTEXT).unwrap();
    let Body::FlowOpen(flow) = opened.body else { panic!("no open") };
    assert_eq!(
        (flow.client.to_string(), flow.server.to_string()),
        ("10.0.0.1:40000".into(), "10.0.0.2:443".into())
    );
    assert_eq!((flow.side, flow.owner, flow.cookie), (Side::Client, Owner::Known(id(4321, 800)), 55));

    // A client that saw both FINs: SYN and FIN leave bytes_acked, the peer's FIN leaves bytes_received.
    let Body::FlowClose(_, end) = decode(&tcp(4, 1 | 2 | 4, 5, 0), CONTEXT).unwrap().1.body else {
        panic!("no close")
    };
    assert_eq!((end.counters.bytes_sent, end.counters.bytes_received), (100, 200));
    assert_eq!((end.reason, end.established, end.duration_ns), (CloseReason::Fin, true, Some(500_000_000)));
    assert_eq!((end.counters.srtt_us, end.counters.min_rtt_us, end.counters.retransmits), (100, 50, 3));

    // A server that was reset: neither FIN happened.
    let Body::FlowClose(flow, end) = decode(&tcp(4, 0, 1, 104), CONTEXT).unwrap().1.body else {
        panic!("no close")
    };
    assert_eq!((flow.side, flow.server.port(), end.reason), (Side::Server, 40000, CloseReason::ResetByPeer));
    assert_eq!((end.counters.bytes_sent, end.counters.bytes_received), (102, 201));
}

#[test]
fn an_unknown_owner_has_a_reason() {
    for (opened_ns, owners_probed, expected) in [
        (1u64, true, OwnerUnknown::BeforeStart),
        (0, true, OwnerUnknown::NoStorage),
        (1, false, OwnerUnknown::NoProbe),
    ] {
        let mut bytes = tcp(3, 1, 2, 0);
        bytes[16..20].fill(0); // pid
        bytes[72..80].copy_from_slice(&opened_ns.to_le_bytes());
        let Body::FlowOpen(flow) = decode(&bytes, Context { boot: BOOT, owners_probed }).unwrap().1.body
        else {
            panic!("no open")
        };
        assert_eq!(flow.owner, Owner::Unknown(expected));
    }
}

#[test]
fn close_reasons() {
    for (kind, old_state, error, expected) in [
        (4, 9, 0, CloseReason::Fin),
        (4, 1, 0, CloseReason::AbortedLocally),
        (4, 8, 0, CloseReason::AbortedLocally),
        (4, 4, 110, CloseReason::TimedOut),
        (4, 5, u32::MAX, CloseReason::Fin),
        (4, 1, u32::MAX, CloseReason::Error),
        (5, 2, 111, CloseReason::Refused),
        (5, 2, 110, CloseReason::TimedOut),
        (5, 2, 113, CloseReason::Unreachable),
        (5, 2, 0, CloseReason::AbortedLocally),
    ] {
        let Body::FlowClose(_, end) = decode(&tcp(kind, 1, old_state, error), CONTEXT).unwrap().1.body else {
            panic!("no close")
        };
        assert_eq!(end.reason, expected, "kind {kind}, state {old_state}, error {error}");
    }
}

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

fn credentials() -> Vec<u8> {
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

fn capability() -> Vec<u8> {
    head(8, 80, 25).u32(21).u32(14).0
}

#[test]
fn capability_bytes() {
    let detail = Detail::Capability(CapabilityEvent { capability: 21, user_ns: 14 });
    check(&capability(), RecordKind::Capability, Operation::Capable, detail);
}

fn file(operation: u16, path_flags: u16, strings: [&[u8]; 5]) -> Vec<u8> {
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
        length: 4096,
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

fn namespace(operation: u16, flags: u64, strings: [&[u8]; 4]) -> Vec<u8> {
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

fn kernel(operation: u16, command: u32, flags: u32, name: &[u8]) -> Vec<u8> {
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

fn memory(operation: u16, flags: u32, name: &[u8]) -> Vec<u8> {
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

fn socket(operation: u16, path: &[u8]) -> Vec<u8> {
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

fn signal() -> Vec<u8> {
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

fn stdio() -> Vec<u8> {
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

/// A valid record of every kind.
fn samples() -> [Vec<u8>; 16] {
    let cgroup = Wire::header(6, 81).u64(4242).u32(0).u32(1).bytes(b"/").0;
    [
        fork(),
        exec(),
        Wire::header(2, 72).u32(0x0500).u32(0).0,
        tcp(3, 1, 2, 0),
        tcp(4, 7, 5, 0),
        tcp(5, 1, 2, 111),
        cgroup,
        credentials(),
        capability(),
        file(4, 3, [b"a\0", b"tmp\0", b"../b", b"x\0srv\0", b"user.x"]),
        namespace(32, 0x1000, [b"a", b"/b", b"srv\0", b"ext4"]),
        kernel(49, 5, 0, b"prog\0"),
        memory(52, 0, b"mem\x00555\0proc\0"),
        socket(61, b"/run/x"),
        signal(),
        stdio(),
    ]
}

#[test]
fn any_bytes_are_an_observation_or_a_reason() {
    let samples = samples();
    for (sample, kind) in samples.iter().zip(RecordKind::ALL) {
        assert_eq!(decode(sample, CONTEXT).unwrap().0, kind);
        for cut in 0..sample.len() {
            assert!(decode(&sample[..cut], CONTEXT).is_err(), "cut at {cut}");
        }
    }
    for (at, byte, expected) in [
        (4, 99, DecodeError::Kind(99)),
        (6, 9, DecodeError::Version(9)),
        (0, 89, DecodeError::Size { said: 89, has: 88 }),
    ] {
        let mut bytes = samples[0].clone();
        bytes[at] = byte;
        assert_eq!(decode(&bytes, CONTEXT), Err(expected));
    }
}

/// A header that passes, so that what follows it is reached.
fn with_header(mut bytes: Vec<u8>, kind: u16) -> Vec<u8> {
    bytes.resize(bytes.len().max(64), 0);
    let size = (bytes.len() as u32).to_le_bytes();
    bytes[..4].copy_from_slice(&size);
    bytes[4..6].copy_from_slice(&kind.to_le_bytes());
    bytes[6..8].copy_from_slice(&WIRE_VERSION.to_le_bytes());
    bytes
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 4096, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..512), kind in 0u16..18) {
        let _ = decode(&bytes, CONTEXT);
        let _ = decode(&with_header(bytes, kind), CONTEXT);
    }

    /// Bytes of a valid record are replaced, and what is left is cut or drawn out.
    #[test]
    fn no_mutation_panics(
        sample in 0usize..16,
        changes in proptest::collection::vec((0usize..256, proptest::num::u8::ANY), 0..8),
        size in 0usize..300,
        resize in proptest::bool::ANY,
    ) {
        let mut bytes = samples()[sample].clone();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = decode(&bytes, CONTEXT);
        if resize {
            bytes.resize(size, 0x2f);
        }
        let _ = decode(&with_header(bytes, sample as u16), CONTEXT);
    }
}
