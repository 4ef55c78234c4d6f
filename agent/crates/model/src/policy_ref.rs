//! Which rule decided.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Whose reading of policy objects is followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// The Kubernetes API text and the SIG-network conformance tests.
    #[default]
    K8s,
    /// Cilium's policy engine.
    Cilium,
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

/// The evaluation tier that a rule stands in, from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// AdminNetworkPolicy, and ClusterNetworkPolicy of the tier Admin.
    Admin,
    /// NetworkPolicy and its namespaced kin.
    Normal,
    /// BaselineAdminNetworkPolicy, and ClusterNetworkPolicy of the tier Baseline.
    Baseline,
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
    /// Position in its list, from 0.
    pub rule: u32,
    /// Position in `from` or `to`; none where the rule names no peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<u32>,
    /// Position in `ports`; none where the rule names no ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// What only some kinds of policy have.
    #[serde(flatten)]
    pub detail: RuleDetail,
}

/// What rules of some kinds have besides their position.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct RuleDetail {
    /// Position in `specs`; none where the rule stands in `spec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<u32>,
    /// Whether it stands in `ingressDeny` or `egressDeny`.
    #[serde(skip_serializing_if = "is_false")]
    pub deny_list: bool,
    /// Field of the rule that `peer` is a position in, e.g. `fromEndpoints`.
    #[serde(skip)]
    pub peers_field: &'static str,
    /// Field of the rule that `port` is a position in, e.g. `toPorts`.
    #[serde(skip)]
    pub ports_field: &'static str,
    /// Position in the list below `port`, where each of those holds a list: `toPorts[port].ports[port_entry]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_entry: Option<u32>,
    /// The rule allows the connection only as far as its requests pass rules on what is said over it, which are not judged.
    #[serde(skip_serializing_if = "is_false")]
    pub needs_l7: bool,
    /// The rule allows the connection only once both ends have authenticated each other.
    #[serde(skip_serializing_if = "is_false")]
    pub needs_auth: bool,
    /// The rule names services of which none was found, and so means any peer on its ports.
    #[serde(skip_serializing_if = "is_false")]
    pub unresolved_service: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl RuleRef {
    /// The place in the object, down to the entries that matched: `spec.ingress[0].fromEndpoints[1]` and
    /// `spec.ingress[0].toPorts[0].ports[2]` as `spec.ingress[0] fromEndpoints[1] toPorts[0].ports[2]`.
    #[must_use]
    pub fn path(&self) -> String {
        let Self { rule, peer, port, detail, .. } = self;
        let mut path = match detail.spec {
            Some(spec) => format!("specs[{spec}].{}[{rule}]", self.list()),
            None => format!("spec.{}[{rule}]", self.list()),
        };
        if let Some(peer) = peer {
            path += &format!(" {}[{peer}]", detail.peers_field);
        }
        if let Some(port) = port {
            path += &format!(" {}[{port}]", detail.ports_field);
            if let Some(entry) = detail.port_entry {
                let below = if detail.ports_field == "icmps" { "fields" } else { "ports" };
                path += &format!(".{below}[{entry}]");
            }
        }
        path
    }

    /// Name of the list that the rule stands in.
    #[must_use]
    pub const fn list(&self) -> &'static str {
        match (self.direction, self.detail.deny_list) {
            (Direction::Ingress, false) => "ingress",
            (Direction::Ingress, true) => "ingressDeny",
            (Direction::Egress, false) => "egress",
            (Direction::Egress, true) => "egressDeny",
        }
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.policy)?;
        if let Some(spec) = self.detail.spec {
            write!(f, "specs[{spec}].")?;
        }
        write!(f, "{}[{}]", self.list(), self.rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_by_its_path() {
        let mut rule = RuleRef {
            dialect: Dialect::Cilium,
            tier: Tier::Normal,
            direction: Direction::Egress,
            policy: Arc::new(PolicyRef {
                kind: "CiliumNetworkPolicy",
                namespace: "a".into(),
                name: "p".into(),
            }),
            rule: 2,
            peer: Some(1),
            port: Some(0),
            detail: RuleDetail {
                spec: Some(3),
                deny_list: true,
                peers_field: "toCIDR",
                ports_field: "toPorts",
                port_entry: Some(4),
                ..RuleDetail::default()
            },
        };
        assert_eq!(rule.to_string(), "CiliumNetworkPolicy/a/p specs[3].egressDeny[2]");
        assert_eq!(rule.path(), "specs[3].egressDeny[2] toCIDR[1] toPorts[0].ports[4]");
        rule.detail = RuleDetail::default();
        (rule.peer, rule.port) = (None, None);
        assert_eq!(rule.path(), "spec.egress[2]");
    }
}
