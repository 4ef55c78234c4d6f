//! What keeps a rule from matching: which peers and ports it names, and what was found in their place.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use watchfire_model::{Labels, Pod, Protocol};

use crate::Match;
use crate::address::Block;
use crate::connection::Party;
use crate::peer::{PeerMatcher, Peers};
use crate::port::{PortEntry, PortMatcher, PortTest, Ports, Protocols};
use crate::rule::Rule;
use crate::selector::{METADATA_NAME, Requirement, Selector, Test};
use crate::side::Context;

/// Most entries of a list that are told one by one.
const ENTRIES_TOLD_MAX: usize = 16;

/// Why one part of a rule does not match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// The place below the rule, e.g. `from[1]`; empty for the whole rule.
    pub path: String,
    /// What is wanted there, and what was found.
    pub reason: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.path, self.reason)
        }
    }
}

impl Rule {
    /// Why it does not match; empty where it may.
    pub(crate) fn differences(&self, context: &Context<'_>) -> Vec<Difference> {
        let trial = self.test(context);
        let mut found = Vec::new();
        if trial.peer == Match::No {
            found.extend(self.peers.differences(context));
        }
        if trial.port == Match::No {
            found.push(self.ports.difference(context));
        }
        found
    }
}

impl Peers {
    fn differences(&self, context: &Context<'_>) -> Vec<Difference> {
        let whole =
            |reason: &str| vec![Difference { path: self.field().to_owned(), reason: reason.to_owned() }];
        match self {
            Self::Any => Vec::new(),
            Self::Nobody => whole("the rule names nobody"),
            Self::Services { .. } => whole("the peer is behind none of the services"),
            Self::Listed { field, entries } => {
                let told = entries.iter().enumerate().take(ENTRIES_TOLD_MAX);
                let mut told: Vec<_> = told
                    .map(|(index, entry)| Difference {
                        path: format!("{field}[{index}]"),
                        reason: entry.difference(context),
                    })
                    .collect();
                if let Some(more) = entries.len().checked_sub(ENTRIES_TOLD_MAX).filter(|more| *more > 0) {
                    told.push(Difference {
                        path: (*field).to_owned(),
                        reason: format!("{more} more entries"),
                    });
                }
                told
            }
        }
    }
}

impl PeerMatcher {
    fn difference(&self, context: &Context<'_>) -> String {
        let Context { side, world, .. } = context;
        let found = found(&side.peer, side.peer_ip);
        match self {
            Self::PodsIn { namespace, pods } => match side.peer {
                Party::Pod(pod) if *pod.identity.namespace != **namespace => {
                    format!("wants pods of namespace {namespace}, found {found}")
                }
                Party::Pod(pod) => lacks("the pod", pods, &pod.identity.labels),
                _ => format!("wants pods of namespace {namespace}, found {found}"),
            },
            Self::PodsOf { namespaces, pods } => {
                let Party::Pod(pod) = side.peer else { return format!("wants pods, found {found}") };
                let name = &*pod.identity.namespace;
                let labels = world.namespace_labels(name);
                let mut reasons = Vec::new();
                if namespaces.matches_namespace(name, labels) == Match::No {
                    let mut labels = labels.cloned().unwrap_or_default();
                    labels.insert(METADATA_NAME.to_owned(), name.to_owned());
                    reasons.push(lacks(&format!("namespace {name}"), namespaces, &labels));
                }
                if let Some(pods) = pods.as_ref().filter(|pods| !pods.matches(&pod.identity.labels)) {
                    reasons.push(lacks("the pod", pods, &pod.identity.labels));
                }
                reasons.join("; ")
            }
            Self::Block(block) => outside_of([block], side.peer_ip),
            Self::Blocks(blocks) => outside_of(&**blocks, side.peer_ip),
            Self::Outside(_) | Self::OutsideBlocks(_) if !matches!(side.peer, Party::World) => {
                format!("wants addresses outside of the cluster, as Cilium reads it, found {found}")
            }
            Self::Outside(block) => outside_of([block], side.peer_ip),
            Self::OutsideBlocks(blocks) => outside_of(&**blocks, side.peer_ip),
            Self::Labels(labels) | Self::LabelledNodes { labels, .. } => {
                let lacking = labels.lacking(context);
                if lacking.is_empty() {
                    format!("means others than {found}")
                } else {
                    format!("wants {}, found {found}", lacking.join(", "))
                }
            }
            Self::Nodes(selector) => format!("wants nodes with {}, found {found}", Written(selector)),
            Self::Entity(entity) => format!("wants entity {}, found {found}", entity.name()),
            Self::Group { name, .. } => format!("wants addresses of group {name}, found {found}"),
            Self::Groups { selector, .. } => {
                format!("wants addresses of groups with {}, found {found}", Written(selector))
            }
            Self::AllGroups => format!("wants addresses of groups, found {found}"),
            Self::Named(_) | Self::NamedAny(_) => match world.names(side.peer_ip) {
                Some([first, ..]) => format!("wants other names than {first}"),
                _ => format!("wants addresses by their names, found {found}"),
            },
            Self::External { .. } => format!("wants a group that is resolved elsewhere, found {found}"),
        }
    }
}

fn found(peer: &Party<'_>, address: IpAddr) -> String {
    match peer {
        Party::Pod(pod) => format!("pod {}{}", pod.title(), Shown(&pod.identity.labels)),
        Party::Node(Some(name)) => format!("node {name}"),
        Party::Node(None) => "a node".to_owned(),
        Party::World => format!("{address} outside of the cluster"),
        Party::Unresolved => format!("{address}, of which nobody is known"),
    }
}

/// The requirements that labels do not meet.
fn lacks(whose: &str, selector: &Selector, labels: &Labels) -> String {
    let lacking = selector.requirements().iter().filter_map(|Requirement { key, test }| {
        let value = labels.get(&**key).map(String::as_str);
        (!test.holds(value)).then(|| match value {
            Some(value) => format!("wants {}, {whose} has {key}={value}", wanted(key, test)),
            None => format!("wants {}, {whose} has no label {key}", wanted(key, test)),
        })
    });
    lacking.collect::<Vec<_>>().join("; ")
}

/// A requirement as `kubectl` writes it.
pub(crate) fn wanted(key: &str, test: &Test) -> String {
    match test {
        Test::Equals(value) => format!("{key}={value}"),
        Test::In(values) => format!("{key} in ({})", values.join(", ")),
        Test::NotIn(values) => format!("{key} not in ({})", values.join(", ")),
        Test::Exists => format!("label {key}"),
        Test::DoesNotExist => format!("no label {key}"),
    }
}

/// A selector in words.
struct Written<'a>(&'a Selector);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.requirements() {
            [] => f.write_str("any labels"),
            some => {
                let some: Vec<_> = some.iter().map(|one| wanted(&one.key, &one.test)).collect();
                f.write_str(&some.join(", "))
            }
        }
    }
}

/// Labels in brackets; nothing where there are none.
struct Shown<'a>(&'a Labels);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if pairs.is_empty() { Ok(()) } else { write!(f, " ({})", pairs.join(", ")) }
    }
}

fn outside_of<'a>(blocks: impl IntoIterator<Item = &'a Block>, address: IpAddr) -> String {
    let address = address.to_canonical();
    let mut wanted = Vec::new();
    for Block { cidr, except } in blocks {
        if let Some(hole) = except.iter().find(|hole| hole.contains(&address)) {
            return format!("wants {cidr}, but leaves out {hole}, which {address} is in");
        }
        wanted.push(cidr.to_string());
    }
    format!("wants {}, found {address}", wanted.join(" or "))
}

impl Ports {
    fn difference(&self, context: &Context<'_>) -> Difference {
        let side = &context.side;
        let entries = match self {
            Self::Any => &[][..],
            Self::Listed { entries, .. } => entries,
        };
        let mut listed: Vec<_> = entries.iter().take(ENTRIES_TOLD_MAX).map(PortEntry::wanted).collect();
        if entries.len() > ENTRIES_TOLD_MAX {
            listed.push(format!("{} more", entries.len() - ENTRIES_TOLD_MAX));
        }
        let wanted = if listed.is_empty() { "no port".to_owned() } else { listed.join(" or ") };
        let mut reason = format!("wants {wanted}, found {}", at(side.protocol, side.port, side.icmp_type));
        let names: Vec<_> = entries.iter().filter_map(|entry| entry.matcher.port_name()).collect();
        if let (Party::Pod(pod), false) = (side.destination, names.is_empty()) {
            let meant = names.iter().map(|name| format!("{name} is {}", named(pod, name)));
            reason += &format!(" ({} of pod {})", meant.collect::<Vec<_>>().join(", "), pod.title());
        }
        Difference { path: self.field().to_owned(), reason }
    }
}

fn at(protocol: Protocol, port: u16, icmp_type: Option<u8>) -> String {
    match (protocol, icmp_type) {
        (Protocol::Tcp | Protocol::Udp | Protocol::Sctp, _) => format!("{protocol} {port}"),
        (_, Some(icmp_type)) => format!("{protocol} type {icmp_type}"),
        _ => protocol.to_string(),
    }
}

/// What the pod's containers call by the name.
fn named(pod: &Pod, name: &str) -> String {
    let ports = pod.identity.ports.iter();
    let ports: Vec<_> = ports
        .filter(|port| port.name.as_deref() == Some(name))
        .map(|port| format!("{} {}", port.protocol, port.port))
        .collect();
    if ports.is_empty() { "no port".to_owned() } else { ports.join(" and ") }
}

impl PortEntry {
    fn wanted(&self) -> String {
        match &self.matcher {
            PortMatcher::Icmp { protocol, icmp_type: Some(icmp_type) } => {
                format!("{protocol} type {icmp_type}")
            }
            PortMatcher::Icmp { protocol, icmp_type: None } => protocol.to_string(),
            PortMatcher::Ports { protocols, ports } => {
                let protocol = match protocols {
                    Protocols::One(protocol) => protocol.to_string(),
                    Protocols::Transport => "any".to_owned(),
                };
                match ports {
                    PortTest::Any => format!("{protocol} to any port"),
                    PortTest::Range(range) if range.start() == range.end() => {
                        format!("{protocol} {}", range.start())
                    }
                    PortTest::Range(range) => format!("{protocol} {}-{}", range.start(), range.end()),
                    PortTest::Named(name) | PortTest::LastNamed(name) => format!("{protocol} {name}"),
                }
            }
        }
    }
}

impl PortMatcher {
    pub(crate) fn port_name(&self) -> Option<&str> {
        match self {
            Self::Ports { ports: PortTest::Named(name) | PortTest::LastNamed(name), .. } => Some(name),
            Self::Ports { .. } | Self::Icmp { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
