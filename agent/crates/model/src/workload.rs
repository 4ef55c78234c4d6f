//! What Kubernetes knows about the ends of a flow.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Pod, Protocol};

/// Kubernetes labels: key to value, ordered by key.
pub type Labels = BTreeMap<String, String>;

/// A Kubernetes namespace with the labels that `namespaceSelector`s are matched against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    /// Name.
    pub name: String,
    /// Labels; the API server always sets `kubernetes.io/metadata.name`.
    pub labels: Labels,
}

/// One entry of a container's `ports`; named ports of policies resolve through these.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerPort {
    /// IANA service name, unique within the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Container port number.
    pub port: u16,
    /// Protocol.
    #[serde(default = "tcp")]
    pub protocol: Protocol,
}

const fn tcp() -> Protocol {
    Protocol::Tcp
}

/// A cluster node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Node name.
    pub name: Arc<str>,
    /// All addresses by which the node may show up in a flow.
    pub ips: Vec<IpAddr>,
}

/// Who stands at one end of a flow, at the time the flow began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// A pod with an address of its own.
    Pod(Arc<Pod>),
    /// A node or a host-network pod on it.
    Node {
        /// Node name.
        name: Arc<str>,
    },
    /// An address that the inventory knows to be no pod and no node.
    World,
    /// Not known. The reason is what the verdict will say.
    Unresolved(&'static str),
}

impl Peer {
    /// The pod, where there is one.
    #[must_use]
    pub const fn pod(&self) -> Option<&Arc<Pod>> {
        match self {
            Self::Pod(pod) => Some(pod),
            Self::Node { .. } | Self::World | Self::Unresolved(_) => None,
        }
    }
}
