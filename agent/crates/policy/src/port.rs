//! Entries of `ports`, `protocols`, `toPorts` and `icmps`.

use std::ops::RangeInclusive;

use watchfire_model::{Pod, Protocol, UnknownReason};

use crate::Match;
use crate::connection::Party;
use crate::matching::first;
use crate::side::Side;

/// The part of a rule about ports and protocols.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ports {
    /// Every port of every protocol.
    Any,
    /// Those of a list, which may be empty.
    Listed {
        /// Field of the rule that holds the list.
        field: &'static str,
        entries: Box<[PortEntry]>,
    },
}

/// One entry, with its position in the list and, where that holds lists, in the list below.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PortEntry {
    pub(crate) at: (u32, Option<u32>),
    pub(crate) matcher: PortMatcher,
}

/// What an entry matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PortMatcher {
    /// Ports of a transport protocol.
    Ports { protocols: Protocols, ports: PortTest },
    /// Messages of ICMP; without a type, all of the protocol.
    Icmp { protocol: Protocol, icmp_type: Option<u16> },
}

/// Which protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocols {
    /// This one.
    One(Protocol),
    /// Those that have ports.
    Transport,
}

/// Which ports of the protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PortTest {
    /// Every one.
    Any,
    /// A number or an inclusive range.
    Range(RangeInclusive<u16>),
    /// The container ports of this name at the destination.
    Named(Box<str>),
    /// The last container port of this name at the destination: Cilium keeps one port for each name, whatever its
    /// protocol (pkg/types/portmap.go).
    LastNamed(Box<str>),
}

impl Ports {
    /// Whether the list names the connection's port, and the first entry that does.
    pub(crate) fn matches(&self, side: &Side<'_>) -> (Match, Option<(u32, Option<u32>)>) {
        match self {
            Self::Any => (Match::Yes, None),
            Self::Listed { entries, .. } => {
                let (found, index) = first(entries, |entry| entry.matcher.matches(side));
                (found, index.map(|index| entries[index].at))
            }
        }
    }
}

impl Ports {
    /// Whether the list names the connection's port by nothing but names.
    pub(crate) fn are_named_only(&self, side: &Side<'_>) -> bool {
        let is_named = |entry: &&PortEntry| {
            matches!(entry.matcher, PortMatcher::Ports { ports: PortTest::LastNamed(_), .. })
        };
        match self {
            Self::Any => false,
            Self::Listed { entries, .. } => {
                entries.iter().any(|entry| is_named(&entry))
                    && entries
                        .iter()
                        .filter(|entry| !is_named(entry))
                        .all(|entry| entry.matcher.matches(side) != Match::Yes)
            }
        }
    }

    pub(crate) const fn field(&self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Listed { field, .. } => field,
        }
    }
}

impl Protocols {
    fn contains(self, protocol: Protocol) -> bool {
        match self {
            Self::One(own) => own == protocol,
            Self::Transport => matches!(protocol, Protocol::Tcp | Protocol::Udp | Protocol::Sctp),
        }
    }
}

impl PortMatcher {
    /// A name is looked up at the pod that answers, whichever direction the rule is for: pods may give one name to
    /// different numbers. What is no pod has no names.
    pub(crate) fn matches(&self, side: &Side<'_>) -> Match {
        match self {
            Self::Icmp { protocol, icmp_type } if *protocol == side.protocol => {
                match (icmp_type, side.icmp_type) {
                    (None, _) => Match::Yes,
                    (Some(wanted), Some(found)) => (*wanted == u16::from(found)).into(),
                    (Some(_), None) => Match::Unknown(UnknownReason::IcmpTypeUnknown),
                }
            }
            Self::Ports { protocols, ports } if protocols.contains(side.protocol) => ports.matches(side),
            Self::Icmp { .. } | Self::Ports { .. } => Match::No,
        }
    }
}

impl PortTest {
    fn matches(&self, side: &Side<'_>) -> Match {
        let at_destination = |test: &dyn Fn(&Pod) -> bool| match side.destination {
            Party::Pod(pod) => test(pod).into(),
            Party::Node(_) | Party::World => Match::No,
            Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
        };
        match self {
            Self::Any => Match::Yes,
            Self::Range(range) => range.contains(&side.port).into(),
            Self::Named(name) => at_destination(&|pod| {
                pod.identity.ports.iter().any(|container| {
                    container.port == side.port
                        && container.protocol == side.protocol
                        && container.name.as_deref() == Some(name)
                })
            }),
            Self::LastNamed(name) => at_destination(&|pod| {
                let mut ports = pod.identity.ports.iter().rev();
                ports
                    .find(|container| {
                        container.name.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(name))
                    })
                    .is_some_and(|last| last.port == side.port && last.protocol == side.protocol)
            }),
        }
    }
}
