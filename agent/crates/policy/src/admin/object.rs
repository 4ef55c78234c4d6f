//! Admin policies as written (sigs.k8s.io/network-policy-api, apis/v1alpha1 and apis/v1alpha2).

use serde::Deserialize;

use crate::LabelSelector;
use crate::netpol::{ObjectMeta, Skipped};

/// `AdminNetworkPolicy`, `BaselineAdminNetworkPolicy` and `ClusterNetworkPolicy`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AdminPolicy {
    #[serde(default, rename = "apiVersion")]
    _api_version: Skipped,
    #[serde(default, rename = "kind")]
    _kind: Skipped,
    pub(crate) metadata: Option<ObjectMeta>,
    pub(crate) spec: Option<Spec>,
    #[serde(default, rename = "status")]
    _status: Skipped,
}

/// Their specs; which fields each may have is checked once it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) tier: Option<String>,
    pub(crate) priority: Option<i64>,
    pub(crate) subject: Option<Subject>,
    pub(crate) ingress: Option<Vec<RuleSource>>,
    pub(crate) egress: Option<Vec<RuleSource>>,
}

/// Subjects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    pub(crate) namespaces: Option<LabelSelector>,
    pub(crate) pods: Option<NamespacedPod>,
}

/// `NamespacedPod`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NamespacedPod {
    pub(crate) namespace_selector: Option<LabelSelector>,
    pub(crate) pod_selector: Option<LabelSelector>,
}

/// One entry of `ingress` or `egress`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSource {
    #[serde(default, rename = "name")]
    _name: Skipped,
    pub(crate) action: Option<String>,
    pub(crate) from: Option<Vec<Peer>>,
    pub(crate) to: Option<Vec<Peer>>,
    pub(crate) ports: Option<Vec<Port>>,
    pub(crate) protocols: Option<Vec<Protocol>>,
}

/// One entry of `from` or `to`. Fields that are not known make it one that fails closed, as the API wants it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Peer {
    pub(crate) namespaces: Option<LabelSelector>,
    pub(crate) pods: Option<NamespacedPod>,
    pub(crate) nodes: Option<LabelSelector>,
    pub(crate) networks: Option<Vec<String>>,
    pub(crate) domain_names: Option<Vec<String>>,
}

/// `AdminNetworkPolicyPort`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Port {
    pub(crate) port_number: Option<PortNumber>,
    pub(crate) port_range: Option<PortRange>,
    pub(crate) named_port: Option<String>,
}

/// `Port` of v1alpha1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortNumber {
    pub(crate) protocol: Option<String>,
    pub(crate) port: Option<i64>,
}

/// `PortRange`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortRange {
    pub(crate) protocol: Option<String>,
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
}

/// `ClusterNetworkPolicyProtocol`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) tcp: Option<Transport>,
    pub(crate) udp: Option<Transport>,
    pub(crate) sctp: Option<Transport>,
    pub(crate) destination_named_port: Option<String>,
}

/// What is said of one protocol.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Transport {
    pub(crate) destination_port: Option<DestinationPort>,
}

/// `Port` of v1alpha2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationPort {
    pub(crate) number: Option<i64>,
    pub(crate) range: Option<PortRange>,
}
