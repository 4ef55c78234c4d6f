//! NetworkPolicy as the two dialects read it.

use std::sync::Arc;

use watchfire_model::{Direction, Protocol, Tier};

use crate::Selector;
use crate::address::Block;
use crate::cilium::LabelMatcher;
use crate::peer::{PeerMatcher, Peers};
use crate::port::{PortEntry, PortMatcher, PortTest, Ports, Protocols};
use crate::rule::{Action, Place, Requires, Rule, Subject};

/// A NetworkPolicy that has passed validation.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Network {
    pub(crate) subjects: Selector,
    /// `policyTypes` as written.
    pub(crate) types: Box<[Direction]>,
    pub(crate) ingress: Box<[NetworkRule]>,
    pub(crate) egress: Box<[NetworkRule]>,
}

/// One entry of `ingress` or `egress`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NetworkRule {
    /// None means anyone.
    pub(crate) peers: Option<Box<[NetworkPeer]>>,
    /// None means every port of every protocol.
    pub(crate) ports: Option<Box<[NetworkPort]>>,
}

/// One entry of `from` or `to`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum NetworkPeer {
    Pods { pods: Option<Selector>, namespaces: Option<Selector> },
    Block(Block),
}

/// One entry of `ports`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NetworkPort {
    pub(crate) protocol: Protocol,
    pub(crate) ports: PortTest,
}

impl Network {
    const fn list(&self, direction: Direction) -> &[NetworkRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// By the API reference: the listed directions count, and no others.
    pub(crate) fn as_the_api_says(&self, namespace: &str) -> impl Iterator<Item = Arc<Rule>> {
        let namespace: Arc<str> = Arc::from(namespace);
        let subject =
            Arc::new(Subject::Pods { namespace: Arc::clone(&namespace), labels: self.subjects.clone() });
        let counts = |direction: Direction| match &*self.types {
            [] => direction == Direction::Ingress || !self.egress.is_empty(),
            listed => listed.contains(&direction),
        };
        let directions = [Direction::Ingress, Direction::Egress].into_iter().filter(move |way| counts(*way));
        directions.flat_map(move |direction| {
            let (subject, namespace) = (Arc::clone(&subject), Arc::clone(&namespace));
            let peer = move |peer: &NetworkPeer| peer.of_the_api(&namespace);
            let empty = self.list(direction).is_empty().then(|| isolation(direction, &subject));
            let rules = self.list(direction).iter().zip(0..);
            let rules: Vec<_> =
                rules.map(|(rule, index)| rule.lower(direction, index, &subject, &peer, false)).collect();
            empty.into_iter().chain(rules)
        })
    }

    /// As Cilium translates it (pkg/k8s/network_policy.go): rules count whether their direction is listed or not.
    pub(crate) fn as_cilium_reads_it(&self, namespace: &str) -> impl Iterator<Item = Arc<Rule>> {
        let namespace: Arc<str> = Arc::from(namespace);
        let labels = LabelMatcher::pods(&namespace, &self.subjects, false);
        let subject = Arc::new(Subject::Endpoints { namespace: Some(Arc::clone(&namespace)), labels });
        [Direction::Ingress, Direction::Egress].into_iter().flat_map(move |direction| {
            let (subject, namespace) = (Arc::clone(&subject), Arc::clone(&namespace));
            let lists = |way| self.types.contains(&way);
            let isolates = match direction {
                Direction::Ingress => lists(Direction::Ingress) || !lists(Direction::Egress),
                Direction::Egress => lists(Direction::Egress),
            };
            let is_empty = self.list(direction).is_empty();
            let empty = (is_empty && isolates).then(|| isolation(direction, &subject));
            let peer = move |peer: &NetworkPeer| peer.of_cilium(&namespace);
            let rules = self.list(direction).iter().zip(0..);
            let rules: Vec<_> =
                rules.map(|(rule, index)| rule.lower(direction, index, &subject, &peer, true)).collect();
            empty.into_iter().chain(rules)
        })
    }
}

/// What a policy without rules says of a direction.
fn isolation(direction: Direction, subject: &Arc<Subject>) -> Arc<Rule> {
    Arc::new(Rule {
        tier: Tier::Normal,
        priority: 0,
        direction,
        action: Action::Allow,
        isolates: true,
        subject: Arc::clone(subject),
        peers: Peers::Nobody,
        ports: Ports::Any,
        place: Place::default(),
        needs_l7: false,
        needs_auth: false,
        requires: Requires::default(),
    })
}

impl NetworkRule {
    fn lower(
        &self,
        direction: Direction,
        index: u32,
        subject: &Arc<Subject>,
        peer: &dyn Fn(&NetworkPeer) -> PeerMatcher,
        last_named: bool,
    ) -> Arc<Rule> {
        let field = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        let peers = self
            .peers
            .as_ref()
            .map_or(Peers::Any, |peers| Peers::Listed { field, entries: peers.iter().map(peer).collect() });
        let port = |(port, at): (&NetworkPort, u32)| {
            let ports = match &port.ports {
                PortTest::Named(name) if last_named => PortTest::LastNamed(name.clone()),
                other => other.clone(),
            };
            let matcher = PortMatcher::Ports { protocols: Protocols::One(port.protocol), ports };
            PortEntry { at: (at, None), matcher }
        };
        let ports = self.ports.as_ref().map_or(Ports::Any, |ports| Ports::Listed {
            field: "ports",
            entries: ports.iter().zip(0..).map(port).collect(),
        });
        let place = Place { rule: Some(index), ..Place::default() };
        let isolation = Arc::unwrap_or_clone(isolation(direction, subject));
        Arc::new(Rule { peers, ports, place, ..isolation })
    }
}

impl NetworkPeer {
    fn of_the_api(&self, namespace: &Arc<str>) -> PeerMatcher {
        match self {
            Self::Block(block) => PeerMatcher::Block(block.clone()),
            Self::Pods { pods, namespaces: Some(namespaces) } => {
                PeerMatcher::PodsOf { namespaces: namespaces.clone(), pods: pods.clone() }
            }
            Self::Pods { pods, namespaces: None } => PeerMatcher::PodsIn {
                namespace: Arc::clone(namespace),
                pods: pods.clone().unwrap_or_default(),
            },
        }
    }

    fn of_cilium(&self, namespace: &str) -> PeerMatcher {
        match self {
            Self::Block(block) => PeerMatcher::Outside(block.clone()),
            Self::Pods { pods, namespaces: Some(namespaces) } => {
                PeerMatcher::Labels(LabelMatcher::pods_of(namespaces, pods.as_ref(), true))
            }
            Self::Pods { pods, namespaces: None } => {
                let everyone = Selector::default();
                PeerMatcher::Labels(LabelMatcher::pods(namespace, pods.as_ref().unwrap_or(&everyone), true))
            }
        }
    }
}
