//! Golden wire bytes: the layout is written out by hand here, so that a change of a record type shows.

use watchfire_model::{
    BinaryFile, CloseReason, Device, Exec, Exit, ExitStatus, Fork, Origin, Owner, OwnerUnknown, Packets, Side,
};

use super::*;

#[path = "decode_event_tests.rs"]
mod events;
#[path = "decode_flow_tests.rs"]
mod flows;

use events::{capability, credentials, file, kernel, memory, namespace, signal, socket, stdio};

const BOOT: u32 = 0xabcd_ef01;
const CONTEXT: Context = Context { boot: BOOT, owners_probed: true };

/// Little-endian fields in wire order.
struct Wire(Vec<u8>);

impl Wire {
    fn header(kind: u16, size: u32) -> Self {
        Self(Vec::new())
            .u32(size)
            .u16(kind)
            .u16(WIRE_VERSION)
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
        [b"sh\0-c\0\0", b"sh\0bin\0usr\0", b"", b"A=1\0B=\xff\0", b"tmp/run.sh", b"/bin/sh"];
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
    Wire::header(kind, 176)
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
        .u64(1_234_567) // handshake
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
    assert_eq!((flow.origin, flow.direction_guessed), (Origin::Observed, false));
    assert_eq!(flow.handshake_ns, Some(1_234_567));

    // A client that saw both FINs: SYN and FIN leave bytes_acked, the peer's FIN leaves bytes_received.
    let Body::FlowClose(_, end) = decode(&tcp(4, 1 | 2 | 4, 5, 0), CONTEXT).unwrap().1.body else {
        panic!("no close")
    };
    assert_eq!((end.counters.bytes_sent, end.counters.bytes_received), (100, 200));
    assert_eq!((end.reason, end.established, end.duration_ns), (CloseReason::Fin, true, Some(500_000_000)));
    let Packets::Segments { srtt_us, min_rtt_us, retransmits, .. } = end.counters.packets else {
        panic!("TCP counts segments: {end:?}");
    };
    assert_eq!((srtt_us, min_rtt_us, retransmits), (100, 50, 3));

    // A server that was reset: neither FIN happened.
    let Body::FlowClose(flow, end) = decode(&tcp(4, 0, 1, 104), CONTEXT).unwrap().1.body else {
        panic!("no close")
    };
    assert_eq!((flow.side, flow.server.port(), end.reason), (Side::Server, 40000, CloseReason::ResetByPeer));
    assert_eq!((end.counters.bytes_sent, end.counters.bytes_received), (102, 201));
}

#[test]
fn a_connection_that_was_found() {
    let mut bytes = tcp(4, 1 | 4 | 8, 8, 104);
    bytes[120..124].copy_from_slice(&(1u32 | 2 | 16).to_le_bytes()); // owner_flags
    let Body::FlowClose(flow, end) = decode(&bytes, CONTEXT).unwrap().1.body else { panic!("no close") };
    assert_eq!((flow.origin, flow.direction_guessed), (Origin::BeforeStart, true));
    // When it began is not known.
    assert_eq!((flow.opened_boot_ns, end.duration_ns), (8_500_000_000, None));
    assert_eq!((end.counters.bytes_sent, end.counters.bytes_received), (101, 200));

    let observation = update(&bytes, CONTEXT).unwrap();
    assert_eq!(
        (observation.boot_ns, &observation.body),
        (9_000_000_000, &Body::FlowUpdate(flow, end.counters))
    );
    assert_eq!(update(&bytes[..175], CONTEXT), Err(DecodeError::Short(175)));
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
        (5, 2, 112, CloseReason::Unreachable),
        (5, 2, 13, CloseReason::Unreachable),
        (4, 8, 32, CloseReason::ResetByPeer),
        (4, 9, 104, CloseReason::ResetByPeer),
        (4, 1, 103, CloseReason::AbortedLocally),
        (4, 1, 5, CloseReason::Error),
        (5, 2, 0, CloseReason::AbortedLocally),
    ] {
        let Body::FlowClose(_, end) = decode(&tcp(kind, 1, old_state, error), CONTEXT).unwrap().1.body else {
            panic!("no close")
        };
        assert_eq!(end.reason, expected, "kind {kind}, state {old_state}, error {error}");
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
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..512), kind in 0u16..21) {
        let _ = decode(&bytes, CONTEXT);
        let _ = flow_note(&bytes, CONTEXT);
        let _ = flow_note(&with_header(bytes.clone(), kind), CONTEXT);
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
