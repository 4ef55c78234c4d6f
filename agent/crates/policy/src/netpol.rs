//! `NetworkPolicy` of `networking.k8s.io/v1` as written.
//!
//! Every field is an `Option`, because absent and empty mean different things (API reference, NetworkPolicySpec).
//! Unknown fields are refused: a policy of which a part is not understood must not be judged by the rest of it.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use watchfire_model::Labels;

use crate::LabelSelector;

/// The object.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// `networking.k8s.io/v1`; the items of a list may leave it out.
    pub api_version: Option<String>,
    /// `NetworkPolicy`; the items of a list may leave it out.
    pub kind: Option<String>,
    /// Name and namespace.
    pub metadata: Option<ObjectMeta>,
    /// What is wanted.
    pub spec: Option<NetworkPolicySpec>,
    /// Served by Kubernetes 1.24 to 1.27; never evaluated.
    #[serde(default, rename = "status")]
    _status: Skipped,
}

/// The parts of `metav1.ObjectMeta` that policy needs; the others are accepted and dropped.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ObjectMeta {
    /// Object name.
    pub name: Option<String>,
    /// Namespace; `default` where absent.
    pub namespace: Option<String>,
    /// Labels, by which objects of some kinds are found.
    pub labels: Option<Labels>,
    #[serde(default, rename = "annotations")]
    _annotations: Skipped,
    #[serde(default, rename = "creationTimestamp")]
    _creation_timestamp: Skipped,
    #[serde(default, rename = "deletionGracePeriodSeconds")]
    _deletion_grace_period_seconds: Skipped,
    #[serde(default, rename = "deletionTimestamp")]
    _deletion_timestamp: Skipped,
    #[serde(default, rename = "finalizers")]
    _finalizers: Skipped,
    #[serde(default, rename = "generateName")]
    _generate_name: Skipped,
    #[serde(default, rename = "generation")]
    _generation: Skipped,
    #[serde(default, rename = "managedFields")]
    _managed_fields: Skipped,
    #[serde(default, rename = "ownerReferences")]
    _owner_references: Skipped,
    #[serde(default, rename = "resourceVersion")]
    _resource_version: Skipped,
    #[serde(default, rename = "selfLink")]
    _self_link: Skipped,
    #[serde(default, rename = "uid")]
    _uid: Skipped,
}

/// `NetworkPolicySpec`.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Pods of the policy's namespace; absent is `{}`, all of them.
    pub pod_selector: Option<LabelSelector>,
    /// `Ingress`, `Egress`; absent or empty is Ingress, and Egress too if there is an egress rule.
    pub policy_types: Option<Vec<String>>,
    /// What may come in; absent and empty alike allow nothing.
    pub ingress: Option<Vec<NetworkPolicyIngressRule>>,
    /// What may go out; absent and empty alike allow nothing.
    pub egress: Option<Vec<NetworkPolicyEgressRule>>,
}

/// `NetworkPolicyIngressRule`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicyIngressRule {
    /// Who may connect; absent and empty alike mean anyone.
    pub from: Option<Vec<NetworkPolicyPeer>>,
    /// To which ports; absent and empty alike mean every port and protocol.
    pub ports: Option<Vec<NetworkPolicyPort>>,
}

/// `NetworkPolicyEgressRule`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPolicyEgressRule {
    /// Who may be connected to; absent and empty alike mean anyone.
    pub to: Option<Vec<NetworkPolicyPeer>>,
    /// On which ports; absent and empty alike mean every port and protocol.
    pub ports: Option<Vec<NetworkPolicyPort>>,
}

/// `NetworkPolicyPeer`: selectors or an IP block.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NetworkPolicyPeer {
    /// Pods of the selected namespaces; of the policy's own where there is no `namespaceSelector`.
    pub pod_selector: Option<LabelSelector>,
    /// Namespaces; all their pods where there is no `podSelector`.
    pub namespace_selector: Option<LabelSelector>,
    /// Addresses.
    pub ip_block: Option<IpBlock>,
}

/// `IPBlock`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpBlock {
    /// The block.
    pub cidr: Option<String>,
    /// Smaller blocks inside it that this entry leaves out.
    pub except: Option<Vec<String>>,
}

/// `NetworkPolicyPort`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NetworkPolicyPort {
    /// `TCP`, `UDP` or `SCTP`; absent is TCP.
    pub protocol: Option<String>,
    /// Number, or name of a container port; absent is every port of the protocol.
    pub port: Option<IntOrString>,
    /// Last port of a range that begins at `port`.
    pub end_port: Option<i64>,
}

/// `intstr.IntOrString`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IntOrString {
    /// A number.
    Int(i64),
    /// A name.
    String(String),
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;

        impl Visitor<'_> for PortVisitor {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port number or the name of a port")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<IntOrString, E> {
                i64::try_from(number)
                    .map(IntOrString::Int)
                    .map_err(|_| E::custom(format!("port number {number} is out of range")))
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::String(name.to_owned()))
            }
        }

        deserializer.deserialize_any(PortVisitor)
    }
}

/// A field of any shape that is accepted and dropped.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Self)
    }
}
