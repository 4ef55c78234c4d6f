//! Policies of cluster administrators (policy.networking.k8s.io): `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy` of
//! v1alpha1, and `ClusterNetworkPolicy` of v1alpha2 in their place.

pub(crate) mod compile;
pub(crate) mod object;

use std::sync::Arc;

use watchfire_model::{Direction, Tier};

use crate::Selector;
use crate::address::Block;
use crate::cilium::{LabelMatcher, NamePattern};
use crate::peer::{PeerMatcher, Peers};
use crate::port::{PortEntry, PortMatcher, PortTest, Ports, Protocols};
use crate::rule::{Action, Place, Requires, Rule, Subject};
use crate::selector::Test;

/// An admin policy that has passed validation.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Admin {
    pub(crate) tier: Tier,
    pub(crate) priority: u32,
    pub(crate) subject: Pods,
    pub(crate) rules: Box<[AdminRule]>,
    /// Whether Cilium knows the kind.
    pub(crate) is_known_to_cilium: bool,
}

/// Pods by their namespaces and by themselves.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Pods {
    pub(crate) namespaces: Selector,
    pub(crate) pods: Option<Selector>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct AdminRule {
    pub(crate) direction: Direction,
    pub(crate) index: u32,
    pub(crate) action: Action,
    pub(crate) peers: Box<[AdminPeer]>,
    /// None means every port of every protocol.
    pub(crate) ports: Option<Box<[AdminPort]>>,
    /// Field that holds them.
    pub(crate) ports_field: &'static str,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum AdminPeer {
    Pods(Pods),
    Nodes(Selector),
    Networks(Box<[Block]>),
    Names(Box<[NamePattern]>),
    /// Of a kind that this version of the API does not know.
    Unknown,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct AdminPort {
    pub(crate) protocols: Protocols,
    pub(crate) ports: PortTest,
}

/// Rules of one list share a priority in the API and have their own with Cilium, whose step is a hundredth
/// (pkg/k8s/cluster_network_policy.go).
const CILIUM_STEPS: u32 = 100;

impl Admin {
    pub(crate) fn as_the_api_says(&self) -> impl Iterator<Item = Arc<Rule>> {
        let Pods { namespaces, pods } = self.subject.clone();
        let subject = Arc::new(Subject::PodsOf { namespaces, pods });
        self.rules.iter().map(move |rule| {
            let (action, peers) = rule.split(AdminPeer::of_the_api);
            rule.lower(self.tier, self.priority, &subject, action, peers, false)
        })
    }

    pub(crate) fn as_cilium_reads_it(&self) -> impl Iterator<Item = Arc<Rule>> {
        let Pods { namespaces, pods } = &self.subject;
        let labels = LabelMatcher::pods_of(namespaces, pods.as_ref(), false);
        let subject = Arc::new(Subject::Endpoints { namespace: None, labels });
        let rules = self.rules.iter().filter(|_| self.is_known_to_cilium);
        rules.flat_map(move |rule| {
            let priority = self.priority * CILIUM_STEPS + rule.index;
            let lowered = |action, peers| rule.lower(self.tier, priority, &subject, action, peers, true);
            let (action, peers) = rule.split(AdminPeer::of_cilium);
            let own = lowered(action, peers);
            // Whoever may talk to names may ask for them.
            let has_names = rule.peers.iter().any(|peer| matches!(peer, AdminPeer::Names(_)));
            let dns = has_names.then(|| {
                let rule = Arc::unwrap_or_clone(lowered(Action::Allow, dns_servers()));
                Arc::new(Rule { ports: dns_ports(), needs_l7: true, ..rule })
            });
            [own].into_iter().chain(dns)
        })
    }
}

/// Where Cilium expects the servers of DNS.
fn dns_servers() -> Peers {
    let labels = LabelMatcher::new([("any:k8s-app".to_owned(), Test::Equals("kube-dns".into()))], false);
    Peers::Listed { field: "to", entries: [PeerMatcher::Labels(labels)].into() }
}

fn dns_ports() -> Ports {
    let named = |name: &str| PortTest::LastNamed(name.into());
    let entries = ["dns", "dns-tcp"].map(|name| PortEntry {
        at: (0, None),
        matcher: PortMatcher::Ports { protocols: Protocols::Transport, ports: named(name) },
    });
    Ports::Listed { field: "protocols", entries: entries.into() }
}

impl AdminRule {
    /// What the rule does to whom. One with peers that are not known fails closed: it denies everyone, or if it allows, it
    /// leaves them out.
    fn split(&self, peer: fn(&AdminPeer) -> Option<PeerMatcher>) -> (Action, Peers) {
        if self.action != Action::Allow && self.peers.contains(&AdminPeer::Unknown) {
            return (Action::Deny, Peers::Any);
        }
        let field = if self.direction == Direction::Ingress { "from" } else { "to" };
        // Positions count: what is unknown stays in its place, as something that matches no one.
        let nobody = || PeerMatcher::Blocks(Box::default());
        let entries = self.peers.iter().map(|source| peer(source).unwrap_or_else(nobody)).collect();
        (self.action, Peers::Listed { field, entries })
    }

    fn lower(
        &self,
        tier: Tier,
        priority: u32,
        subject: &Arc<Subject>,
        action: Action,
        peers: Peers,
        is_for_cilium: bool,
    ) -> Arc<Rule> {
        let port = |(port, at): (&AdminPort, u32)| {
            let ports = match &port.ports {
                PortTest::Named(name) if is_for_cilium => PortTest::LastNamed(name.clone()),
                other => other.clone(),
            };
            PortEntry { at: (at, None), matcher: PortMatcher::Ports { protocols: port.protocols, ports } }
        };
        let ports = self.ports.as_ref().map_or(Ports::Any, |ports| Ports::Listed {
            field: self.ports_field,
            entries: ports.iter().zip(0..).map(port).collect(),
        });
        let node_labels = self.peers.iter().any(|peer| matches!(peer, AdminPeer::Nodes(_)));
        Arc::new(Rule {
            tier,
            priority,
            direction: self.direction,
            action,
            isolates: false,
            subject: Arc::clone(subject),
            peers,
            ports,
            place: Place { rule: Some(self.index), ..Place::default() },
            needs_l7: false,
            needs_auth: false,
            requires: Requires { node_labels, extended_protocols: false },
        })
    }
}

impl AdminPeer {
    fn of_the_api(&self) -> Option<PeerMatcher> {
        Some(match self {
            Self::Pods(Pods { namespaces, pods }) => {
                PeerMatcher::PodsOf { namespaces: namespaces.clone(), pods: pods.clone() }
            }
            Self::Nodes(selector) => PeerMatcher::Nodes(selector.clone()),
            Self::Networks(blocks) => PeerMatcher::Blocks(blocks.clone()),
            Self::Names(names) => PeerMatcher::NamedAny(names.clone()),
            Self::Unknown => return None,
        })
    }

    fn of_cilium(&self) -> Option<PeerMatcher> {
        Some(match self {
            Self::Pods(Pods { namespaces, pods }) => {
                PeerMatcher::Labels(LabelMatcher::pods_of(namespaces, pods.as_ref(), pods.is_some()))
            }
            Self::Nodes(selector) => {
                let labels = selector.requirements().iter();
                let labels = labels.map(|wanted| (format!("node:{}", wanted.key), wanted.test.clone()));
                PeerMatcher::LabelledNodes { labels: LabelMatcher::new(labels, false), with_own: true }
            }
            Self::Networks(blocks) => PeerMatcher::OutsideBlocks(blocks.clone()),
            Self::Names(names) => PeerMatcher::NamedAny(names.clone()),
            Self::Unknown => return None,
        })
    }
}
