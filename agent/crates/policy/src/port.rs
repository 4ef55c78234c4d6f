//! Entries of `ports`.

use std::ops::RangeInclusive;

use watchfire_model::Protocol;

use crate::Match;
use crate::connection::Party;

/// One entry of `ports`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PortMatcher {
    pub(crate) protocol: Protocol,
    pub(crate) ports: Ports,
}

/// Which ports of the protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ports {
    /// Every one.
    Any,
    /// A number or an inclusive range.
    Range(RangeInclusive<u16>),
    /// The container ports of this name at the destination.
    Named(Box<str>),
}

impl PortMatcher {
    /// A name is looked up at the pod that answers, whichever direction the rule is for: pods may give one name to
    /// different numbers. What is no pod has no names.
    pub(crate) fn matches(&self, protocol: Protocol, port: u16, destination: Party<'_>) -> Match {
        if self.protocol != protocol {
            return Match::No;
        }
        match &self.ports {
            Ports::Any => Match::Yes,
            Ports::Range(range) => range.contains(&port).into(),
            Ports::Named(name) => match destination {
                Party::Pod(pod) => pod
                    .identity
                    .ports
                    .iter()
                    .any(|container| {
                        container.port == port
                            && container.protocol == protocol
                            && container.name.as_deref() == Some(name)
                    })
                    .into(),
                Party::Node(_) | Party::World => Match::No,
                Party::Unresolved => Match::Unknown,
            },
        }
    }
}
