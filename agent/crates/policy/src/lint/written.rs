//! What can be told from a policy as it is written.

use std::sync::Arc;

use serde_json::Value;
use watchfire_model::{Dialect, Direction};

use super::{LintCode, LintFinding};
use crate::Policy;
use crate::cilium::is_label_looked_at;

/// A policy and its object.
pub(super) struct Written<'a> {
    policy: &'a Policy,
    object: Value,
}

/// One direction of a rule of Cilium's: the names of its lists and of their fields.
struct Way {
    direction: &'static str,
    denials: &'static str,
    peers: &'static str,
}

const WAYS: [Way; 2] = [
    Way { direction: "ingress", denials: "ingressDeny", peers: "from" },
    Way { direction: "egress", denials: "egressDeny", peers: "to" },
];

impl<'a> Written<'a> {
    pub(super) fn of(policy: &'a Arc<Policy>) -> Option<Self> {
        Some(Self { object: serde_json::from_str(policy.source()?).ok()?, policy })
    }

    pub(super) fn lint(&self, dialect: Dialect, all: &[Self], findings: &mut Vec<LintFinding>) {
        match self.policy.reference().kind {
            "NetworkPolicy" => self.network(dialect, findings),
            "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy" => self.cilium(all, findings),
            _ => {}
        }
    }

    fn found(&self, code: LintCode, path: impl Into<String>, message: impl Into<String>) -> LintFinding {
        LintFinding::new(code, self.policy, path, message)
    }

    fn network(&self, dialect: Dialect, findings: &mut Vec<LintFinding>) {
        let spec = &self.object["spec"];
        let listed: Vec<&str> = entries(spec, "policyTypes").filter_map(Value::as_str).collect();
        for (field, direction) in [("ingress", Direction::Ingress), ("egress", Direction::Egress)] {
            let name = if direction == Direction::Ingress { "Ingress" } else { "Egress" };
            if !listed.is_empty() && !listed.contains(&name) && entries(spec, field).next().is_some() {
                let message = format!("policyTypes is [{}], which lacks {name}", listed.join(", "));
                findings.push(self.found(LintCode::UnlistedDirection, format!("spec.{field}"), message));
            }
            let peers = if direction == Direction::Ingress { "from" } else { "to" };
            for (index, rule) in entries(spec, field).enumerate() {
                self.split_peers(&format!("spec.{field}[{index}].{peers}"), rule, peers, findings);
            }
        }
        if dialect == Dialect::Cilium {
            self.selectors("spec", spec, findings);
        }
    }

    /// Namespaces, and then pods in an entry of their own: mostly one `-` too many.
    fn split_peers(&self, path: &str, rule: &Value, field: &str, findings: &mut Vec<LintFinding>) {
        let peers: Vec<&Value> = entries(rule, field).collect();
        let has_only = |peer: &Value, key: &str| {
            peer.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key(key))
        };
        for (index, pair) in peers.windows(2).enumerate() {
            if has_only(pair[0], "namespaceSelector") && has_only(pair[1], "podSelector") {
                let message = format!(
                    "entry {index} has only a namespaceSelector and entry {} only a podSelector",
                    index + 1
                );
                findings.push(self.found(LintCode::SplitPeer, format!("{path}[{index}]"), message));
            }
        }
    }

    fn cilium(&self, all: &[Self], findings: &mut Vec<LintFinding>) {
        for (path, spec) in self.specs() {
            for way in WAYS {
                let switch = &spec["enableDefaultDeny"][way.direction];
                let (allowing, denying) =
                    (entries(spec, way.direction).count(), entries(spec, way.denials).count());
                if denying > 0 && allowing == 0 && *switch != Value::Bool(false) {
                    let message = format!("{} has rules and {} has none", way.denials, way.direction);
                    findings.push(self.found(
                        LintCode::DenyIsolates,
                        format!("{path}.{}", way.denials),
                        message,
                    ));
                }
                for list in [way.direction, way.denials] {
                    for (index, rule) in entries(spec, list).enumerate() {
                        if is_empty(rule, way.peers) {
                            let message = "the rule names neither peers nor ports";
                            findings.push(self.found(
                                LintCode::EmptyRule,
                                format!("{path}.{list}[{index}]"),
                                message,
                            ));
                        }
                    }
                }
            }
            let names = entries(spec, "egress").enumerate();
            let mut names = names.filter(|(_, rule)| entries(rule, "toFQDNs").next().is_some());
            if let Some((index, _)) = names.next()
                && !self.may_see_dns(spec, all)
            {
                let message = "no rule lets these pods' DNS pass Cilium's proxy";
                let path = format!("{path}.egress[{index}].toFQDNs");
                findings.push(self.found(LintCode::NamesWithoutDns, path, message));
            }
            self.selectors(&path, spec, findings);
        }
    }

    /// Rules of the object, each with its path.
    fn specs(&self) -> Vec<(String, &Value)> {
        let one = self.object.get("spec").map(|spec| ("spec".to_owned(), spec));
        let several = entries(&self.object, "specs").enumerate();
        one.into_iter().chain(several.map(|(index, spec)| (format!("specs[{index}]"), spec))).collect()
    }

    /// Whether a rule on what DNS may ask is there for the pods of a rule: in itself, or in one that is about the same pods
    /// or all of them.
    fn may_see_dns(&self, spec: &Value, all: &[Self]) -> bool {
        let has_dns = |spec: &Value| {
            entries(spec, "egress")
                .flat_map(|rule| entries(rule, "toPorts"))
                .any(|ports| entries(&ports["rules"], "dns").next().is_some())
        };
        if has_dns(spec) {
            return true;
        }
        let own = self.policy.reference();
        let covers = |other: &Self, of: &Value| {
            let selector = &of["endpointSelector"];
            let is_everyone = selector.as_object().is_some_and(serde_json::Map::is_empty);
            let namespace = &other.policy.reference().namespace;
            (is_everyone && (namespace.is_empty() || *namespace == own.namespace))
                || (*selector == spec["endpointSelector"] && *namespace == own.namespace)
        };
        all.iter().any(|other| other.specs().iter().any(|(_, of)| has_dns(of) && covers(other, of)))
    }

    /// Selectors on labels that Cilium leaves out, wherever they stand.
    fn selectors(&self, path: &str, value: &Value, findings: &mut Vec<LintFinding>) {
        match value {
            Value::Array(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    self.selectors(&format!("{path}[{index}]"), entry, findings);
                }
            }
            Value::Object(fields) => {
                let pairs = fields.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
                let keys = pairs.map(|(key, _)| key.as_str());
                let expressions = entries(value, "matchExpressions").filter_map(|one| one["key"].as_str());
                // Those of namespaces and nodes are others.
                let is_of_pods =
                    ["namespaceSelector", "Nodes", "nodeSelector", "cidrGroupSelector", "k8sServiceSelector"]
                        .iter()
                        .all(|other| !path.contains(other));
                for key in keys.chain(expressions).filter(|key| is_of_pods && !is_label_looked_at(key)) {
                    let message = format!("label {key}");
                    findings.push(self.found(LintCode::FilteredLabel, path, message));
                }
                for (key, inner) in fields.iter().filter(|(key, _)| *key != "matchLabels") {
                    self.selectors(&format!("{path}.{key}"), inner, findings);
                }
            }
            _ => {}
        }
    }
}

/// Whether a rule of Cilium's names neither peers nor ports.
fn is_empty(rule: &Value, peers: &str) -> bool {
    let fields = rule.as_object().into_iter().flatten();
    let mut telling = fields.filter(|(key, value)| {
        let is_part = key.starts_with(peers) || *key == "toPorts" || *key == "icmps";
        // An empty list of these means the same as none.
        let is_nothing = value.as_array().is_some_and(Vec::is_empty)
            && matches!(
                key.as_str(),
                "toPorts" | "icmps" | "toFQDNs" | "fromGroups" | "toGroups" | "toServices"
            );
        is_part && !value.is_null() && !is_nothing
    });
    telling.next().is_none()
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}
