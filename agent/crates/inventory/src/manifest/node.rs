//! Nodes and namespaces.

use std::net::IpAddr;

use serde::Deserialize;

use super::bounded::{List, Text};
use super::meta::Meta;
use super::{Written, Wrong};
use crate::{NamespaceObject, NodeObject, Object};

/// Most entries of `status.addresses` of a node.
pub const MANIFEST_NODE_ADDRESSES_MAX: usize = 256;
/// Most pod networks of a node; the API admits one of each family.
pub const MANIFEST_POD_CIDRS_MAX: usize = 16;

#[derive(Deserialize)]
pub(super) struct Namespace {
    metadata: Meta,
}

impl Written for Namespace {
    fn metadata(&self) -> &Meta {
        &self.metadata
    }

    fn into_object(self) -> Result<Object, Wrong> {
        let Meta { name, labels, .. } = self.metadata;
        Ok(Object::Namespace(NamespaceObject { name: name.0, labels: labels.0 }))
    }
}

#[derive(Deserialize)]
pub(super) struct Node {
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<Text>,
    #[serde(default, rename = "podCIDRs")]
    pod_cidrs: List<Text, MANIFEST_POD_CIDRS_MAX>,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    addresses: List<NodeAddress, MANIFEST_NODE_ADDRESSES_MAX>,
}

/// Names stand among the addresses of a node.
#[derive(Deserialize)]
struct NodeAddress {
    #[serde(default)]
    address: Text,
}

impl Written for Node {
    fn metadata(&self) -> &Meta {
        &self.metadata
    }

    fn into_object(self) -> Result<Object, Wrong> {
        Ok(Object::Node(self.into()))
    }
}

impl From<Node> for NodeObject {
    fn from(node: Node) -> Self {
        let (spec, status) = (node.spec.unwrap_or_default(), node.status.unwrap_or_default());
        let cidrs =
            if spec.pod_cidrs.0.is_empty() { Vec::from_iter(spec.pod_cidr) } else { spec.pod_cidrs.0 };
        let mut ips: Vec<IpAddr> = Vec::new();
        for ip in status.addresses.0.iter().filter_map(|entry| entry.address.0.parse().ok()) {
            // The name of a node may be its address: it is there twice then.
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        Self {
            name: node.metadata.name.0,
            labels: node.metadata.labels.0,
            ips,
            pod_cidrs: cidrs.into_iter().map(|cidr| cidr.0).filter(|cidr| !cidr.is_empty()).collect(),
        }
    }
}
