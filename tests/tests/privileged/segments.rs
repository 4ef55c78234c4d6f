//! What is to be read of a connection, written in pieces that become segments of their own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::loss::{assert_balance, final_account};
use crate::peer::loopback;
use crate::running::{agent, metric};
use crate::space::Space;

const NAME: &str = "segmented.example";

/// A connection to a port of the space's loopback interface: the client's end, and the server's.
fn connect(space: &Space, port: u16) -> (TcpStream, TcpStream) {
    space.inside(|| {
        let listener = TcpListener::bind(loopback(port)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_nodelay(true).unwrap();
        }
        (client, server)
    })
}

/// Each piece is there before the next is written.
fn send(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8], piece_bytes: usize) {
    for piece in bytes.chunks(piece_bytes) {
        from.write_all(piece).unwrap();
        to.read_exact(&mut vec![0; piece.len()]).unwrap();
    }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A `ClientHello` for [`NAME`] with a key share of so many bytes before the name.
fn client_hello(key_bytes: usize) -> Vec<u8> {
    let name = sized(&[&[0][..], &sized(NAME.as_bytes())].concat());
    let key = sized(&[&[0x11, 0xec][..], &sized(&vec![7; key_bytes])].concat());
    let extensions = [&[0, 51][..], &sized(&key), &[0, 43, 0, 3, 2, 3, 4], &[0, 0], &sized(&name)].concat();
    let body = [&[3, 3][..], &[9; 32], &[0, 0, 2, 0x13, 1, 1, 0], &sized(&extensions)].concat();
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

pub(crate) fn client_hellos() {
    let mut agent = agent();
    let space = Space::new();
    // One segment, two, one beyond a single copy, many, and one that is cut off.
    let expected = [(100, usize::MAX, NAME), (1200, 700, NAME), (6000, usize::MAX, NAME), (6000, 300, NAME)];
    let mut ports = Vec::new();
    for (key_bytes, piece_bytes, _) in expected {
        let (mut client, mut server) = connect(&space, 0);
        ports.push(server.local_addr().unwrap().port());
        send(&mut client, &mut server, &client_hello(key_bytes), piece_bytes);
        send(&mut client, &mut server, &[23; 5000], 900);
    }
    let (mut client, mut server) = connect(&space, 0);
    let cut = server.local_addr().unwrap().port();
    send(&mut client, &mut server, &client_hello(1200)[..900], 500);
    drop((client, server));
    let close = |side: &str, port: u16| {
        agent.record(&format!("{side} of {port}"), |record| {
            space.has(record) && crate::tcp::is(record, "close", side, port)
        })
    };
    for side in ["client", "server"] {
        for ((.., name), port) in expected.iter().zip(&ports) {
            let close = close(side, *port);
            assert_eq!(
                (&close["tls"]["sni"], &close["tls"]["truncated"]),
                (&(*name).into(), &Value::Null),
                "{close}"
            );
        }
        let close = close(side, cut);
        assert_eq!(
            (&close["tls"]["sni"], &close["tls"]["truncated"]),
            (&Value::Null, &true.into()),
            "{close}"
        );
    }
    while metric(&agent, "watchfire_payload_streams_cut_total") != 2 {
        std::thread::yield_now();
    }
    assert_balance(&final_account(&mut agent));
}

/// A question for the address of a name, or the answer with so many of them.
fn message(name: &str, addresses: Option<u16>) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, if addresses.is_some() { 0x81 } else { 1 }, 0, 0, 1];
    message.extend(addresses.unwrap_or(0).to_be_bytes());
    message.extend([0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    for address in 0..addresses.unwrap_or(0) {
        message.extend([
            0xc0,
            12,
            0,
            1,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            4,
            10,
            97,
            (address >> 8) as u8,
            address as u8,
        ]);
    }
    sized(&message)
}

pub(crate) fn dns() {
    let mut agent = agent();
    let space = Space::new();
    let (mut client, mut server) = connect(&space, 53);
    for (name, addresses, piece_bytes) in [
        ("one.example", 3, usize::MAX),
        ("two.example", 40, 33),
        ("three.example", 50, 1),
        ("four.example", 60, 400),
    ] {
        send(&mut client, &mut server, &message(name, None), piece_bytes.max(7));
        send(&mut server, &mut client, &message(name, Some(addresses)), piece_bytes.max(20));
        let record = agent.record(&format!("the answer for {name}"), |record| {
            record["type"] == "dns" && record["query"] == name && record["protocol"] == "TCP"
        });
        let answers = record["answers"].as_array().map_or(0, Vec::len);
        assert_eq!((answers, &record["truncated"]), (addresses.into(), &Value::Null), "{record}");
        assert!(record["latency_us"].as_u64().is_some(), "{record}");
    }
    drop((client, server));
    assert_balance(&final_account(&mut agent));
    let told = agent.records().into_iter().filter(|record| record["type"] == "dns" && space.is_of(record));
    assert_eq!(told.count(), 4, "each once");
}
