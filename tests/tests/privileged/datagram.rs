//! Flows without connections, and packets that the kernel throws away.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};
use watchfire_tests::{Agent, PATIENCE};

use crate::loss::{assert_balance, final_account};
use crate::peer::{Peer, loopback};
use crate::running::{agent, bare, metric, only, ready};
use crate::stage::{hooks, skip};

/// A flow record of this stage and end, whose server has this port.
fn flow(agent: &Agent, (protocol, stage, side): (&str, &str, &str), server: SocketAddr) -> Value {
    agent.record(&format!("{protocol} {side} {stage} of {server}"), |record| {
        record["type"] == "flow"
            && record["protocol"] == protocol
            && record["stage"] == stage
            && record["side"] == side
            && record["server"]["address"] == server.to_string()
    })
}

/// What an ended flow has counted: bytes and datagrams sent, bytes and datagrams received.
fn counts(record: &Value) -> [u64; 4] {
    ["bytes_sent", "datagrams_sent", "bytes_received", "datagrams_received"]
        .map(|name| record["counters"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {record}")))
}

pub(crate) fn exact() {
    let mut agent = agent();
    for (address, how) in [
        ("127.0.0.1:0", "connected"),
        ("127.0.0.1:0", "unconnected"),
        ("[::1]:0", "connected"),
        ("[::1]:0", "unconnected"),
    ] {
        let mut server = Peer::start(&format!("udp-serve {address} 7"));
        let server_address: SocketAddr = server.line().parse().unwrap();
        let mut client = Peer::start(&format!("udp-send {server_address} 20 101 {how}"));
        assert_eq!(client.line(), "received 20");
        let (client_pid, server_pid) = (client.pid(), server.pid());
        client.finish();
        drop(server);
        // Each of 20 datagrams is answered by one of 7 bytes.
        for (side, pid, expected) in
            [("client", client_pid, [2020, 20, 140, 20]), ("server", server_pid, [140, 20, 2020, 20])]
        {
            let open = flow(&agent, ("UDP", "open", side), server_address);
            let close = flow(&agent, ("UDP", "close", side), server_address);
            for record in [&open, &close] {
                assert_eq!(record["process"]["pid"], pid, "{how} {record}");
                assert_eq!(record["direction_guessed"], Value::Null, "{how} {record}");
            }
            assert_eq!(open["client"]["address"], close["client"]["address"]);
            assert_eq!(counts(&close), expected, "{how} {close}");
            assert_eq!(close["close_reason"], "released", "{close}");
        }
    }
    let told = agent.records();
    let udp = told.iter().filter(|record| record["protocol"] == "UDP" && record["stage"] == "open").count();
    assert_eq!(udp, 8, "two records a flow and end, whatever the number of packets");
    assert_balance(&final_account(&mut agent));
}

/// One socket, many peers: each is a flow.
pub(crate) fn unconnected() {
    let agent = agent();
    let sockets: Vec<UdpSocket> = (0..5).map(|_| UdpSocket::bind(loopback(0)).unwrap()).collect();
    let sender = UdpSocket::bind(loopback(0)).unwrap();
    for (index, socket) in sockets.iter().enumerate() {
        for _ in 0..=index {
            sender.send_to(&[1; 50], socket.local_addr().unwrap()).unwrap();
        }
    }
    drop(sender);
    for (index, socket) in sockets.iter().enumerate() {
        let close = flow(&agent, ("UDP", "close", "client"), socket.local_addr().unwrap());
        let datagrams = index as u64 + 1;
        assert_eq!(counts(&close), [50 * datagrams, datagrams, 0, 0]);
    }
}

/// A write that the device is to cut is as many datagrams as it will be.
pub(crate) fn segmented() {
    let agent = agent();
    let receiver = UdpSocket::bind(loopback(0)).unwrap();
    let address = receiver.local_addr().unwrap();
    let sender = UdpSocket::bind(loopback(0)).unwrap();
    if !crate::operate::segment_udp(&sender, 1000) {
        return skip("datagram_segmented", "this kernel has no UDP_SEGMENT");
    }
    assert_eq!(sender.send_to(&[7; 4500], address).unwrap(), 4500);
    drop(sender);
    let close = flow(&agent, ("UDP", "close", "client"), address);
    assert_eq!(counts(&close), [4500, 5, 0, 0], "{close}");
}

pub(crate) fn older() {
    let server = UdpSocket::bind(loopback(0)).unwrap();
    let address = server.local_addr().unwrap();
    let agent = agent();
    let client = UdpSocket::bind(loopback(0)).unwrap();
    client.send_to(&[0; 9], address).unwrap();
    let open = flow(&agent, ("UDP", "open", "server"), address);
    // Whether this was the first of the flow is not known of a socket that is older than the agent; whose it is, is.
    assert_eq!(
        (&open["direction_guessed"], &open["process"]["pid"]),
        (&json!(true), &std::process::id().into())
    );
}

pub(crate) fn echo() {
    let agent = agent();
    // A raw socket: the calls are the same as on one of UDP.
    let socket: UdpSocket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap().into();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let id = (std::process::id() as u16).to_be_bytes();
    let target: SocketAddr = loopback(0);
    for sequence in 0..3u8 {
        let mut message = [8, 0, 0, 0, id[0], id[1], 0, sequence].to_vec();
        message.extend([sequence; 48]);
        let sum =
            message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
        let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        socket.send_to(&message, target).unwrap();
        // An IPv4 header of 20 bytes, and an echo reply, whose type is 0.
        let mut buffer = [u8::MAX; 200];
        while buffer[20] != 0 {
            let _ = socket.recv_from(&mut buffer).unwrap();
        }
    }
    drop(socket);
    let is_ours = |record: &Value, stage: &str, side: &str| {
        record["protocol"] == "ICMP"
            && record["stage"] == stage
            && record["side"] == side
            && record["icmp"] == json!({"type": 8, "code": 0, "id": u16::from_be_bytes(id)})
    };
    let close = agent.record("the close of the echo", |record| is_ours(record, "close", "client"));
    // On loopback a raw socket gets the requests as well as the replies.
    assert_eq!(counts(&close), [3 * 48, 3, 6 * 48, 6], "{close}");
    assert_eq!(close["process"]["pid"], std::process::id());
    let answer = agent.record("the kernel's answers", |record| is_ours(record, "open", "server"));
    assert_eq!(answer["process_unknown"], "kernel", "{answer}");
}

pub(crate) fn dropped() {
    let mut agent = agent();
    if hooks(&agent, "drops").is_empty() {
        return skip("packets_to_closed_ports", "this kernel gives no reason for what it drops");
    }
    let port = TcpListener::bind(loopback(0)).unwrap().local_addr().unwrap().port();
    assert!(TcpStream::connect(loopback(port)).is_err(), "the port is closed");
    let record = flow(&agent, ("TCP", "dropped", "server"), loopback(port));
    assert_eq!(record["drop"], json!({"reason": "NO_SOCKET", "packets": 1}), "{record}");
    assert_eq!(
        (&record["process_unknown"], &record["direction_guessed"]),
        (&"no-socket".into(), &Value::Null)
    );
    let failed = flow(&agent, ("TCP", "failed", "client"), loopback(port));
    assert_eq!(failed["client"]["address"], record["client"]["address"]);

    let closed = UdpSocket::bind(loopback(0)).unwrap().local_addr().unwrap();
    let sender = UdpSocket::bind(loopback(0)).unwrap();
    for _ in 0..4 {
        // Only every other is sent: the error of the one before comes back first.
        let _ = sender.send_to(&[1; 10], closed);
    }
    let is_to = |record: &Value| {
        record["stage"] == "dropped"
            && [&record["server"], &record["client"]].iter().any(|end| end["address"] == closed.to_string())
    };
    let first = agent.record("the first dropped datagram", is_to);
    assert_eq!(first["drop"]["packets"], 1);
    // Told again once when no more come, and not for each.
    let last = agent.record("the sum of the dropped datagrams", |record| {
        is_to(record) && record["drop"]["packets"].as_u64() > Some(1)
    });
    assert_eq!(last["drop"]["reason"], "NO_SOCKET", "{last}");
    assert_eq!(agent.records().iter().filter(|record| is_to(record)).count(), 2);
    assert_balance(&final_account(&mut agent));
}

pub(crate) fn off() {
    let flows = json!({"datagrams": false, "payloads": false, "drops": false});
    let config = json!({"flows": flows, "sensor": {"families": only(&[])}}).to_string();
    let agent = ready(bare(&["--config", "flows.yaml"]).with_file("flows.yaml", &config).start());
    for probe in ["packets", "drops"] {
        assert!(hooks(&agent, probe).is_empty(), "{probe}");
    }
    let receiver = UdpSocket::bind(loopback(0)).unwrap();
    UdpSocket::bind(loopback(0)).unwrap().send_to(&[1; 10], receiver.local_addr().unwrap()).unwrap();
    for kind in ["datagram", "payload", "drop"] {
        assert_eq!(metric(&agent, &format!("watchfire_records_seen_total{{kind=\"{kind}\"}}")), 0, "{kind}");
    }
}

/// SCTP is seen and counted: its packets, not its chunks.
pub(crate) fn sctp() {
    let agent = agent();
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(132)));
    let Ok(listener) = socket() else {
        return skip("datagrams_of_sctp", "this kernel has no SCTP");
    };
    listener.bind(&loopback(0).into()).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let client = socket().unwrap();
    client.connect(&address.into()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    assert_eq!(client.send(&[1; 500]).unwrap(), 500);
    let open = flow(&agent, ("SCTP", "open", "client"), address);
    assert_eq!(open["process"]["pid"], std::process::id(), "{open}");
    drop((accepted, client, listener));
    let close = flow(&agent, ("SCTP", "close", "client"), address);
    let [bytes, sent, _, received] = counts(&close);
    // At least INIT, COOKIE ECHO and DATA one way, and their answers the other.
    assert!(bytes > 500 && sent >= 3 && received >= 3, "{close}");
}
