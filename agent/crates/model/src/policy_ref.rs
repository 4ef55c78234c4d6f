//! Which rule decided.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Whose reading of policy objects is followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// The Kubernetes API text and the SIG-network conformance tests.
    K8s,
}

/// The direction of policy: seen from the pod that a policy selects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Into the selected pod.
    Ingress,
    /// Out of the selected pod.
    Egress,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// The evaluation tier that a policy kind belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// NetworkPolicy and its namespaced kin.
    Normal,
}

/// One policy object.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct PolicyRef {
    /// Kubernetes kind, e.g. `NetworkPolicy`.
    pub kind: &'static str,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Object name.
    pub name: String,
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// One rule of one policy, with the entries of it that matched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RuleRef {
    /// Dialect under which it decided.
    pub dialect: Dialect,
    /// Tier it stands in.
    pub tier: Tier,
    /// Direction of the list it stands in.
    pub direction: Direction,
    /// The object.
    pub policy: Arc<PolicyRef>,
    /// Position in `spec.ingress` or `spec.egress`, from 0.
    pub rule: u32,
    /// Position in `from` or `to`; none where the rule names no peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<u32>,
    /// Position in `ports`; none where the rule names no ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]", self.policy, self.direction, self.rule)
    }
}
