//! Label sets. Never a pod address, a process or a port: those are unbounded and live in records.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use watchfire_model::{Direction, PolicyRef, Protocol, Side};

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

/// The labels of a verdict that one policy gave.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct PolicyVerdict {
    pub(super) verdict: &'static str,
    pub(super) direction: &'static str,
    pub(super) side: &'static str,
    pub(super) policy: Arc<PolicyRef>,
}

impl EncodeLabelSet for PolicyVerdict {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let Self { verdict, direction, side, policy } = self;
        for label in [
            ("verdict", *verdict),
            ("direction", *direction),
            ("side", *side),
            ("policy_kind", policy.kind),
            ("policy_namespace", &policy.namespace),
            ("policy", &policy.name),
        ] {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}
