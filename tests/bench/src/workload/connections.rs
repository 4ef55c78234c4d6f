//! Connections that are made, accepted and closed, one after the other.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};

/// Port of the listener: what is told of the connections is found by it.
pub(crate) const PORT: u16 = 47_811;

pub(super) fn run(operations: u64) -> Result<u64> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).with_context(|| format!("listen at port {PORT}"))?;
    let mut byte = [0];
    for _ in 0..operations {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
        let (server, _) = listener.accept()?;
        // The server closes first: the port that waits afterwards is its own, and the client's is free again.
        drop(server);
        let read = client.read(&mut byte)?;
        anyhow::ensure!(read == 0, "nothing was sent, and {read} bytes came");
    }
    Ok(operations)
}
