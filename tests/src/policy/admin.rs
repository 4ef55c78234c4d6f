//! Random policies of cluster administrators.

use serde_json::{Value, json};

use super::selector::{NAMESPACE_LABELS, NODE_LABELS, POD_LABELS, plain};
use super::world::{BLOCKS, NAMES, PORT_NAMES, PORTS, World};
use super::{Kinds, Random};

/// Few priorities, so that some are equal.
const PRIORITIES: usize = 4;

/// `ClusterNetworkPolicy`.
pub(super) fn cluster_policy(random: &mut Random, _world: &World, name: &str, kinds: Kinds) -> Value {
    let mut spec = json!({
        "tier": random.pick(&["Admin", "Admin", "Baseline"]),
        "priority": priority(random, name, kinds),
        "subject": pods(random),
    });
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        spec[list] = json!(random.some(3, |random| {
            let action = random.pick(&["Accept", "Deny", "Pass"]);
            let mut rule = json!({"action": action});
            let entries: Vec<_> = (0..1 + random.below(2)).map(|_| peer(random, list, action)).collect();
            let has_names =
                entries.iter().all(|peer: &Value| peer.get("nodes").or(peer.get("networks")).is_none());
            rule[peers] = entries.into();
            if random.one_in(2) {
                rule["protocols"] = json!([protocol(random, has_names)]);
            }
            rule
        }));
    }
    json!({
        "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name}, "spec": spec,
    })
}

/// By the API which of two policies of one priority counts is undefined, so there each has its own.
fn priority(random: &mut Random, name: &str, kinds: Kinds) -> usize {
    let own: usize = name.trim_start_matches('p').parse().unwrap_or_default();
    match kinds {
        Kinds::Cilium => random.below(PRIORITIES),
        // The baseline policy of v1alpha1 has none and comes first.
        Kinds::Kubernetes => 1 + (own * 7) % 10,
    }
}

/// `AdminNetworkPolicy`, or `BaselineAdminNetworkPolicy` of which there is one.
pub(super) fn admin_policy(random: &mut Random, _world: &World, name: &str) -> Value {
    let is_baseline = random.one_in(3);
    let mut spec = json!({"subject": pods(random)});
    if !is_baseline {
        spec["priority"] = priority(random, name, Kinds::Kubernetes).into();
    }
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        spec[list] = json!(random.some(3, |random| {
            let action = random.pick(&["Allow", "Deny", if is_baseline { "Deny" } else { "Pass" }]);
            let mut rule = json!({"action": action});
            let entries: Vec<_> = (0..1 + random.below(2)).map(|_| peer(random, list, action)).collect();
            let has_names =
                entries.iter().all(|peer: &Value| peer.get("nodes").or(peer.get("networks")).is_none());
            rule[peers] = entries.into();
            if random.one_in(2) {
                rule["ports"] = json!([port(random, has_names)]);
            }
            rule
        }));
    }
    let (kind, name) =
        if is_baseline { ("BaselineAdminNetworkPolicy", "default") } else { ("AdminNetworkPolicy", name) };
    json!({
        "apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec,
    })
}

fn pods(random: &mut Random) -> Value {
    if random.one_in(2) {
        return json!({"namespaces": plain(random, &NAMESPACE_LABELS)});
    }
    json!({"pods": {
        "namespaceSelector": plain(random, &NAMESPACE_LABELS),
        "podSelector": plain(random, &POD_LABELS),
    }})
}

fn peer(random: &mut Random, list: &str, action: &str) -> Value {
    let names_hosts = matches!(action, "Allow" | "Accept");
    match random.below(if list == "egress" { 8 } else { 4 }) {
        4 => json!({"nodes": plain(random, &NODE_LABELS)}),
        5 | 6 => json!({"networks": [random.pick(&BLOCKS), random.pick(&BLOCKS)]}),
        7 if names_hosts => {
            let name = random.pick(&NAMES);
            let below = format!("*.{name}");
            json!({"domainNames": [if random.one_in(2) { name } else { &below }]})
        }
        3 if random.one_in(4) => json!({}),
        _ => pods(random),
    }
}

fn protocol(random: &mut Random, has_names: bool) -> Value {
    let transport = random.pick(&["tcp", "udp", "sctp"]);
    match random.below(4) {
        0 if has_names => json!({"destinationNamedPort": random.pick(&PORT_NAMES)}),
        1 => json!({ transport: {} }),
        2 => {
            json!({ transport: {"destinationPort": {"range": {"start": 50, "end": random.pick(&[60, 8080])}}} })
        }
        _ => json!({ transport: {"destinationPort": {"number": random.pick(&PORTS)}} }),
    }
}

fn port(random: &mut Random, has_names: bool) -> Value {
    let protocol = random.pick(&["TCP", "UDP", "SCTP"]);
    match random.below(3) {
        0 if has_names => json!({"namedPort": random.pick(&PORT_NAMES)}),
        1 => json!({"portRange": {"protocol": protocol, "start": 50, "end": random.pick(&[60, 8080])}}),
        _ => json!({"portNumber": {"protocol": protocol, "port": random.pick(&PORTS)}}),
    }
}
