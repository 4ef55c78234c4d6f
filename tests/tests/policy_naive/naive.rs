//! The naive evaluator: `NetworkPolicy`, `AdminNetworkPolicy`, `BaselineAdminNetworkPolicy` and `ClusterNetworkPolicy` by the text
//! of the API, straight on the objects as they are written.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// A case's world and policies.
pub(crate) struct Cluster<'a> {
    case: &'a Value,
    /// Of two with one kind and name the later counts.
    policies: BTreeMap<(String, String, String), &'a Value>,
}

/// One end of a connection.
struct End<'a> {
    /// None for what is no pod with an address of its own.
    pod: Option<&'a Value>,
    node: Option<&'a Value>,
    address: IpAddr,
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = list(selector, "matchExpressions");
    pairs.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.iter().all(|expression| {
            let value = labels.get(text(expression, "key"));
            let is_in = value.is_some_and(|value| list(expression, "values").contains(value));
            match text(expression, "operator") {
                "In" => is_in,
                "NotIn" => !is_in,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}

/// Whether a block has an address: the bits of the prefix are the same.
fn has(block: &str, address: IpAddr) -> bool {
    let (base, bits) = block.split_once('/').expect("blocks have a length");
    let (base, bits): (IpAddr, u32) = (base.parse().unwrap(), bits.parse().unwrap());
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    base.is_ipv4() == address.is_ipv4()
        && (bits == 0 || (number(base) ^ number(address)).leading_zeros() >= bits)
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(case: &'a Value) -> Self {
        let key = |policy: &Value| {
            let metadata = &policy["metadata"];
            (
                text(policy, "kind").to_owned(),
                text(metadata, "namespace").to_owned(),
                text(metadata, "name").to_owned(),
            )
        };
        let policies = list(case, "policies").iter().map(|policy| (key(policy), policy)).collect();
        Self { case, policies }
    }

    fn end(&self, end: &Value) -> End<'a> {
        let nodes = list(self.case, "nodes");
        if let Some(name) = end.as_str() {
            let is_named = |pod: &&Value| format!("{}/{}", text(pod, "namespace"), text(pod, "name")) == name;
            let pod = list(self.case, "pods").iter().find(is_named).expect("the pod is there");
            let address = text(pod, "ip").parse().unwrap();
            if pod["hostNetwork"] == true {
                let node = nodes.iter().find(|node| text(node, "name") == text(pod, "node"));
                return End { pod: None, node, address };
            }
            return End { pod: Some(pod), node: None, address };
        }
        let address: IpAddr = text(end, "ip").parse().unwrap();
        let node = nodes.iter().find(|node| text(node, "ip") == address.to_string());
        End { pod: None, node, address }
    }

    fn namespace_labels(&self, name: &str) -> &'a Value {
        let namespaces = list(self.case, "namespaces");
        namespaces
            .iter()
            .find(|namespace| text(namespace, "name") == name)
            .map_or(&Value::Null, |found| &found["labels"])
    }

    /// What is said of one direction; none where the API says nothing.
    pub(crate) fn judge(&self, probe: &Value, direction: &str) -> Option<&'static str> {
        let (client, server) = (self.end(&probe["from"]), self.end(&probe["to"]));
        let (subject, peer) = if direction == "egress" { (&client, &server) } else { (&server, &client) };
        let Some(pod) = subject.pod else { return Some("not-covered") };
        if let Some(node) = peer.node {
            if text(node, "name") == text(pod, "node") {
                return Some("exempt");
            }
            if direction == "ingress" {
                return None;
            }
        }
        if let Some(verdict) = self.admin_tier("Admin", direction, pod, peer, &server, probe) {
            return Some(verdict);
        }
        let isolating: Vec<_> =
            self.policies.values().filter(|policy| isolates(policy, pod, direction)).collect();
        if !isolating.is_empty() {
            let allows = isolating.iter().any(|policy| {
                let rules = list(&policy["spec"], direction);
                let namespace = text(&policy["metadata"], "namespace");
                rules.iter().any(|rule| self.rule_allows(rule, namespace, direction, peer, &server, probe))
            });
            let is_defined = matches!(text(probe, "proto"), "TCP" | "UDP" | "SCTP");
            return Some(match (allows, is_defined) {
                (true, _) => "allow",
                (false, true) => "deny-default",
                (false, false) => "unknown",
            });
        }
        Some(self.admin_tier("Baseline", direction, pod, peer, &server, probe).unwrap_or("not-covered"))
    }

    fn rule_allows(
        &self,
        rule: &Value,
        namespace: &str,
        direction: &str,
        peer: &End<'_>,
        server: &End<'_>,
        probe: &Value,
    ) -> bool {
        let peers = list(rule, if direction == "ingress" { "from" } else { "to" });
        let peer_fits = peers.is_empty()
            || peers.iter().any(|entry| {
                if let Some(block) = entry.get("ipBlock") {
                    return has(text(block, "cidr"), peer.address)
                        && !list(block, "except")
                            .iter()
                            .any(|inner| has(inner.as_str().unwrap(), peer.address));
                }
                let Some(pod) = peer.pod else { return false };
                let in_namespace = entry.get("namespaceSelector").map_or_else(
                    || text(pod, "namespace") == namespace,
                    |selector| selects(selector, self.namespace_labels(text(pod, "namespace"))),
                );
                in_namespace
                    && entry.get("podSelector").is_none_or(|selector| selects(selector, &pod["labels"]))
            });
        let ports = list(rule, "ports");
        let port_fits = ports.is_empty()
            || ports.iter().any(|entry| {
                let protocol = entry["protocol"].as_str().unwrap_or("TCP");
                if protocol != text(probe, "proto") {
                    return false;
                }
                let port = probe["port"].as_u64().unwrap_or_default();
                match &entry["port"] {
                    Value::Null => true,
                    Value::String(name) => named(server, name, port, protocol),
                    first => {
                        let first = first.as_u64().unwrap();
                        (first..=entry["endPort"].as_u64().unwrap_or(first)).contains(&port)
                    }
                }
            });
        peer_fits && port_fits
    }

    /// What the rules of a tier say; none where they leave it to the next.
    fn admin_tier(
        &self,
        tier: &str,
        direction: &str,
        pod: &Value,
        peer: &End<'_>,
        server: &End<'_>,
        probe: &Value,
    ) -> Option<&'static str> {
        let mut policies: Vec<_> = self
            .policies
            .values()
            .filter(|policy| match text(policy, "kind") {
                "AdminNetworkPolicy" => tier == "Admin",
                "BaselineAdminNetworkPolicy" => tier == "Baseline",
                "ClusterNetworkPolicy" => text(&policy["spec"], "tier") == tier,
                _ => false,
            })
            .filter(|policy| self.pods(&policy["spec"]["subject"], pod))
            .collect();
        policies.sort_by_key(|policy| policy["spec"]["priority"].as_u64().unwrap_or_default());
        for rule in policies.iter().flat_map(|policy| list(&policy["spec"], direction)) {
            let peers = list(rule, if direction == "ingress" { "from" } else { "to" });
            let fails_closed = text(rule, "action") != "Accept"
                && text(rule, "action") != "Allow"
                && peers.iter().any(|entry| entry.as_object().is_some_and(serde_json::Map::is_empty));
            let peer_fits = fails_closed || peers.iter().any(|entry| self.admin_peer(entry, peer));
            if !peer_fits || !admin_port(rule, server, probe) {
                continue;
            }
            return match text(rule, "action") {
                _ if fails_closed => Some("deny-rule"),
                "Allow" | "Accept" => Some("allow"),
                "Deny" => Some("deny-rule"),
                _ => None,
            };
        }
        None
    }

    /// `namespaces` or `pods` of an admin policy.
    fn pods(&self, source: &Value, pod: &Value) -> bool {
        let labels = self.namespace_labels(text(pod, "namespace"));
        match (source.get("namespaces"), source.get("pods")) {
            (Some(selector), _) => selects(selector, labels),
            (_, Some(both)) => {
                selects(&both["namespaceSelector"], labels) && selects(&both["podSelector"], &pod["labels"])
            }
            _ => false,
        }
    }

    fn admin_peer(&self, entry: &Value, peer: &End<'_>) -> bool {
        if let Some(selector) = entry.get("nodes") {
            return peer.node.is_some_and(|node| selects(selector, &node["labels"]));
        }
        if entry.get("networks").is_some() {
            return list(entry, "networks").iter().any(|block| has(block.as_str().unwrap(), peer.address));
        }
        if entry.get("domainNames").is_some() {
            let is_outside = peer.pod.is_none() && peer.node.is_none();
            let names = list(&self.case["names"], &peer.address.to_string());
            return is_outside
                && list(entry, "domainNames").iter().filter_map(Value::as_str).any(|wanted| {
                    names.iter().filter_map(Value::as_str).any(|name| match wanted.strip_prefix('*') {
                        Some(below) => name.len() > below.len() && name.ends_with(below),
                        None => name == wanted,
                    })
                });
        }
        peer.pod.is_some_and(|pod| self.pods(entry, pod))
    }
}

fn isolates(policy: &Value, pod: &Value, direction: &str) -> bool {
    let spec = &policy["spec"];
    let types = list(spec, "policyTypes");
    let is_listed = match (types, direction) {
        ([], "ingress") => true,
        ([], _) => !list(spec, "egress").is_empty(),
        (types, "ingress") => types.iter().any(|way| way == "Ingress"),
        (types, _) => types.iter().any(|way| way == "Egress"),
    };
    text(policy, "kind") == "NetworkPolicy"
        && is_listed
        && text(&policy["metadata"], "namespace") == text(pod, "namespace")
        && selects(&spec["podSelector"], &pod["labels"])
}

fn named(server: &End<'_>, name: &str, port: u64, protocol: &str) -> bool {
    server.pod.is_some_and(|pod| {
        list(pod, "ports").iter().any(|container| {
            text(container, "name") == name
                && container["port"].as_u64() == Some(port)
                && text(container, "protocol") == protocol
        })
    })
}

fn admin_port(rule: &Value, server: &End<'_>, probe: &Value) -> bool {
    let (protocol, port) = (text(probe, "proto"), probe["port"].as_u64().unwrap_or_default());
    let in_range =
        |range: &Value| (range["start"].as_u64().unwrap()..=range["end"].as_u64().unwrap()).contains(&port);
    let (ports, protocols) = (list(rule, "ports"), list(rule, "protocols"));
    (ports.is_empty() && protocols.is_empty())
        || ports.iter().any(|entry| {
            if let Some(number) = entry.get("portNumber") {
                return text(number, "protocol") == protocol && number["port"].as_u64() == Some(port);
            }
            if let Some(range) = entry.get("portRange") {
                return text(range, "protocol") == protocol && in_range(range);
            }
            named(server, text(entry, "namedPort"), port, protocol)
        })
        || protocols.iter().any(|entry| {
            if let Some(name) = entry["destinationNamedPort"].as_str() {
                return named(server, name, port, protocol);
            }
            let Some(transport) = entry.get(protocol.to_ascii_lowercase()) else { return false };
            let wanted = &transport["destinationPort"];
            wanted.is_null()
                || wanted["number"].as_u64() == Some(port)
                || wanted.get("range").is_some_and(in_range)
        })
}
