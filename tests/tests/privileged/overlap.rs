//! Flows that have the same two ends: in two network namespaces at once, one after the other, and of two sockets.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use watchfire_tests::{Agent, PATIENCE};

use crate::loss::{assert_balance, final_account};
use crate::peer::loopback;
use crate::running::agent;
use crate::space::Space;

const SERVER: u16 = 7001;
const CLIENT: u16 = 7002;

/// A TCP socket that may have an address which others have or had.
fn stream(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&loopback(port).into()).unwrap();
    socket
}

/// A UDP socket with an address that others may have as well.
fn datagrams(port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&loopback(port).into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

fn listen() -> TcpListener {
    let socket = stream(SERVER);
    socket.listen(4).unwrap();
    socket.into()
}

/// A connection between the two ports: the client's end, and the server's.
fn connect(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = stream(CLIENT);
    client.connect(&loopback(SERVER).into()).unwrap();
    (client.into(), listener.accept().unwrap().0)
}

/// Sends so many bytes that way, and waits until they are there.
fn send(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) {
    from.write_all(&vec![1; bytes]).unwrap();
    to.read_exact(&mut vec![0; bytes]).unwrap();
}

fn datagram(from: &UdpSocket, to: &UdpSocket, address: SocketAddr, bytes: usize) {
    from.send_to(&vec![1; bytes], address).unwrap();
    assert_eq!(to.recv(&mut [0; 4096]).unwrap(), bytes);
}

/// The records of these flows at one end, oldest first.
fn told(agent: &Agent, space: &Space, (protocol, side, stage): (&str, &str, &str)) -> Vec<Value> {
    let is_it = |record: &Value| {
        space.has(record)
            && (&record["protocol"], &record["side"], &record["stage"])
                == (&protocol.into(), &side.into(), &stage.into())
    };
    agent.records().into_iter().filter(is_it).collect()
}

/// Waits for so many ends of flows of an agent that is then stopped, and answers for each end, in the order of their opening,
/// the bytes that it sent and received.
fn ended(agent: &mut Agent, spaces: &[&Space], protocol: &str, flows: usize) -> Vec<[Vec<[u64; 2]>; 2]> {
    for space in spaces {
        for side in ["client", "server"] {
            let mut left = flows;
            let _ = agent.record(&format!("{flows} ends of {protocol} at the {side}"), |record| {
                let is_end = space.has(record)
                    && record["protocol"] == protocol
                    && record["side"] == side
                    && record["stage"] == "close";
                left -= usize::from(is_end);
                left == 0
            });
        }
    }
    assert_balance(&final_account(agent));
    let at = |space: &Space, side: &str| {
        let opened = told(agent, space, (protocol, side, "open"));
        let closed = told(agent, space, (protocol, side, "close"));
        assert_eq!((opened.len(), closed.len()), (flows, flows), "{opened:?} {closed:?}");
        let end_of = |open: &Value| {
            let mut ends = closed.iter().filter(|close| close["cookie"] == open["cookie"]);
            let close = ends.next().unwrap_or_else(|| panic!("no end of {open}"));
            assert!(ends.next().is_none(), "one end of {open}");
            ["bytes_sent", "bytes_received"].map(|name| close["counters"][name].as_u64().unwrap())
        };
        opened.iter().map(end_of).collect()
    };
    spaces.iter().map(|space| ["client", "server"].map(|side| at(space, side))).collect()
}

/// What the other end has to have counted.
fn mirrored(counts: &[[u64; 2]]) -> Vec<[u64; 2]> {
    counts.iter().map(|[sent, received]| [*received, *sent]).collect()
}

pub(crate) fn tcp_in_two_namespaces() {
    let mut agent = agent();
    let (one, two) = (Space::new(), Space::new());
    let mut both = [&one, &two].map(|space| space.inside(|| connect(&listen())));
    let ends = |(client, server): &(TcpStream, TcpStream)| {
        (client.local_addr().unwrap(), server.local_addr().unwrap())
    };
    assert_eq!(ends(&both[0]), ends(&both[1]));
    for round in 1..=3 {
        for (index, (client, server)) in both.iter_mut().enumerate() {
            send(client, server, 1000 * (index + 1) * round);
            send(server, client, 10 * (index + 1) * round);
        }
    }
    drop(both);
    let ended = ended(&mut agent, &[&one, &two], "TCP", 1);
    for (sides, expected) in ended.iter().zip([[6000, 60], [12000, 120]]) {
        assert_eq!(*sides, [vec![expected], mirrored(&[expected])]);
    }
}

pub(crate) fn udp_in_two_namespaces() {
    let mut agent = agent();
    let (one, two) = (Space::new(), Space::new());
    let both = [&one, &two].map(|space| space.inside(|| (datagrams(CLIENT), datagrams(SERVER))));
    for round in 1..=3 {
        for (index, (client, server)) in both.iter().enumerate() {
            datagram(client, server, loopback(SERVER), 100 * (index + 1) * round);
            datagram(server, client, loopback(CLIENT), 7 * (index + 1) * round);
        }
    }
    drop(both);
    let ended = ended(&mut agent, &[&one, &two], "UDP", 1);
    for (sides, expected) in ended.iter().zip([[600, 42], [1200, 84]]) {
        assert_eq!(*sides, [vec![expected], mirrored(&[expected])]);
    }
}

pub(crate) fn one_after_the_other() {
    let mut agent = agent();
    let space = Space::new();
    let expected = [[111, 1], [222, 2], [333, 3], [444, 4]];
    let mut listener = space.inside(listen);
    for (round, [sent, received]) in expected.iter().enumerate() {
        listener = space.inside(move || {
            let (mut client, mut server) = connect(&listener);
            send(&mut client, &mut server, *sent);
            send(&mut server, &mut client, *received);
            // By a reset nothing stays; what the server finished waits there, and makes way for the next.
            if round % 2 == 0 {
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                drop(client);
                let _ = server.read(&mut [0]);
            } else {
                server.shutdown(Shutdown::Write).unwrap();
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
                drop(client);
                assert_eq!(server.read(&mut [0]).unwrap(), 0);
            }
            listener
        });
        space.inside(move || {
            let (client, server) = (datagrams(CLIENT), datagrams(SERVER));
            datagram(&client, &server, loopback(SERVER), *sent);
            datagram(&server, &client, loopback(CLIENT), *received);
        });
    }
    let expected = expected.map(|counts| counts.map(|count| count as u64));
    // Those of UDP come through another ring: they are all there when the agent has ended.
    let ended = ended(&mut agent, &[&space], "TCP", expected.len());
    assert_eq!(ended, [[expected.to_vec(), mirrored(&expected)]]);
    let closes = |side: &str| -> Vec<[u64; 2]> {
        let count = |close: &Value| {
            ["bytes_sent", "bytes_received"].map(|name| close["counters"][name].as_u64().unwrap())
        };
        told(&agent, &space, ("UDP", side, "close")).iter().map(count).collect()
    };
    assert_eq!((closes("client"), closes("server")), (expected.to_vec(), mirrored(&expected)));
}

pub(crate) fn two_sockets() {
    let mut agent = agent();
    let space = Space::new();
    let (server, one, two) = space.inside(|| {
        let clients = [datagrams(CLIENT), datagrams(CLIENT)];
        let server = datagrams(SERVER);
        for client in &clients {
            client.connect(loopback(SERVER)).unwrap();
        }
        let [one, two] = clients;
        (server, one, two)
    });
    for round in 1..=3 {
        for (client, bytes) in [(&one, 100), (&two, 20)] {
            client.send(&vec![1; bytes * round]).unwrap();
            assert_eq!(server.recv(&mut [0; 4096]).unwrap(), bytes * round);
        }
    }
    drop((one, two));
    for _ in 0..2 {
        let _ = agent.record("the end at a client", |record| {
            space.has(record) && record["side"] == "client" && record["stage"] == "close"
        });
    }
    drop(server);
    let _ = agent.record("the end at the server", |record| {
        space.has(record) && record["side"] == "server" && record["stage"] == "close"
    });
    assert_balance(&final_account(&mut agent));
    let sent = |side: &str, name: &str| {
        let mut all: Vec<u64> = told(&agent, &space, ("UDP", side, "close"))
            .iter()
            .map(|close| close["counters"][name].as_u64().unwrap())
            .collect();
        all.sort_unstable();
        all
    };
    assert_eq!(sent("client", "bytes_sent"), [120, 600]);
    // At the server it is one flow, since nothing in its packets tells them apart.
    assert_eq!(sent("server", "bytes_received"), [720]);
}

pub(crate) fn echoes_answered_on_every_cpu() {
    let mut agent = agent();
    let space = Space::new();
    let id = [0x12, 0x34];
    let cpus = std::thread::available_parallelism().unwrap().get();
    space.inside(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
        for sequence in 0..4 * cpus as u8 {
            let mut cpu = rustix::thread::CpuSet::new();
            cpu.set(usize::from(sequence) % cpus);
            rustix::thread::sched_setaffinity(None, &cpu).unwrap();
            let mut message = [8, 0, 0, 0, id[0], id[1], 0, sequence, 1, 2, 3, 4];
            let sum: u32 =
                message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
            let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            socket.send_to(&message, &loopback(0).into()).unwrap();
        }
    });
    let is_answer = |record: &Value, stage: &str| {
        record["protocol"] == "ICMP"
            && record["stage"] == stage
            && record["side"] == "server"
            && record["icmp"]["id"] == u16::from_be_bytes(id)
    };
    let close = agent.record("the end of the answers", |record| is_answer(record, "close"));
    assert_eq!(close["counters"]["datagrams_sent"], 4 * cpus, "{close}");
    let _ = final_account(&mut agent);
    assert_eq!(agent.records().iter().filter(|record| is_answer(record, "open")).count(), 1);
}
