//! Sockets.

use std::net::{TcpListener, UdpSocket};

use serde_json::{Value, json};
use watchfire_tests::Agent;

use crate::actor::{Actor, Entry, Interface, args, words};
use crate::calls::*;
use crate::peer::loopback;
use crate::stage::{agent_of, assert_namespaces, event, is_last_rung, skip, stopped};

/// What its agents watch.
const FAMILIES: &[&str] = &["socket"];

const ETH_P_ALL: u16 = 3;

/// `IORING_OP_*`
mod op {
    pub(super) const CONNECT: u8 = 16;
    pub(super) const SOCKET: u8 = 45;
    pub(super) const BIND: u8 = 56;
    pub(super) const LISTEN: u8 = 57;
}

fn happened(agent: &Agent, actor: &Actor, operation: &str, result: i64, fields: &Value) {
    let record = event(agent, actor, ("socket", operation), result, |record| {
        fields.as_object().unwrap().iter().all(|(name, value)| record[name] == *value)
    });
    assert_namespaces(actor, &record);
}

/// `struct sockaddr_in` of the loopback address.
fn inet(port: u16) -> Vec<u8> {
    let mut address = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    address.extend(port.to_be_bytes());
    address.extend([127, 0, 0, 1]);
    address.extend([0; 8]);
    address
}

/// `struct sockaddr_in6` of the loopback address.
fn inet6(port: u16) -> Vec<u8> {
    let mut address = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
    address.extend(port.to_be_bytes());
    address.extend([0; 4]);
    address.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    address.extend([0; 4]);
    address
}

/// `struct sockaddr_un`; an abstract name begins with NUL.
fn unix(name: &[u8]) -> Vec<u8> {
    let mut address = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    address.extend(name);
    address
}

/// Ports that nobody uses just now.
fn free_port() -> u16 {
    TcpListener::bind(loopback(0)).unwrap().local_addr().unwrap().port()
}

pub(crate) fn native() {
    all(Interface::Native);
}

pub(crate) fn compat() {
    all(Interface::Compat);
}

fn all(interface: Interface) {
    let agent = agent_of(FAMILIES, &json!({"unixSockets": true}));
    let mut actor = Actor::new(interface);
    raw(&agent, &mut actor, |actor, family, kind, protocol| {
        actor.call(SOCKET, args![family, kind, protocol])
    });
    bound(&agent, &mut actor);
    local(&agent, &mut actor);
}

pub(crate) fn socketcall() {
    let agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::new(Interface::Compat);
    raw(&agent, &mut actor, |actor, family, kind, protocol| {
        // SYS_SOCKET
        actor.call(SOCKETCALL, args![1, words([family as u32, kind as u32, protocol as u32])])
    });
    let port = free_port();
    let fd = actor.call(SOCKETCALL, args![1, words([libc::AF_INET as u32, libc::SOCK_STREAM as u32, 0])]);
    let address = actor.memory(&inet(port));
    // SYS_BIND, SYS_LISTEN
    let result = actor.call(SOCKETCALL, args![2, words([fd as u32, address as u32, 16])]);
    assert_eq!(result, 0);
    let expected = json!({"family": "inet", "address": "127.0.0.1", "port": port});
    happened(&agent, &actor, "bind", result, &expected);
    let result = actor.call(SOCKETCALL, args![4, words([fd as u32, 5])]);
    assert_eq!(result, 0);
    happened(&agent, &actor, "listen", result, &json!({"port": port, "backlog": 5}));
}

fn raw(agent: &Agent, actor: &mut Actor, socket: impl Fn(&mut Actor, i32, i32, i32) -> i64) {
    for (family, kind, protocol, expected) in [
        (
            libc::AF_INET,
            libc::SOCK_RAW,
            libc::IPPROTO_ICMP,
            json!({"family": "inet", "socket_type": "raw", "protocol": 1}),
        ),
        (
            libc::AF_INET6,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            libc::IPPROTO_ICMPV6,
            json!({"family": "inet6", "socket_type": "raw", "protocol": 58}),
        ),
        (
            libc::AF_PACKET,
            libc::SOCK_RAW,
            ETH_P_ALL.to_be().into(),
            json!({"family": "packet", "socket_type": "raw", "protocol": 3}),
        ),
        (
            libc::AF_PACKET,
            libc::SOCK_DGRAM | libc::SOCK_NONBLOCK,
            ETH_P_ALL.to_be().into(),
            json!({"family": "packet", "socket_type": "dgram", "protocol": 3}),
        ),
    ] {
        let result = socket(actor, family, kind, protocol);
        if result == -i64::from(libc::EAFNOSUPPORT) {
            skip(&format!("socket/{}", expected["family"]), "this kernel has no such family");
            continue;
        }
        assert!(result >= 0, "{expected}: {}", crate::actor::errno(result));
        let mut expected = expected;
        for absent in ["address", "port", "path", "backlog"] {
            expected[absent] = Value::Null;
        }
        happened(agent, actor, "socket", result, &expected);
    }
}

fn bound(agent: &Agent, actor: &mut Actor) {
    let fd = actor.prepare(SOCKET, args![libc::AF_INET, libc::SOCK_STREAM, 0]);
    let port = free_port();
    let result = actor.call(BIND, args![fd, inet(port), 16]);
    assert_eq!(result, 0);
    let mut expected = json!({
        "family": "inet", "socket_type": "stream", "protocol": 6, "address": "127.0.0.1", "port": port, "path": null,
        "backlog": null,
    });
    happened(agent, actor, "bind", result, &expected);
    let result = actor.call(LISTEN, args![fd, 7]);
    assert_eq!(result, 0);
    expected["backlog"] = json!(7);
    happened(agent, actor, "listen", result, &expected);

    // The port is taken now.
    let fd = actor.prepare(SOCKET, args![libc::AF_INET, libc::SOCK_STREAM, 0]);
    let refused = actor.call(BIND, args![fd, inet(port), 16]);
    assert_eq!(refused, -i64::from(libc::EADDRINUSE));
    if is_last_rung(agent, "socket") {
        happened(agent, actor, "bind", refused, &json!({"port": port, "result": refused}));
    }

    let fd = actor.prepare(SOCKET, args![libc::AF_INET6, libc::SOCK_DGRAM, 0]);
    let port = UdpSocket::bind(loopback(0)).unwrap().local_addr().unwrap().port();
    let result = actor.call(BIND, args![fd, inet6(port), 28]);
    assert_eq!(result, 0);
    let expected = json!({
        "family": "inet6", "socket_type": "dgram", "protocol": 17, "address": "::1", "port": port,
    });
    happened(agent, actor, "bind", result, &expected);
}

/// Unix sockets, by path and by abstract name.
fn local(agent: &Agent, actor: &mut Actor) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket").to_string_lossy().into_owned();
    let name = crate::running::nonce("abstract");
    let abstract_name = [b"\0", name.as_bytes()].concat();
    for (address, told) in [(unix(path.as_bytes()), path.clone()), (unix(&abstract_name), format!("@{name}"))]
    {
        let length = address.len();
        let server = actor.prepare(SOCKET, args![libc::AF_UNIX, libc::SOCK_STREAM, 0]);
        let expected = json!({
            "family": "unix", "socket_type": "stream", "path": told, "address": null, "port": null, "backlog": null,
        });
        let result = actor.call(BIND, args![server, address.clone(), length]);
        assert_eq!(result, 0);
        happened(agent, actor, "bind", result, &expected);
        actor.prepare(LISTEN, args![server, 1]);
        let client = actor.prepare(SOCKET, args![libc::AF_UNIX, libc::SOCK_STREAM, 0]);
        let result = actor.call(CONNECT, args![client, address, length]);
        assert_eq!(result, 0);
        happened(agent, actor, "connect", result, &expected);
    }
}

pub(crate) fn ring() {
    let agent = agent_of(FAMILIES, &json!({"unixSockets": true}));
    let mut actor = Actor::new(Interface::Ring);
    let unsupported = |part: &str| skip(&format!("sockets_by_io_uring/{part}"), "this io_uring cannot do it");
    let socket = |actor: &mut Actor, family: i32, kind: i32, protocol: u32| {
        let off = kind as u64;
        actor.ring(Entry { opcode: op::SOCKET, fd: family, off, len: protocol, ..Entry::default() })
    };
    match socket(&mut actor, libc::AF_INET, libc::SOCK_RAW, 1) {
        None => unsupported("socket"),
        Some(result) => {
            assert!(result >= 0);
            let expected = json!({"family": "inet", "socket_type": "raw", "protocol": 1});
            happened(&agent, &actor, "socket", result, &expected);
        }
    }
    let fd = actor.prepare(SOCKET, args![libc::AF_INET, libc::SOCK_STREAM, 0]);
    let port = free_port();
    let addr = actor.memory(&inet(port));
    match actor.ring(Entry { opcode: op::BIND, fd: fd as i32, addr, off: 16, ..Entry::default() }) {
        None => unsupported("bind"),
        Some(result) => {
            assert_eq!(result, 0);
            let expected = json!({"family": "inet", "address": "127.0.0.1", "port": port});
            happened(&agent, &actor, "bind", result, &expected);
            let listen = Entry { opcode: op::LISTEN, fd: fd as i32, len: 9, ..Entry::default() };
            let result = actor.ring(listen).unwrap();
            assert_eq!(result, 0);
            happened(&agent, &actor, "listen", result, &json!({"port": port, "backlog": 9}));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let path = path.to_string_lossy().into_owned();
    let fd = actor.prepare(SOCKET, args![libc::AF_UNIX, libc::SOCK_STREAM, 0]);
    let address = unix(path.as_bytes());
    let (off, addr) = (address.len() as u64, actor.memory(&address));
    match actor.ring(Entry { opcode: op::CONNECT, fd: fd as i32, addr, off, ..Entry::default() }) {
        None => unsupported("connect"),
        Some(result) => {
            assert_eq!(result, 0, "{}", crate::actor::errno(result));
            happened(&agent, &actor, "connect", result, &json!({"family": "unix", "path": path}));
        }
    }
}

pub(crate) fn harmless() {
    let mut agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
        actor.prepare(SOCKET, args![libc::AF_INET, kind, 0]);
        actor.prepare(SOCKET, args![libc::AF_UNIX, kind, 0]);
    }
    // Unix sockets are told on request alone; connections over TCP are flows.
    let address = unix(&[b"\0", crate::running::nonce("quiet").as_bytes()].concat());
    let length = address.len();
    let server = actor.prepare(SOCKET, args![libc::AF_UNIX, libc::SOCK_STREAM, 0]);
    actor.prepare(BIND, args![server, address.clone(), length]);
    actor.prepare(LISTEN, args![server, 1]);
    let client = actor.prepare(SOCKET, args![libc::AF_UNIX, libc::SOCK_STREAM, 0]);
    actor.prepare(CONNECT, args![client, address, length]);
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = actor.prepare(SOCKET, args![libc::AF_INET, libc::SOCK_STREAM, 0]);
    actor.prepare(CONNECT, args![client, inet(port), 16]);
    let records = stopped(&mut agent);
    let told: Vec<&Value> = (records.iter())
        .filter(|record| record["type"] == "socket" && record["process"]["pid"] == actor.pid())
        .collect();
    assert!(told.is_empty(), "{told:?}");
}
