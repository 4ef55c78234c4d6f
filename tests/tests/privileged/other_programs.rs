//! Programs of another eBPF agent, in place before ours starts: on the root cgroup, and at a device (tcx). Each goes on doing
//! what it did, and ours sees what passes them.

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};

use crate::actor::{Actor, args, errno, long_words, words};
use crate::calls::{BPF, OPENAT};
use crate::peer::{Peer, loopback};
use crate::running::{agent, metric};
use crate::stage::skip;
use crate::tcp::flow;

/// Commands of bpf(2), and types of programs and of where they are attached (include/uapi/linux/bpf.h).
const BPF_PROG_LOAD: u32 = 5;
const BPF_LINK_CREATE: u32 = 28;
const SCHED_CLS: u32 = 3;
const CGROUP_SOCK_ADDR: u32 = 18;
const CGROUP_INET4_CONNECT: u32 = 10;
const TCX_INGRESS: u32 = 46;

/// The index of `lo` in every network namespace.
const LOOPBACK: u32 = 1;

/// An instruction: operation, registers, offset and constant.
fn instruction(operation: u8, registers: u8, offset: i16, constant: i32) -> Vec<u8> {
    [&[operation, registers][..], &offset.to_le_bytes(), &constant.to_le_bytes()].concat()
}

/// Refuses connections to a port, and admits all others.
fn refuser(port: u16) -> Vec<u8> {
    [
        // r2 = context->user_port, in the order of the network
        instruction(0x61, 0x12, 24, 0),
        // r0 = 1; if r2 != port, skip one; r0 = 0; exit
        instruction(0xb7, 0, 0, 1),
        instruction(0x55, 2, 1, port.to_be().into()),
        instruction(0xb7, 0, 0, 0),
        instruction(0x95, 0, 0, 0),
    ]
    .concat()
}

/// Drops datagrams to a port, and leaves all else to the next.
fn dropper(port: u16) -> Vec<u8> {
    [
        // r6 = context, which the loads from the packet work by
        instruction(0xbf, 0x16, 0, 0),
        // r0 = protocol of the IPv4 header; if it is not UDP, to the end
        instruction(0x30, 0, 0, 14 + 9),
        instruction(0x55, 0, 4, libc::IPPROTO_UDP),
        // r0 = its destination; if it is another, to the end
        instruction(0x28, 0, 0, 14 + 20 + 2),
        instruction(0x55, 0, 2, port.into()),
        // TC_ACT_SHOT
        instruction(0xb7, 0, 0, 2),
        instruction(0x95, 0, 0, 0),
        // TCX_NEXT
        instruction(0xb7, 0, 0, -1),
        instruction(0x95, 0, 0, 0),
    ]
    .concat()
}

fn load(other: &mut Actor, kind: u32, code: &[u8], place: u32) -> i64 {
    let (instructions, license) = (other.memory(code), other.memory(b"GPL\0"));
    let count = u32::try_from(code.len() / 8).unwrap();
    let mut attributes = words([kind, count]);
    attributes.extend(long_words([instructions, license]));
    // Log level, size and buffer; version and flags.
    attributes.extend(words([0, 0, 0, 0, 0, 0]));
    attributes.extend(b"other\0\0\0\0\0\0\0\0\0\0\0");
    // Device; where it is to be attached.
    attributes.extend(words([0, place]));
    let length = attributes.len();
    other.prepare(BPF, args![BPF_PROG_LOAD, attributes, length])
}

/// Attaches a program until the actor ends; a negated errno where this kernel cannot.
fn link(other: &mut Actor, program: i64, target: u32, place: u32) -> i64 {
    let mut attributes = words([u32::try_from(program).unwrap(), target, place, 0]);
    // The end of the list.
    attributes.extend(long_words([0, 0]));
    let length = attributes.len();
    other.call(BPF, args![BPF_LINK_CREATE, attributes, length])
}

pub(crate) fn there_first() {
    let listener = std::net::TcpListener::bind(loopback(0)).unwrap();
    let refused = listener.local_addr().unwrap();
    let sink = UdpSocket::bind(loopback(0)).unwrap();
    sink.set_nonblocking(true).unwrap();

    let mut other = Actor::start();
    let root = watchfire_tests::cgroup2_root().unwrap().to_string_lossy().into_owned();
    let root = other.prepare(OPENAT, args![libc::AT_FDCWD, &root, libc::O_RDONLY | libc::O_DIRECTORY]);
    let program = load(&mut other, CGROUP_SOCK_ADDR, &refuser(refused.port()), CGROUP_INET4_CONNECT);
    let linked = link(&mut other, program, u32::try_from(root).unwrap(), CGROUP_INET4_CONNECT);
    assert!(linked >= 0, "{}", errno(linked));
    let program = load(&mut other, SCHED_CLS, &dropper(sink.local_addr().unwrap().port()), TCX_INGRESS);
    let linked = link(&mut other, program, LOOPBACK, TCX_INGRESS);
    let has_tcx = linked >= 0;
    if !has_tcx {
        skip("other_programs_tcx", &format!("this kernel has no tcx: {}", errno(linked)));
    }

    let others_work = |when: &str| {
        let error = TcpStream::connect(refused).expect_err(when);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{when}");
        let sent = UdpSocket::bind(loopback(0)).unwrap().send_to(b"x", sink.local_addr().unwrap());
        assert_eq!(sent.unwrap(), 1, "{when}");
        // What is sent on loopback has arrived when it was sent.
        let arrived = sink.recv(&mut [0; 8]).map_err(|error| error.kind());
        let expected = if has_tcx { Err(ErrorKind::WouldBlock) } else { Ok(1) };
        assert_eq!(arrived, expected, "{when}");
    };
    others_work("before the agent");
    let agent = agent();
    assert_eq!(metric(&agent, "watchfire_probe_info{probe=\"tcp\",hook=\"sock_ops\",rung=\"1\"}"), 1);
    others_work("beside the agent");
    // What they leave alone passes, and is told.
    let mut server = Peer::start("serve 127.0.0.1:0 4321");
    let port = server.port();
    let mut client = Peer::start(&format!("connect 127.0.0.1:{port} 1234"));
    assert_eq!(client.line(), "received 4321");
    let close = flow(&agent, "close", "client", port);
    assert_eq!(close["process"]["pid"], client.pid(), "{close}");
    assert_eq!(close["counters"]["bytes_sent"], 1234, "{close}");
    client.finish();
    drop(agent);
    others_work("after the agent");
    other.finish();
    // The kernel takes them away a moment after their owner.
    while TcpStream::connect(refused).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        std::thread::yield_now();
    }
    assert!(TcpStream::connect(refused).is_ok());
}
