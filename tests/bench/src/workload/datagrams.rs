//! Small datagrams, sent as fast as they are taken.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};

use crate::network::NEAR;

/// Payload of a datagram.
const BYTES: usize = 64;

pub(super) fn run(operations: u64, to: SocketAddr) -> Result<u64> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(to).with_context(|| format!("connect to {to}"))?;
    let payload = [7; BYTES];
    for _ in 0..operations {
        socket.send(&payload)?;
    }
    Ok(operations)
}

/// Reads until standard input ends: what a receiver is too slow for is lost, which is not what is measured.
pub(super) fn serve() -> Result<()> {
    let socket = UdpSocket::bind((NEAR, 0))?;
    println!("{}", socket.local_addr()?);
    let reader = socket.try_clone()?;
    std::thread::spawn(move || {
        let mut buffer = [0; BYTES];
        while reader.recv(&mut buffer).is_ok() {}
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
