//! The ends of flows of UDP.

use std::net::{SocketAddr, UdpSocket};

use watchfire_tests::PATIENCE;

use crate::peer::{tell, wait_for_end_of_input};

pub(crate) fn serve(address: &str, bytes: usize) {
    let socket = UdpSocket::bind(address).expect("bind");
    tell(&socket.local_addr().expect("an address").to_string());
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..bytes], from).expect("answer");
        }
    });
    wait_for_end_of_input();
}

pub(crate) fn send(address: &str, count: usize, bytes: usize, how: &str) {
    let server: SocketAddr = address.parse().expect("an address");
    let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0)).expect("bind");
    socket.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    if how == "connected" {
        socket.connect(server).expect("connect");
    }
    let mut buffer = vec![0; 65_536];
    let mut received = 0;
    for _ in 0..count {
        let sent = if how == "connected" {
            socket.send(&vec![b's'; bytes])
        } else {
            socket.send_to(&vec![b's'; bytes], server)
        };
        assert_eq!(sent.expect("send"), bytes);
        socket.recv_from(&mut buffer).expect("an answer");
        received += 1;
    }
    tell(&format!("received {received}"));
}
