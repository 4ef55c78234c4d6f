//! Entries of `from` and `to`.

use std::net::IpAddr;

use crate::address::Block;
use crate::connection::{Party, World};
use crate::{Match, Selector};

/// One entry of `from` or `to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PeerMatcher {
    /// Pods with an address of their own.
    Pods { namespaces: NamespaceMatcher, pods: Selector },
    /// Addresses, whoever has them.
    Block(Block),
}

/// Which namespaces a pod entry looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NamespaceMatcher {
    /// The one the policy lies in.
    Own,
    /// The selected ones.
    Selected(Selector),
}

impl PeerMatcher {
    /// `namespace` is the policy's own.
    pub(crate) fn matches(&self, namespace: &str, world: &dyn World, peer: Party<'_>, ip: IpAddr) -> Match {
        match self {
            Self::Block(block) => block.contains(ip).into(),
            Self::Pods { namespaces, pods } => match peer {
                Party::Pod(pod) => {
                    let in_namespace = match namespaces {
                        NamespaceMatcher::Own => Match::from(*pod.identity.namespace == *namespace),
                        NamespaceMatcher::Selected(selector) => {
                            let labels = world.namespace_labels(&pod.identity.namespace);
                            selector.matches_namespace(&pod.identity.namespace, labels)
                        }
                    };
                    match in_namespace {
                        Match::No => Match::No,
                        possible => possible & pods.matches(&pod.identity.labels).into(),
                    }
                }
                Party::Node(_) | Party::World => Match::No,
                Party::Unresolved => Match::Unknown,
            },
        }
    }
}
