//! Sockets as standard input, output and error: what a reverse shell is made of.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};
use watchfire_tests::Agent;

use crate::actor::{Actor, Interface, args};
use crate::calls::*;
use crate::peer::loopback;
use crate::running::has_argument;
use crate::stage::{agent_of, assert_namespaces, event, skip, stopped};

/// What its agents watch.
const FAMILIES: &[&str] = &["stdio"];

/// One way to put a descriptor in the place of another.
struct Row {
    call: Call,
    to: i32,
    dup: fn(&mut Actor, i64, i32) -> Option<i64>,
}

/// A copy goes to the lowest descriptor that is free.
fn after_close(actor: &mut Actor, to: i32) {
    actor.prepare(CLOSE, args![to]);
}

const ROWS: [Row; 4] = [
    Row { call: DUP2, to: 0, dup: |actor, from, to| actor.attempt(DUP2, args![from, to]) },
    Row { call: DUP3, to: 1, dup: |actor, from, to| actor.attempt(DUP3, args![from, to, libc::O_CLOEXEC]) },
    Row { call: DUP3, to: 2, dup: |actor, from, to| actor.attempt(DUP3, args![from, to, 0]) },
    Row {
        call: DUP,
        to: 0,
        dup: |actor, from, to| {
            after_close(actor, to);
            actor.attempt(DUP, args![from])
        },
    },
];

/// fcntl(2) copies as well.
const FCNTL_ROWS: [Row; 1] = [Row {
    call: FCNTL,
    to: 1,
    dup: |actor, from, to| {
        after_close(actor, to);
        actor.attempt(FCNTL, args![from, libc::F_DUPFD, 0])
    },
}];

/// A connected socket of the actor, with its ends.
fn connected(actor: &mut Actor) -> (i64, std::net::TcpStream) {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut address = (libc::AF_INET as u16).to_ne_bytes().to_vec();
    address.extend(port.to_be_bytes());
    address.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let fd = actor.prepare(SOCKET, args![libc::AF_INET, libc::SOCK_STREAM, 0]);
    actor.prepare(CONNECT, args![fd, address, 16]);
    (fd, listener.accept().unwrap().0)
}

/// Waits for the record of a copy.
fn copied(agent: &Agent, actor: &Actor, result: i64, from: i64, to: i32, stream: &std::net::TcpStream) {
    let expected = json!({
        "from_fd": from, "to_fd": to, "family": "inet", "socket_type": "stream",
        "local": stream.peer_addr().unwrap().to_string(), "remote": stream.local_addr().unwrap().to_string(),
    });
    let record = event(agent, actor, ("stdio", "dup"), result, |record| {
        expected.as_object().unwrap().iter().all(|(name, value)| record[name] == *value)
    });
    assert_namespaces(actor, &record);
}

pub(crate) fn native() {
    all(Interface::Native, &ROWS);
}

pub(crate) fn compat() {
    all(Interface::Compat, &ROWS);
}

pub(crate) fn fcntl() {
    all(Interface::Native, &FCNTL_ROWS);
}

fn all(interface: Interface, rows: &[Row]) {
    let agent = agent_of(FAMILIES, &json!({}));
    for row in rows {
        let mut actor = Actor::new(interface);
        let (fd, stream) = connected(&mut actor);
        let Some(result) = (row.dup)(&mut actor, fd, row.to) else {
            skip(&format!("sockets_as_standard_streams/{}", row.call.name), "this machine has no such call");
            continue;
        };
        assert_eq!(result, i64::from(row.to), "{}", row.call.name);
        copied(&agent, &actor, result, fd, row.to, &stream);
    }
}

pub(crate) fn reverse_shell() {
    let agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    let nonce = crate::running::nonce("reverse");
    let (fd, mut stream) = connected(&mut actor);
    for to in 0..3 {
        let result = actor.call(DUP3, args![fd, to, 0]);
        assert_eq!(result, i64::from(to));
        copied(&agent, &actor, result, fd, to, &stream);
    }
    actor.exec(
        Path::new("/bin/sh"),
        &[b"sh", b"-c", b"read word; echo \"got $word\"", nonce.as_bytes()],
        &[],
    );
    stream.write_all(b"something\n").unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "got something\n", "the shell talks to the socket");
    let exec = agent.record("the shell", |record| record["action"] == "exec" && has_argument(record, &nonce));
    assert_eq!(exec["process"]["pid"], actor.pid());
    // A socket is no terminal.
    assert_eq!((&exec["tty"], &exec["shell_with_tty"]), (&Value::Null, &Value::Null), "{exec}");
}

pub(crate) fn harmless() {
    let mut agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    let (fd, _stream) = connected(&mut actor);
    // A socket elsewhere, and a file in the place of standard input.
    assert_eq!(actor.call(DUP3, args![fd, 50, 0]), 50);
    assert!(actor.call(DUP, args![fd]) > 2);
    let null = actor.prepare(OPENAT, args![libc::AT_FDCWD, "/dev/null", libc::O_RDWR]);
    assert_eq!(actor.call(DUP3, args![null, 0, 0]), 0);
    let records = stopped(&mut agent);
    let told: Vec<_> = (records.iter())
        .filter(|record| record["type"] == "stdio" && record["process"]["pid"] == actor.pid())
        .collect();
    assert!(told.is_empty(), "{told:?}");
}
