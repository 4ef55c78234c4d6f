//! Compiled policies.

use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Direction, Pod, PolicyRef, Protocol, Tier};

use crate::connection::{Party, World};
use crate::matching::first;
use crate::peer::PeerMatcher;
use crate::port::PortMatcher;
use crate::{Match, Selector};

/// One policy that has passed validation, ready to be matched.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    pub(crate) reference: Arc<PolicyRef>,
    /// The list of just this policy, so that the commonest denial costs no allocation.
    pub(crate) alone: Arc<[Arc<PolicyRef>]>,
    pub(crate) tier: Tier,
    pub(crate) subjects: Selector,
    /// None where the policy has nothing to say about the direction; without rules it isolates.
    pub(crate) ingress: Option<Box<[Rule]>>,
    pub(crate) egress: Option<Box<[Rule]>>,
}

/// One entry of `ingress` or `egress`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rule {
    /// None means anyone.
    pub(crate) peers: Option<Box<[PeerMatcher]>>,
    /// None means every port of every protocol.
    pub(crate) ports: Option<Box<[PortMatcher]>>,
}

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
}

/// How a rule fared, with the positions of the entries that speak for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trial {
    pub(crate) peer: Match,
    pub(crate) port: Match,
    pub(crate) peer_index: Option<usize>,
    pub(crate) port_index: Option<usize>,
}

impl Policy {
    /// Which object this is.
    #[must_use]
    pub const fn reference(&self) -> &Arc<PolicyRef> {
        &self.reference
    }

    /// Whether the policy isolates the pods it selects in this direction.
    #[must_use]
    pub const fn isolates(&self, direction: Direction) -> bool {
        self.rules(direction).is_some()
    }

    /// Whether the policy selects the pod. Host-network pods are never selected.
    #[must_use]
    pub fn selects(&self, pod: &Pod) -> bool {
        !pod.identity.host_network
            && *pod.identity.namespace == *self.reference.namespace
            && self.subjects.matches(&pod.identity.labels)
    }

    pub(crate) const fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        let rules = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        };
        match rules {
            Some(rules) => Some(rules),
            None => None,
        }
    }
}

impl Rule {
    /// Tries the rule; `namespace` is the policy's own.
    pub(crate) fn test(&self, namespace: &str, world: &dyn World, side: &Side<'_>) -> Trial {
        let (port, port_index) = self.ports.as_deref().map_or((Match::Yes, None), |ports| {
            first(ports, |entry| entry.matches(side.protocol, side.port, side.destination))
        });
        let (peer, peer_index) = self.peers.as_deref().map_or((Match::Yes, None), |peers| {
            first(peers, |entry| entry.matches(namespace, world, side.peer, side.peer_ip))
        });
        Trial { peer, port, peer_index, port_index }
    }
}
