//! Label sets. Never a pod address, a process or a port: those are unbounded and live in records.

use watchfire_model::{Direction, Protocol, Side};

/// Labels whose names and values are fixed at compile time or come from closed sets.
pub(super) type Fixed<const N: usize> = [(&'static str, &'static str); N];

pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

pub(super) const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

/// Protocols without a name share one value, so that the label stays closed.
pub(super) const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
        Protocol::Icmp => "ICMP",
        Protocol::Icmpv6 => "ICMPv6",
        Protocol::Other(_) => "other",
    }
}
