//! What tells open flows apart, and how a flow is put together again from what is kept of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use watchfire_model::{Flow, Icmp, Protocol};

use super::hello::Hello;
use super::said::{Opener, Said};

/// An open flow as it is kept, to be judged again.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) key: Key,
    pub(crate) said: Arc<Said>,
    pub(crate) hello: Hello,
    pub(crate) opened_boot_ns: u64,
}

impl Kept {
    /// The flow, but for the time that its handshake took.
    pub(crate) fn flow(&self) -> Flow {
        let Key { cookie, client, server, protocol } = self.key;
        let Opener { owner, cgroup_id, netns, side, origin, direction_guessed, is_icmp } = self.said.opener;
        let [icmp_type, code] = server.port;
        let icmp = is_icmp.then(|| Icmp { icmp_type, code, id: u16::from_be_bytes(client.port) });
        Flow {
            cookie,
            protocol,
            client: client.address(is_icmp),
            server: server.address(is_icmp),
            side,
            direction_guessed,
            owner,
            cgroup_id,
            netns,
            opened_boot_ns: self.opened_boot_ns,
            origin,
            handshake_ns: None,
            icmp,
        }
    }
}

/// What tells flows apart. Several flows of one UDP, ICMP or SCTP socket share its cookie, and so do attempts of a TCP
/// socket that connects again.
// Cookies are handed out in rising order, in batches per CPU (include/linux/cookie.h): the smallest is about the oldest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key {
    cookie: u64,
    client: End,
    server: End,
    protocol: Protocol,
}

/// Address and port, which stands for what an ICMP flow is told apart by. Half as large as a `SocketAddr`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct End {
    ip: [u8; 16],
    port: [u8; 2],
}

impl End {
    fn new(address: SocketAddr, port: [u8; 2]) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self { ip: ip.octets(), port }
    }

    fn address(self, is_icmp: bool) -> SocketAddr {
        let port = if is_icmp { 0 } else { u16::from_be_bytes(self.port) };
        SocketAddr::new(IpAddr::from(self.ip).to_canonical(), port)
    }
}

impl Key {
    pub(crate) fn of(flow: &Flow) -> Self {
        let Flow { cookie, client, server, protocol, icmp, .. } = *flow;
        let (first, second) = match icmp {
            Some(Icmp { icmp_type, code, id }) => (id.to_be_bytes(), [icmp_type, code]),
            None => (client.port().to_be_bytes(), server.port().to_be_bytes()),
        };
        Self { cookie, client: End::new(client, first), server: End::new(server, second), protocol }
    }
}
