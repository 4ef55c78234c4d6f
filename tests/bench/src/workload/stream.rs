//! One connection that carries much.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};

use crate::network::NEAR;

/// Bytes of an operation.
const PIECE_BYTES: usize = 1 << 20;

pub(super) fn run(operations: u64, to: SocketAddr) -> Result<u64> {
    let mut connection = TcpStream::connect(to).with_context(|| format!("connect to {to}"))?;
    let piece = vec![7; PIECE_BYTES];
    for _ in 0..operations {
        connection.write_all(&piece)?;
    }
    connection.shutdown(std::net::Shutdown::Write)?;
    // The other end says how much has arrived.
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.trim().parse::<u64>().context("what has arrived")? / PIECE_BYTES as u64)
}

pub(super) fn serve() -> Result<()> {
    let listener = TcpListener::bind((NEAR, 0))?;
    println!("{}", listener.local_addr()?);
    let (mut connection, _) = listener.accept()?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut total = 0;
    loop {
        let read = connection.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        total += read;
    }
    writeln!(connection, "{total}")?;
    Ok(())
}
