//! The part of a rule about peers.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use watchfire_model::{Direction, Labels, UnknownReason};

use crate::address::Block;
use crate::cilium::{EmptyLists, Entity, LabelMatcher, NamePattern, ServiceMatcher, is_own_node};
use crate::connection::Party;
use crate::matching::first;
use crate::side::Context;
use crate::{Match, Selector};

/// Whom a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Peers {
    /// Anyone.
    Any,
    /// No one: such a rule has no effect but to isolate.
    Nobody,
    /// Those of a list.
    Listed {
        /// Field of the rule that holds the list.
        field: &'static str,
        entries: Box<[PeerMatcher]>,
    },
    /// The backends of services, and with `or_any` everyone where none of the services is found.
    Services { entries: Box<[ServiceMatcher]>, or_any: bool, beside: EmptyLists },
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PeerMatcher {
    /// Pods of one namespace that have an address of their own.
    PodsIn {
        namespace: Arc<str>,
        pods: Selector,
    },
    /// Pods of the selected namespaces.
    PodsOf {
        namespaces: Selector,
        pods: Option<Selector>,
    },
    /// Addresses, whoever has them.
    Block(Block),
    /// Several blocks, whoever has their addresses.
    Blocks(Box<[Block]>),
    /// Nodes.
    Nodes(Selector),
    /// Whoever has the labels.
    Labels(LabelMatcher),
    /// Nodes with the labels, the pod's own and others.
    LabelledNodes {
        labels: LabelMatcher,
        with_own: bool,
    },
    Entity(Entity),
    /// Addresses outside the cluster.
    Outside(Block),
    OutsideBlocks(Box<[Block]>),
    /// Addresses outside the cluster that are in a group.
    Group {
        name: Box<str>,
        except: Box<[IpNet]>,
    },
    Groups {
        selector: Selector,
        except: Box<[IpNet]>,
    },
    /// Everyone, as Cilium reads the selector of groups that asks for nothing; but where ports have names, addresses outside.
    AllGroups,
    /// Addresses outside the cluster under a name.
    Named(NamePattern),
    NamedAny(Box<[NamePattern]>),
    /// A group of a cloud, which Cilium's operator resolves into a `CiliumCIDRGroup` with this label.
    External {
        label: Box<str>,
    },
}

impl Peers {
    /// Whether the rule is about the peer, the first entry that says so, and whether that rests on a service that was not
    /// found.
    pub(crate) fn matches(&self, context: &Context<'_>) -> (Match, Option<usize>, bool) {
        match self {
            Self::Any => (Match::Yes, None, false),
            Self::Nobody => (Match::No, None, false),
            Self::Listed { entries, .. } => {
                let (found, index) = first(entries, |entry| entry.matches(context));
                (found, index, false)
            }
            Self::Services { entries, or_any, beside } => {
                ServiceMatcher::any(entries, *or_any, *beside, context)
            }
        }
    }

    /// Whether it takes the names of addresses outside to tell.
    pub(crate) fn ask_for_names(&self) -> bool {
        let Self::Listed { entries, .. } = self else { return false };
        entries.iter().any(|entry| matches!(entry, PeerMatcher::Named(_) | PeerMatcher::NamedAny(_)))
    }

    /// Every block, and every exception of one, that is held against the addresses of pods as the API has it.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = IpNet> {
        let entries = match self {
            Self::Listed { entries, .. } => &entries[..],
            Self::Any | Self::Nobody | Self::Services { .. } => &[],
        };
        let blocks = entries.iter().flat_map(|entry| match entry {
            PeerMatcher::Block(block) => std::slice::from_ref(block),
            PeerMatcher::Blocks(blocks) => blocks,
            _ => &[],
        });
        blocks.flat_map(|block| std::iter::once(block.cidr).chain(block.except.iter().copied()))
    }

    pub(crate) const fn field(&self) -> &'static str {
        match self {
            Self::Any | Self::Nobody => "",
            Self::Listed { field, .. } => field,
            Self::Services { .. } => "toServices",
        }
    }
}

impl PeerMatcher {
    fn matches(&self, context: &Context<'_>) -> Match {
        let side = &context.side;
        match self {
            Self::Block(block) => block.contains(side.peer_ip).into(),
            Self::Blocks(blocks) => blocks.iter().any(|block| block.contains(side.peer_ip)).into(),
            Self::PodsIn { namespace, pods } => on_pods(context, |pod_namespace, labels| {
                Match::from(*pod_namespace == **namespace && pods.matches(labels))
            }),
            Self::PodsOf { namespaces, pods } => on_pods(context, |namespace, labels| {
                match namespaces.matches_namespace(namespace, context.world.namespace_labels(namespace)) {
                    Match::No => Match::No,
                    possible => possible & pods.as_ref().is_none_or(|pods| pods.matches(labels)).into(),
                }
            }),
            Self::Nodes(selector) => on_nodes(selector, context),
            Self::Labels(labels) => labels.matches(context),
            Self::LabelledNodes { labels, with_own } => match side.peer {
                Party::Node(name) => {
                    let is_meant = if *with_own { Match::Yes } else { !is_own_node(name, context) };
                    is_meant & labels.matches_labels(context)
                }
                Party::Pod(_) | Party::World => Match::No,
                Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
            },
            Self::Entity(entity) => entity.matches(context),
            Self::Outside(block) => if_outside(context, || block.contains(side.peer_ip).into()),
            Self::OutsideBlocks(blocks) => {
                if_outside(context, || blocks.iter().any(|block| block.contains(side.peer_ip)).into())
            }
            Self::Group { name, except } => if_outside(context, || {
                (!has(except, side.peer_ip) && context.groups.named(name, side.peer_ip)).into()
            }),
            Self::Groups { selector, except } => if_outside(context, || {
                (!has(except, side.peer_ip) && context.groups.selected(selector, side.peer_ip)).into()
            }),
            Self::AllGroups if side.port_by_name => if_outside(context, || Match::Yes),
            Self::AllGroups => Match::Yes,
            Self::Named(pattern) => has_name(context, |name| pattern.means(name)),
            Self::NamedAny(patterns) => {
                has_name(context, |name| patterns.iter().any(|pattern| pattern.means(name)))
            }
            Self::External { label } => if_outside(context, || {
                context
                    .groups
                    .labelled(label, side.peer_ip)
                    .map_or(Match::Unknown(UnknownReason::GroupUnresolved), Match::from)
            }),
        }
    }
}

fn has(blocks: &[IpNet], address: IpAddr) -> bool {
    blocks.iter().any(|block| block.contains(&address))
}

/// Selectors of the Kubernetes API on a peer.
fn on_pods(context: &Context<'_>, test: impl Fn(&str, &Labels) -> Match) -> Match {
    match context.side.peer {
        Party::Pod(pod) => test(&pod.identity.namespace, &pod.identity.labels),
        // Source translation puts a node's address in the place of the client's, so a node that connects may be anyone.
        Party::Node(_) if context.side.direction == Direction::Ingress => {
            Match::Unknown(UnknownReason::HostNetwork)
        }
        Party::Node(_) | Party::World => Match::No,
        Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
    }
}

fn on_nodes(selector: &Selector, context: &Context<'_>) -> Match {
    match context.side.peer {
        Party::Node(_) if selector.requirements().is_empty() => Match::Yes,
        Party::Node(name) => match name.and_then(|name| context.world.node_labels(name)) {
            Some(labels) => selector.matches(labels).into(),
            None => Match::Unknown(UnknownReason::NodeUnresolved),
        },
        Party::Pod(_) | Party::World => Match::No,
        Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
    }
}

/// Blocks of Cilium's policies hold for addresses that the cluster does not know, unless `policy-cidr-match-mode` says
/// otherwise (`CIDRSelector.Matches` of pkg/policy/types).
fn if_outside(context: &Context<'_>, test: impl Fn() -> Match) -> Match {
    let is_meant = match context.side.peer {
        Party::World => Match::Yes,
        Party::Node(_) => context.options.cidr_matches_nodes.into(),
        Party::Pod(_) => context.options.cidr_matches_pods.into(),
        Party::Unresolved if context.options.cidr_matches_nodes && context.options.cidr_matches_pods => {
            Match::Yes
        }
        Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
    };
    match is_meant {
        Match::No => Match::No,
        possible => possible & test(),
    }
}

/// Names are those of addresses outside the cluster.
fn has_name(context: &Context<'_>, test: impl Fn(&str) -> bool) -> Match {
    let is_outside = match context.side.peer {
        Party::World => Match::Yes,
        Party::Pod(_) | Party::Node(_) => return Match::No,
        Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
    };
    match context.world.names(context.side.peer_ip) {
        Some(names) => is_outside & names.iter().any(|name| test(name)).into(),
        None => Match::Unknown(UnknownReason::NamesUnresolved),
    }
}
