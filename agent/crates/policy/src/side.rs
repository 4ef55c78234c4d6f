//! One direction of a connection, and what is needed to judge it.

use std::net::IpAddr;

use watchfire_model::{Direction, Protocol};

use crate::connection::Party;
use crate::groups::Groups;
use crate::{CiliumOptions, Connection, World};

/// One direction of a connection, from the point of view of the pod that policies select.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) direction: Direction,
    pub(crate) subject: Party<'a>,
    pub(crate) peer: Party<'a>,
    pub(crate) peer_ip: IpAddr,
    /// The end that answers: where named ports are looked up.
    pub(crate) destination: Party<'a>,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) icmp_type: Option<u8>,
    /// Whether the rule that is being tried names the port and not its number, and the peer is who has it.
    pub(crate) port_by_name: bool,
}

/// A side with the facts that rules may ask for.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) side: Side<'a>,
    pub(crate) world: &'a dyn World,
    pub(crate) options: &'a CiliumOptions,
    pub(crate) groups: &'a Groups,
}

impl<'a> Connection<'a> {
    pub(crate) fn side(&self, direction: Direction) -> Side<'a> {
        let (client, server) = (Party::from(self.client.peer), Party::from(self.server.peer));
        let (subject, peer, peer_ip) = match direction {
            Direction::Egress => (client, server, self.server.ip),
            Direction::Ingress => (server, client, self.client.ip),
        };
        Side {
            direction,
            subject,
            peer,
            peer_ip: peer_ip.to_canonical(),
            destination: server,
            protocol: self.protocol,
            port: self.server_port,
            icmp_type: self.icmp_type,
            port_by_name: false,
        }
    }
}
