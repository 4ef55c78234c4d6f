use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Dialect, Labels, Outcome, Peer, Protocol, Verdict};

use crate::{CiliumOptions, Connection, Endpoint, Explanation, Policy, PolicySet, World, parse_object};

/// Reads a namespaced policy with this spec; why it is refused, or nothing.
#[track_caller]
fn check(spec: &str, expected: &str) {
    check_kind("CiliumNetworkPolicy", spec, expected);
}

#[track_caller]
fn check_kind(kind: &str, spec: &str, expected: &str) {
    let json = format!(
        r#"{{"apiVersion": "cilium.io/v2", "kind": "{kind}", "metadata": {{"name": "p", "namespace": "a"}}, "spec": {spec}}}"#
    );
    let object = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let found = parse_object(object).err().unwrap_or_default();
    assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{json}: {found}");
}

#[track_caller]
fn ingress(element: &str, expected: &str) {
    check(&format!(r#"{{"endpointSelector": {{}}, "ingress": [{element}]}}"#), expected);
}

#[track_caller]
fn egress(element: &str, expected: &str) {
    check(&format!(r#"{{"endpointSelector": {{}}, "egress": [{element}]}}"#), expected);
}

#[test]
fn what_cilium_refuses_of_a_rule() {
    check(r#"{"ingress": [{}]}"#, "spec: expected endpointSelector or nodeSelector");
    check(
        r#"{"endpointSelector": {}, "nodeSelector": {}, "ingress": [{}]}"#,
        "spec: endpointSelector must not be combined",
    );
    check(r#"{"nodeSelector": {}, "ingress": [{}]}"#, "spec.nodeSelector: only clusterwide policies");
    check_kind("CiliumClusterwideNetworkPolicy", r#"{"nodeSelector": {}, "ingress": [{}]}"#, "");
    check(r#"{"endpointSelector": {}}"#, "spec: expected an entry in ingress");
    check(r#"{"endpointSelector": {}, "ingress": []}"#, "spec: expected an entry in ingress");
    check(r#"{"endpointSelector": {}, "ingress": [{}], "other": 1}"#, "spec.other: unknown field");
    check(
        r#"{"endpointSelector": {"matchLabels": {"$host": ""}}, "ingress": [{}]}"#,
        "spec.endpointSelector: expected a label key",
    );
    check("null", "spec: expected spec or specs");
}

#[test]
fn what_cilium_refuses_of_peers() {
    ingress(
        r#"{"fromEndpoints": [{}], "fromCIDR": ["10.0.0.0/8"]}"#,
        "spec.ingress[0]: fromEndpoints must not be combined with fromCIDR",
    );
    ingress(r#"{"fromEndpoints": [], "fromCIDR": ["10.0.0.0/8"]}"#, "");
    ingress(r#"{"fromEntities": ["everyone"]}"#, "spec.ingress[0].fromEntities[0]: unknown entity");
    ingress(r#"{"fromCIDR": ["10.0.0.0/33"]}"#, "spec.ingress[0].fromCIDR[0]: expected address");
    ingress(
        r#"{"fromCIDRSet": [{"cidr": "10.0.0.1"}]}"#,
        "spec.ingress[0].fromCIDRSet[0].cidr: expected address",
    );
    ingress(
        r#"{"fromCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["192.0.2.0/24"]}]}"#,
        "spec.ingress[0].fromCIDRSet[0].except[0]: 192.0.2.0/24 does not lie inside",
    );
    ingress(
        r#"{"fromCIDRSet": [{"cidr": "10.0.0.0/8", "cidrGroupRef": "g"}]}"#,
        "spec.ingress[0].fromCIDRSet[0]: expected one of",
    );
    ingress(r#"{"fromRequires": [{}]}"#, "spec.ingress[0].fromRequires: no longer served");
    ingress(r#"{"toEndpoints": [{}]}"#, "spec.ingress[0].toEndpoints: unknown field in this list");
    egress(
        r#"{"toFQDNs": [{"matchName": "a", "matchPattern": "b"}]}"#,
        "spec.egress[0].toFQDNs[0]: matchName must not",
    );
    egress(
        r#"{"toFQDNs": [{"matchPattern": "a/b"}]}"#,
        "spec.egress[0].toFQDNs[0].matchPattern: expected letters",
    );
    check(
        r#"{"endpointSelector": {}, "egressDeny": [{"toFQDNs": [{"matchName": "a"}]}]}"#,
        "spec.egressDeny[0].toFQDNs: unknown field in this list",
    );
}

#[test]
fn what_cilium_refuses_of_ports() {
    let many = vec![r#"{"port": "1"}"#; 41].join(",");
    ingress(
        &format!(r#"{{"toPorts": [{{"ports": [{many}]}}]}}"#),
        "spec.ingress[0].toPorts[0].ports: expected at most 40",
    );
    for (port, expected) in [
        (r#"{"port": "70000"}"#, ".port: expected a port number or name"),
        (r#"{"port": "a--b"}"#, ".port: expected a port number or name"),
        (r#"{"port": "80", "protocol": "ICMP"}"#, ".protocol: unknown protocol"),
        (r#"{"port": "80", "protocol": "GRE"}"#, ".port: the protocol has no ports"),
        (r#"{"port": "80", "endPort": 70000}"#, ".endPort: expected a port up to 65535"),
    ] {
        let expected = format!("spec.ingress[0].toPorts[0].ports[0]{expected}");
        ingress(&format!(r#"{{"toPorts": [{{"ports": [{port}]}}]}}"#), &expected);
    }
    ingress(r#"{"icmps": [{}], "toPorts": [{}]}"#, "spec.ingress[0].icmps: must not be combined");
    ingress(
        r#"{"icmps": [{"fields": [{"type": 256}]}]}"#,
        "spec.ingress[0].icmps[0].fields[0].type: expected",
    );
    ingress(
        r#"{"icmps": [{"fields": [{"type": "Nothing"}]}]}"#,
        "spec.ingress[0].icmps[0].fields[0].type: expected",
    );
    let dns = r#"{"dns": [{"matchPattern": "*"}]}"#;
    let http = r#"{"http": [{"path": "/"}]}"#;
    for (rule, ingress_too) in [
        (format!(r#"{{"ports": [{{"port": "53", "protocol": "UDP"}}], "rules": {dns}}}"#), false),
        (format!(r#"{{"ports": [{{"port": "80", "protocol": "TCP"}}], "rules": {http}}}"#), true),
    ] {
        egress(&format!(r#"{{"toPorts": [{rule}]}}"#), "");
        let expected =
            if ingress_too { "" } else { "spec.ingress[0].toPorts[0].rules: dns is not supported" };
        ingress(&format!(r#"{{"toPorts": [{rule}]}}"#), expected);
    }
    for rule in [
        format!(r#"{{"ports": [{{"port": "80", "protocol": "UDP"}}], "rules": {http}}}"#),
        format!(r#"{{"ports": [{{"port": "80"}}], "rules": {http}}}"#),
        format!(r#"{{"ports": [{{"port": "0", "protocol": "TCP"}}], "rules": {http}}}"#),
        format!(r#"{{"ports": [{{"port": "53", "endPort": 54}}], "rules": {dns}}}"#),
        format!(r#"{{"rules": {dns}}}"#),
    ] {
        egress(&format!(r#"{{"toPorts": [{rule}]}}"#), "spec.egress[0].toPorts[0].rules: ");
    }
    ingress(r#"{"toPorts": [{"serverNames": [""]}]}"#, "spec.ingress[0].toPorts[0].serverNames: empty");
}

#[test]
fn hostile_objects_are_read_in_time() {
    let blocks: Vec<_> = (0..20_000).map(|n| format!(r#""10.{}.{}.0/24""#, n / 250, n % 250)).collect();
    ingress(&format!(r#"{{"fromCIDR": [{}]}}"#, blocks.join(",")), "");
    let ports = vec![r#"{"ports": [{"port": "1"}]}"#; 10_000].join(",");
    ingress(&format!(r#"{{"toPorts": [{ports}]}}"#), "");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let text =
        format!("apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: p}}\nspec: {deep}\n");
    assert_eq!(crate::parse_documents("deep", &text).policies.len(), 0);
}

struct Node(Labels);

impl World for Node {
    fn namespace_labels(&self, _namespace: &str) -> Option<&Labels> {
        None
    }

    fn node_labels(&self, _node: &str) -> Option<&Labels> {
        Some(&self.0)
    }
}

fn clusterwide(spec: &str) -> Arc<Policy> {
    let json = format!(
        r#"{{"apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy", "metadata": {{"name": "p"}},
        "spec": {spec}}}"#
    );
    parse_object(serde_json::from_str(&json).unwrap()).unwrap().unwrap()
}

/// From outside to a node, by one policy.
fn to_a_node(set: &PolicySet) -> Explanation {
    let node = Peer::Node { name: "n".into() };
    let connection = Connection {
        protocol: Protocol::Tcp,
        client: Endpoint { peer: &Peer::World, ip: IpAddr::from([198, 51, 100, 7]) },
        server: Endpoint { peer: &node, ip: IpAddr::from([172, 20, 0, 1]) },
        server_port: 22,
        icmp_type: None,
        direction_guessed: false,
    };
    set.explain(&Node(Labels::from([("role".to_owned(), "worker".to_owned())])), &connection)
}

#[test]
fn policies_of_nodes_wait_for_the_host_firewall() {
    let policies =
        || [clusterwide(r#"{"nodeSelector": {"matchLabels": {"role": "worker"}}, "ingress": [{}]}"#)];
    let set = PolicySet::new(Dialect::Cilium, policies());
    let idle: Vec<_> =
        set.idle().map(|(policy, reason)| format!("{}: {reason}", policy.reference())).collect();
    assert_eq!(
        idle,
        ["CiliumClusterwideNetworkPolicy/p: selects nodes, which are judged with enable-host-firewall alone"]
    );
    let explanation = to_a_node(&set);
    assert_eq!((explanation.verdict.outcome, explanation.ingress.len()), (Outcome::NotCovered, 0));

    let options = CiliumOptions { host_firewall: true, ..CiliumOptions::default() };
    let set = PolicySet::with_options(Dialect::Cilium, options, policies());
    assert_eq!(set.idle().count(), 0);
    let explanation = to_a_node(&set);
    assert_eq!((explanation.verdict.outcome, explanation.ingress.len()), (Outcome::Denied, 1));
}

#[test]
fn a_group_that_the_operator_has_not_found_yet_is_not_known() {
    let options = CiliumOptions { host_firewall: true, ..CiliumOptions::default() };
    let policy =
        clusterwide(r#"{"nodeSelector": {}, "ingress": [{"fromGroups": [{"aws": {"region": "r"}}]}]}"#);
    let set = PolicySet::with_options(Dialect::Cilium, options, [policy]);
    let Verdict { outcome, .. } = to_a_node(&set).verdict;
    assert_eq!(outcome, Outcome::Unknown);
}
