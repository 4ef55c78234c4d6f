//! Connections between addresses of pods, all of which are local to the network namespace that this runs in.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::objects::address;

/// What the other process writes when all is held.
pub(super) const HELD: &str = "held";
/// A prime, so that pairs differ.
const STRIDE: u32 = 7919;

/// Which pairs of pods are connected.
#[derive(Clone, Copy, clap::Args)]
struct Pairs {
    /// Connections
    #[arg(long)]
    connections: u32,
    /// Number of the first pair
    #[arg(long)]
    first: u32,
    /// Pods that there are
    #[arg(long)]
    pods: u32,
    /// All of one pair, in place of each of another
    #[arg(long)]
    alike: bool,
    /// Port of the server
    #[arg(long)]
    port: u16,
}

impl Pairs {
    /// Client and server of a connection.
    fn pair(self, number: u32) -> (Ipv4Addr, Ipv4Addr) {
        let number = self.first + if self.alike { 0 } else { number };
        let client = number % self.pods;
        // Each pod meets one after the other of the rest.
        let server = (client + 1 + (number / self.pods * STRIDE) % (self.pods - 1)) % self.pods;
        (address(client), address(server))
    }
}

/// Arguments of `hold`.
#[derive(clap::Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    pairs: Pairs,
}

impl Hold {
    /// Opens all of them and keeps them open until standard input ends.
    pub(crate) fn run(&self) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.pairs.port))?;
        let mut kept = Vec::new();
        for number in 0..self.pairs.connections {
            let client = connect(self.pairs, number)?;
            // So that no port waits after the end.
            sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
            kept.push((client, listener.accept()?));
        }
        println!("{HELD}");
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        Ok(())
    }
}

/// Arguments of `between`.
#[derive(clap::Args)]
pub(crate) struct Between {
    #[command(flatten)]
    pairs: Pairs,
}

impl Between {
    /// Makes and closes one after the other; says how many.
    pub(crate) fn run(&self) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.pairs.port))?;
        for number in 0..self.pairs.connections {
            let mut client = connect(self.pairs, number)?;
            let (server, _) = listener.accept()?;
            drop(server);
            let read = client.read(&mut [0])?;
            ensure!(read == 0, "nothing was sent, and {read} bytes came");
        }
        writeln!(std::io::stdout(), "{}", self.pairs.connections)?;
        Ok(())
    }
}

fn connect(pairs: Pairs, number: u32) -> Result<TcpStream> {
    let (client, server) = pairs.pair(number);
    let socket: OwnedFd = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(client, 0)).with_context(|| format!("bind to {client}"))?;
    let to = SocketAddrV4::new(server, pairs.port);
    rustix::net::connect(&socket, &to).with_context(|| format!("connect from {client} to {to}"))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn pairs(alike: bool) -> HashSet<(Ipv4Addr, Ipv4Addr)> {
        let pairs = Pairs { connections: 50_000, first: 0, pods: 1000, alike, port: 1 };
        (0..pairs.connections).map(|number| pairs.pair(number)).collect()
    }

    #[test]
    fn pairs_differ_or_are_alike_and_nobody_meets_himself() {
        let apart = pairs(false);
        assert_eq!(apart.len(), 50_000);
        assert!(apart.iter().all(|(client, server)| client != server));
        assert_eq!(pairs(true).len(), 1);
    }
}
