//! Who an end of a connection is, as people call it: the workload and not the pod, the world and not the address.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use watchfire_model::{Peer, Pod};

use super::state::Party;

/// A workload, or whatever else may stand at an end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Group {
    /// Pods of one workload, or one pod of none.
    Workload {
        namespace: Arc<str>,
        name: Arc<str>,
        workload_kind: Arc<str>,
    },
    Node {
        name: Arc<str>,
    },
    /// Outside of the cluster.
    World,
    Unresolved,
}

impl Group {
    pub(super) fn of_pod(pod: &Pod) -> Self {
        let namespace = Arc::clone(&pod.identity.namespace);
        match &pod.identity.workload {
            Some(workload) => Self::Workload {
                namespace,
                name: Arc::clone(&workload.name),
                workload_kind: Arc::clone(&workload.kind),
            },
            None => {
                Self::Workload { namespace, name: Arc::from(&*pod.name), workload_kind: Arc::from("Pod") }
            }
        }
    }

    pub(super) fn of(party: &Party) -> Self {
        match &party.peer {
            Peer::Pod(pod) => Self::of_pod(pod),
            Peer::Node { name } => Self::Node { name: Arc::clone(name) },
            Peer::World => Self::World,
            Peer::Unresolved(_) => Self::Unresolved,
        }
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Workload { namespace, .. } => Some(namespace),
            Self::Node { .. } | Self::World | Self::Unresolved => None,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload { namespace, name, .. } => f.pad(&format!("{namespace}/{name}")),
            Self::Node { name } => f.pad(&format!("node {name}")),
            Self::World => f.pad("world"),
            Self::Unresolved => f.pad("unresolved"),
        }
    }
}
