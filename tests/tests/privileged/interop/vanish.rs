//! A wire that is taken away while flows on it are open.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

use serde_json::Value;

use super::wire::{CLIENT, End, INTERFACE, SERVER, Wire};
use crate::loss::{assert_balance, final_account};
use crate::running::agent;

const PORT: u16 = 7003;

pub(crate) fn interface() {
    let mut agent = agent();
    let wire = Wire::new();
    for end in [End::Client, End::Server] {
        // Give up after three retransmissions, orphans after one: some seconds instead of a quarter of an hour.
        wire.run(end, "cd /proc/sys/net/ipv4; echo 3 > tcp_retries2; echo 1 > tcp_orphan_retries");
    }
    let (listener, udp_server) = wire.inside(End::Server, || {
        (TcpListener::bind((SERVER, PORT)).unwrap(), UdpSocket::bind((SERVER, PORT)).unwrap())
    });
    let (mut client, udp_client) = wire.inside(End::Client, || {
        (TcpStream::connect((SERVER, PORT)).unwrap(), UdpSocket::bind((CLIENT, PORT)).unwrap())
    });
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(&[1; 500]).unwrap();
    server.read_exact(&mut [0; 500]).unwrap();
    for _ in 0..3 {
        udp_client.send_to(&[1; 40], (SERVER, PORT)).unwrap();
        let (bytes, from) = udp_server.recv_from(&mut [0; 100]).unwrap();
        udp_server.send_to(&vec![2; bytes / 2], from).unwrap();
        assert_eq!(udp_client.recv(&mut [0; 100]).unwrap(), 20);
    }
    let has_begun = |protocol: &str, side: &str| {
        let _ = agent.record(&format!("the {protocol} flow at the {side}"), |record| {
            wire.has(record)
                && (&record["protocol"], &record["side"], &record["stage"])
                    == (&protocol.into(), &side.into(), &"open".into())
        });
    };
    for (protocol, side) in [("TCP", "client"), ("TCP", "server"), ("UDP", "client"), ("UDP", "server")] {
        has_begun(protocol, side);
    }

    wire.run(End::Client, &format!("ip link del {INTERFACE}"));
    // Nothing of this arrives, and none of it is acknowledged.
    client.write_all(&[3; 700]).unwrap();
    assert!(udp_client.send_to(&[3; 40], (SERVER, PORT)).is_err(), "there is no route");
    let error = client.read(&mut [0]).unwrap_err();
    println!("the client is told: {error}");
    drop((server, listener, udp_client, udp_server));

    let close = |protocol: &str, side: &str| {
        agent.record(&format!("the end of {protocol} at the {side}"), |record| {
            wire.has(record)
                && (&record["protocol"], &record["side"], &record["stage"])
                    == (&protocol.into(), &side.into(), &"close".into())
        })
    };
    for (side, sent, received) in [("client", 500, 0), ("server", 0, 500)] {
        let close = close("TCP", side);
        let reason = close["close_reason"].as_str().unwrap();
        assert!(["timed-out", "unreachable", "aborted-locally"].contains(&reason), "{close}");
        assert_bytes(&close, sent, received);
    }
    for (side, sent, received) in [("client", 120, 60), ("server", 60, 120)] {
        let close = close("UDP", side);
        assert_eq!(close["close_reason"], "released", "{close}");
        assert_bytes(&close, sent, received);
    }
    assert_balance(&final_account(&mut agent));
}

fn assert_bytes(close: &Value, sent: u64, received: u64) {
    let counters = &close["counters"];
    assert_eq!(
        (&counters["bytes_sent"], &counters["bytes_received"]),
        (&sent.into(), &received.into()),
        "{close}"
    );
}
