//! Roles of peers on the wire.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use watchfire_tests::PATIENCE;

use crate::peer::{tell, wait_for_end_of_input};

/// Plays a role, if it is one of these.
///
/// * `say ADDRESS TEXT` sends a datagram.
/// * `accept ADDRESS` takes connections and closes each when its client has.
/// * `connects ADDRESS COUNT` opens and closes so many connections, one after another.
/// * `get ADDRESS` asks a web server for its first page without TLS; prints the first line of the answer, and its own
///   address.
/// * `echo ADDRESS` prints its port, and answers each datagram with half of it.
/// * `datagrams ADDRESS COUNT HOW` sends so many datagrams of all sizes to an `echo`, from a socket that is `connected`
///   or `unconnected`; prints how many datagrams and bytes were sent and received.
/// * `pour ADDRESS COUNT` sends so many datagrams from one socket, and waits for no answer.
/// * `stream ADDRESS BYTES` sends so many bytes, prints its port, and at the end of its input drops the connection
///   without a word: nothing that the network says later can change what the socket knows.
pub(crate) fn play(words: &[&str]) -> bool {
    match *words {
        ["say", address, text] => say(address, text),
        ["accept", address] => accept(address),
        ["connects", address, count] => connects(address, count.parse().expect("a number")),
        ["stream", address, bytes] => stream(address, bytes.parse().expect("a number")),
        ["get", address] => get(address),
        ["pour", address, count] => pour(address, count.parse().expect("a number")),
        ["echo", address] => echo(address),
        ["datagrams", address, count, how] => {
            datagrams(address.parse().expect("an address"), count.parse().expect("a number"), how);
        }
        _ => return false,
    }
    true
}

fn say(address: &str, text: &str) {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a socket");
    socket.send_to(text.as_bytes(), address).expect("send");
}

fn accept(address: &str) {
    let listener = TcpListener::bind(address).expect("listen");
    tell("ready");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
        }
    });
    wait_for_end_of_input();
}

fn connects(address: &str, count: usize) {
    let mut done = 0;
    for _ in 0..count {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        stream.write_all(b"x").expect("send");
        stream.shutdown(std::net::Shutdown::Write).expect("finish");
        // To the end, so that the flood never has more than one connection open.
        done += usize::from(stream.read_to_end(&mut Vec::new()).is_ok());
    }
    tell(&done.to_string());
}

fn stream(address: &str, bytes: usize) {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.write_all(&vec![b's'; bytes]).expect("send");
    tell(&stream.local_addr().expect("an address").port().to_string());
    wait_for_end_of_input();
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a linger time");
}

fn get(address: &str) {
    let mut stream = TcpStream::connect(address).expect("connect");
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    tell(answer.lines().next().unwrap_or_default());
    tell(&stream.local_addr().expect("an address").to_string());
}

/// Larger than any datagram.
const DATAGRAM_MAX_BYTES: usize = 65_536;

fn echo(address: &str) {
    let socket = UdpSocket::bind(address).expect("a socket");
    tell(&socket.local_addr().expect("an address").port().to_string());
    let answering = socket.try_clone().expect("the same socket");
    std::thread::spawn(move || {
        let mut datagram = vec![0; DATAGRAM_MAX_BYTES];
        while let Ok((bytes, from)) = answering.recv_from(&mut datagram) {
            answering.send_to(&datagram[..bytes / 2], from).expect("answer");
        }
    });
    wait_for_end_of_input();
}

fn datagrams(server: SocketAddr, count: usize, how: &str) {
    let any: SocketAddr = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().expect("an address");
    let socket = UdpSocket::bind(any).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    if how == "connected" {
        socket.connect(server).expect("connect");
    }
    let (mut sent, mut received, mut answers) = (0, 0, 0);
    let mut answer = vec![0; DATAGRAM_MAX_BYTES];
    for number in 0..count {
        // From nothing at all to several packets.
        let datagram = vec![b'd'; number * number % 7919];
        let result =
            if how == "connected" { socket.send(&datagram) } else { socket.send_to(&datagram, server) };
        sent += result.expect("send");
        // One at a time, so that no queue overflows.
        received += socket.recv(&mut answer).expect("an answer");
        answers += 1;
    }
    tell(&format!("{count} {sent} {answers} {received}"));
}

fn pour(address: &str, count: usize) {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    for _ in 0..count {
        socket.send_to(b"poured", address).expect("send");
    }
}
