//! Rules in the one form in which all kinds of policies are judged.

use std::sync::Arc;

use watchfire_model::{Direction, Identity, Tier};

use crate::cilium::LabelMatcher;
use crate::connection::Party;
use crate::peer::Peers;
use crate::port::Ports;
use crate::side::Context;
use crate::{CiliumOptions, Match, Selector};

/// One rule of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    pub(crate) tier: Tier,
    /// Within the tier, the lower first.
    pub(crate) priority: u32,
    pub(crate) direction: Direction,
    pub(crate) action: Action,
    /// Whether the subjects are isolated by it.
    pub(crate) isolates: bool,
    pub(crate) subject: Arc<Subject>,
    pub(crate) peers: Peers,
    pub(crate) ports: Ports,
    pub(crate) place: Place,
    /// Whether what it allows has to pass rules on what is said as well.
    pub(crate) needs_l7: bool,
    pub(crate) needs_auth: bool,
    pub(crate) requires: Requires,
}

/// Switches of Cilium without which it refuses a policy.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Requires {
    pub(crate) node_labels: bool,
    pub(crate) extended_protocols: bool,
}

impl Requires {
    pub(crate) const fn is_met_by(self, options: &CiliumOptions) -> bool {
        (options.node_selector_labels || !self.node_labels)
            && (options.extended_protocols || !self.extended_protocols)
    }
}

/// What becomes of a connection that a rule matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Allow,
    Deny,
    /// The next tier decides.
    Pass,
}

/// Where a rule stands in its object.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Place {
    pub(crate) spec: Option<u32>,
    /// Whether in the list of denials.
    pub(crate) deny_list: bool,
    /// None for what an object without rules says.
    pub(crate) rule: Option<u32>,
}

/// Whose connections a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// Pods of one namespace.
    Pods { namespace: Arc<str>, labels: Selector },
    /// Pods of the selected namespaces.
    PodsOf { namespaces: Selector, pods: Option<Selector> },
    /// Pods by Cilium's reading of labels; the namespace is where the policy lies.
    Endpoints { namespace: Option<Arc<str>>, labels: LabelMatcher },
    /// Nodes themselves, which only Cilium's host firewall judges.
    Nodes { labels: LabelMatcher },
}

impl Subject {
    /// The namespace that all subjects are in.
    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Pods { namespace, .. } => Some(namespace),
            Self::Endpoints { namespace, .. } => namespace.as_deref(),
            Self::PodsOf { .. } | Self::Nodes { .. } => None,
        }
    }

    /// Whether pods of the identity are of them. Host-network pods are none.
    pub(crate) fn selects(&self, identity: &Identity, context: &Context<'_>) -> Match {
        if identity.host_network {
            return Match::No;
        }
        match self {
            Self::Pods { namespace, labels } => {
                (**namespace == *identity.namespace && labels.matches(&identity.labels)).into()
            }
            Self::PodsOf { namespaces, pods } => {
                let labels = context.world.namespace_labels(&identity.namespace);
                Match::from(pods.as_ref().is_none_or(|pods| pods.matches(&identity.labels)))
                    & namespaces.matches_namespace(&identity.namespace, labels)
            }
            Self::Endpoints { labels, .. } => labels.selects(identity, context),
            Self::Nodes { .. } => Match::No,
        }
    }

    /// Whether the node is one of them, as the end of its own processes and of its host-network pods.
    fn selects_node(&self, name: Option<&str>, context: &Context<'_>) -> Match {
        match self {
            Self::Nodes { labels } if context.options.host_firewall => labels.selects_node(name, context),
            Self::Pods { .. } | Self::PodsOf { .. } | Self::Endpoints { .. } | Self::Nodes { .. } => {
                Match::No
            }
        }
    }
}

/// How a rule fared, with the positions of the entries that speak for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trial {
    pub(crate) peer: Match,
    pub(crate) port: Match,
    pub(crate) peer_index: Option<usize>,
    pub(crate) port_at: Option<(u32, Option<u32>)>,
    /// Whether it matches anyone for lack of the service that it names.
    pub(crate) unresolved_service: bool,
}

impl Trial {
    pub(crate) fn found(&self) -> Match {
        self.port & self.peer
    }
}

impl Rule {
    pub(crate) fn selects(&self, context: &Context<'_>) -> Match {
        match context.side.subject {
            Party::Pod(pod) => self.subject.selects(&pod.identity, context),
            Party::Node(name) => self.subject.selects_node(name, context),
            Party::World | Party::Unresolved => Match::No,
        }
    }

    /// Tries the rule as far as it takes to tell that it does not match: ports first, which are the cheaper half.
    pub(crate) fn try_to_match(&self, context: &Context<'_>) -> Option<Trial> {
        if self.ports.matches(&context.side).0 == Match::No {
            return None;
        }
        let trial = self.test(context);
        trial.found().is_possible().then_some(trial)
    }

    /// Tries both halves of the rule.
    pub(crate) fn test(&self, context: &Context<'_>) -> Trial {
        let (port, port_at) = self.ports.matches(&context.side);
        let mut context = *context;
        context.side.port_by_name =
            self.direction == Direction::Egress && self.ports.are_named_only(&context.side);
        let (peer, peer_index, unresolved_service) = self.peers.matches(&context);
        Trial { peer, port, peer_index, port_at, unresolved_service }
    }
}
