//! Random `NetworkPolicy` objects. All of them are ones that the API server takes.

use serde_json::{Value, json};

use super::Random;
use super::selector::{NAMESPACE_LABELS, POD_LABELS, plain};
use super::world::{BLOCKS, NAMESPACES, PORT_NAMES, PORTS, World};

pub(super) fn policy(random: &mut Random, _world: &World, name: &str) -> Value {
    let mut spec = json!({"podSelector": plain(random, &POD_LABELS)});
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        if random.below(3) > 0 {
            spec[list] = json!(random.some(2, |random| rule(random, peers)));
        }
    }
    match random.below(5) {
        0 => spec["policyTypes"] = json!(["Ingress"]),
        1 => spec["policyTypes"] = json!(["Egress"]),
        2 => spec["policyTypes"] = json!(["Ingress", "Egress"]),
        _ => {}
    }
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": random.pick(&NAMESPACES)}, "spec": spec,
    })
}

fn rule(random: &mut Random, peers: &str) -> Value {
    let mut rule = json!({});
    if random.below(4) > 0 {
        rule[peers] = json!(random.some(2, peer));
    }
    if random.one_in(2) {
        rule["ports"] = json!(random.some(2, port));
    }
    rule
}

fn peer(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!({"ipBlock": block(random)}),
        1 => json!({"podSelector": plain(random, &POD_LABELS)}),
        2 => json!({"namespaceSelector": plain(random, &NAMESPACE_LABELS)}),
        _ => json!({
            "podSelector": plain(random, &POD_LABELS),
            "namespaceSelector": plain(random, &NAMESPACE_LABELS),
        }),
    }
}

fn block(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!({"cidr": "198.51.100.0/24", "except": ["198.51.100.0/28"]}),
        1 => json!({"cidr": "10.0.0.0/8", "except": ["10.0.0.4/30"]}),
        _ => json!({"cidr": random.pick(&BLOCKS)}),
    }
}

fn port(random: &mut Random) -> Value {
    let mut port = json!({});
    if random.one_in(2) {
        port["protocol"] = random.pick(&["TCP", "UDP", "SCTP"]).into();
    }
    match random.below(4) {
        0 => port["port"] = random.pick(&PORT_NAMES).into(),
        1 => {
            let first = random.pick(&PORTS);
            port["port"] = first.into();
            port["endPort"] = first.saturating_add(random.below(400) as u16).into();
        }
        2 => port["port"] = random.pick(&PORTS).into(),
        _ => {}
    }
    port
}
