//! What Kubernetes knows about the ends of a flow.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Protocol;

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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// A pod, as far as identity and policy need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// Namespace name.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// `metadata.uid`; empty where the source does not tell it.
    pub uid: String,
    /// Pod labels.
    pub labels: Labels,
    /// `status.podIPs`. For a host-network pod these are its node's addresses.
    pub ips: Vec<IpAddr>,
    /// Ports of all containers, native sidecars included.
    pub ports: Vec<ContainerPort>,
    /// Whether the pod shares the node's network namespace.
    pub host_network: bool,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// `spec.serviceAccountName`.
    pub service_account: Option<String>,
}

/// A cluster node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Node name.
    pub name: String,
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
        name: String,
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
