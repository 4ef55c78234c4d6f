//! Random objects of Cilium's kinds, with every field; some are ones that Cilium refuses.

use serde_json::{Value, json};

use super::Random;
use super::selector::{NODE_LABELS, POD_LABELS, SERVICE_LABELS, labels, plain, selector};
use super::world::{BLOCKS, NAMES, NAMESPACES, PORT_NAMES, PORTS, World};

/// One in so many things is as Cilium does not want it.
const WRONG_ONE_IN: usize = 120;

pub(super) fn policy(random: &mut Random, _world: &World, name: &str, is_clusterwide: bool) -> Value {
    let mut object = json!({
        "apiVersion": "cilium.io/v2",
        "kind": if is_clusterwide { "CiliumClusterwideNetworkPolicy" } else { "CiliumNetworkPolicy" },
        "metadata": {"name": name},
    });
    if !is_clusterwide {
        object["metadata"]["namespace"] = random.pick(&NAMESPACES).into();
    }
    if random.below(4) > 0 {
        object["spec"] = rule(random, is_clusterwide);
    } else {
        object["specs"] = json!([rule(random, is_clusterwide), rule(random, is_clusterwide)]);
    }
    object
}

/// `CiliumCIDRGroup`, with one of the names that policies name.
pub(super) fn group(random: &mut Random, name: &str) -> Value {
    let name = if name.ends_with(['0', '2', '4']) { "g0" } else { "g1" };
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup",
        "metadata": {"name": name, "labels": labels(random, &SERVICE_LABELS)},
        "spec": {"externalCIDRs": random.some(2, |random| random.pick(&BLOCKS[1..]))},
    })
}

/// Security groups of a cloud, with the labels by which Cilium's operator passes on what is in them.
const EXTERNAL: [(&str, &str); 2] = [
    ("sg-1", "extgrp.cilium.io/zbNb9W6aenSjAJK8RoTgcPT5ygDqKmqJKoQb4w"),
    ("sg-2", "extgrp.cilium.io/5NdP7GWU99k-7AqHpXZmyYeC9FtVBVTVhT_hbA"),
];

/// What the operator has found of them.
pub(super) fn external_groups(random: &mut Random) -> Vec<Value> {
    let group = |(name, label): &(&str, &str)| {
        json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup",
            "metadata": {"name": name, "labels": {*label: ""}},
            "spec": {"externalCIDRs": random.some(2, |random| random.pick(&BLOCKS[1..]))},
        })
    };
    EXTERNAL.iter().map(group).collect()
}

fn rule(random: &mut Random, is_clusterwide: bool) -> Value {
    let mut rule = json!({});
    let of_nodes = random.one_in(if is_clusterwide { 4 } else { WRONG_ONE_IN });
    if of_nodes {
        rule["nodeSelector"] = nodes(random);
    } else if !random.one_in(WRONG_ONE_IN) {
        rule["endpointSelector"] = endpoints(random, is_clusterwide);
    }
    let (lists, mut any) = (["ingress", "ingressDeny", "egress", "egressDeny"], false);
    for list in lists {
        if random.one_in(3) {
            let elements = random.some(3, |random| element(random, list, is_clusterwide));
            any |= !elements.is_empty();
            rule[list] = elements.into();
        }
    }
    if !any && !random.one_in(WRONG_ONE_IN / 10) {
        let list = random.pick(&lists);
        rule[list] = json!([element(random, list, is_clusterwide)]);
    }
    if random.one_in(4) {
        let mut switches = json!({});
        for direction in ["ingress", "egress"] {
            if random.one_in(2) {
                switches[direction] = random.one_in(3).into();
            }
        }
        rule["enableDefaultDeny"] = switches;
    }
    rule
}

/// Selectors of nodes, as the subjects of policies.
fn nodes(random: &mut Random) -> Value {
    if random.one_in(10) {
        return json!({"matchLabels": {random.pick(&["reserved:host", "host", "reserved:remote-node"]): ""}});
    }
    selector(random, &NODE_LABELS, &mut |random| {
        random.pick(&["", "", "", "k8s:", "any:", "node:"]).to_owned()
    })
}

/// Selectors with Cilium's prefixes, of pods and of everything else.
fn endpoints(random: &mut Random, is_clusterwide: bool) -> Value {
    let reserved: [(&str, &[&str]); 8] = [
        ("reserved:host", &[""]),
        ("reserved:remote-node", &[""]),
        ("reserved:world", &[""]),
        ("reserved:world-ipv4", &[""]),
        ("reserved:kube-apiserver", &[""]),
        ("reserved:init", &[""]),
        ("host", &[""]),
        ("any:remote-node", &[""]),
    ];
    let special: [(&str, &[&str]); 9] = [
        ("k8s:io.kubernetes.pod.namespace", &["a", "b", "c"]),
        ("io.kubernetes.pod.namespace", &["a", "b"]),
        ("any:io.kubernetes.pod.namespace", &["a", "b"]),
        ("k8s:io.cilium.k8s.namespace.labels.env", &["prod", "dev"]),
        ("io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name", &["a", "b"]),
        ("io.cilium.k8s.policy.cluster", &["default", "other"]),
        ("k8s:io.cilium.k8s.policy.serviceaccount", &["default", "robot"]),
        ("io.cilium.k8s.policy.serviceaccount", &["robot"]),
        ("cidr:198.51.100.0/24", &[""]),
    ];
    let wrong: [(&str, &[&str]); 3] = [("$host", &[""]), ("k8s:a:b", &["x"]), ("app", &["not a value"])];
    match random.below(8) {
        0 => return plain(random, &special),
        1 if is_clusterwide || random.one_in(3) => return plain(random, &reserved),
        2 if random.one_in(WRONG_ONE_IN / 10) => return plain(random, &wrong),
        3 => {
            let mut both = plain(random, &POD_LABELS);
            let (key, values) = random.pick(&special);
            both["matchLabels"][key] = random.pick(values).into();
            return both;
        }
        _ => {}
    }
    selector(random, &POD_LABELS, &mut |random| random.pick(&["", "", "k8s:", "any:", "other:"]).to_owned())
}

fn element(random: &mut Random, list: &str, is_clusterwide: bool) -> Value {
    let mut element = json!({});
    let is_ingress = list.starts_with("ingress");
    let denies = list.ends_with("Deny");
    let kinds = if random.one_in(WRONG_ONE_IN / 4) { 2 } else { usize::from(random.below(6) > 0) };
    for _ in 0..kinds {
        peers(random, &mut element, is_ingress, denies, is_clusterwide);
    }
    match random.below(12) {
        0..=4 => {}
        5 => element["icmps"] = json!(random.some(2, icmp)),
        6 if random.one_in(WRONG_ONE_IN / 10) => {
            element["icmps"] = json!([icmp(random)]);
            element["toPorts"] = json!([ports(random, is_ingress, denies)]);
        }
        _ => element["toPorts"] = json!(random.some(2, |random| ports(random, is_ingress, denies))),
    }
    if !denies && random.one_in(12) {
        element["authentication"] = json!({"mode": random.pick(&["disabled", "required"])});
    }
    element
}

fn peers(random: &mut Random, element: &mut Value, is_ingress: bool, denies: bool, is_clusterwide: bool) {
    let way = |ingress: &'static str, egress: &'static str| if is_ingress { ingress } else { egress };
    if random.one_in(12) {
        element[way("fromGroups", "toGroups")] = json!(random.some(2, |random| {
            let (name, _) = random.pick(&EXTERNAL);
            json!({"aws": {"securityGroupsIds": [name]}})
        }));
        return;
    }
    match random.below(if is_ingress { 9 } else { 12 }) {
        0..=2 => {
            let field = way("fromEndpoints", "toEndpoints");
            element[field] = json!(random.some(2, |random| endpoints(random, is_clusterwide)));
        }
        3..=4 => element[way("fromEntities", "toEntities")] = json!(random.some(2, entity)),
        5..=6 => element[way("fromCIDR", "toCIDR")] = json!(random.some(2, cidr)),
        7 => element[way("fromCIDRSet", "toCIDRSet")] = json!(random.some(2, cidr_rule)),
        8 if random.one_in(4) => {
            element[way("fromNodes", "toNodes")] =
                json!(random.some(1, |random| plain(random, &NODE_LABELS)));
        }
        9 => element["toServices"] = json!(random.some(2, service)),
        10 if !denies => element["toFQDNs"] = json!(random.some(2, host_name)),
        _ => {
            let field = way("fromEndpoints", "toEndpoints");
            element[field] = json!([{}]);
        }
    }
}

fn entity(random: &mut Random) -> Value {
    if random.one_in(WRONG_ONE_IN) {
        return "everyone".into();
    }
    random
        .pick(&[
            "all",
            "world",
            "world-ipv4",
            "world-ipv6",
            "host",
            "remote-node",
            "kube-apiserver",
            "cluster",
            "cluster-mesh",
            "init",
            "ingress",
            "health",
            "unmanaged",
            "none",
        ])
        .into()
}

fn cidr(random: &mut Random) -> Value {
    if random.one_in(WRONG_ONE_IN) {
        return random.pick(&["", "10.0.0.0/33", "a/8", "10.0.0.0/08", "010.0.0.1"]).into();
    }
    if random.one_in(6) {
        return random
            .pick(&["198.51.100.4", "2001:db8::1", "198.51.100.77/24", "::ffff:198.51.100.0/120"])
            .into();
    }
    random.pick(&BLOCKS).into()
}

fn cidr_rule(random: &mut Random) -> Value {
    if random.one_in(WRONG_ONE_IN) {
        return random
            .pick(&[
                r#"{}"#,
                r#"{"cidr": "198.51.100.4"}"#,
                r#"{"cidr": "10.0.0.0/8", "cidrGroupRef": "g0"}"#,
                r#"{"cidr": "10.0.0.0/8", "except": ["192.0.2.0/24"]}"#,
                r#"{"cidr": "10.0.0.0/8", "except": ["10.0.0.1"]}"#,
            ])
            .parse()
            .unwrap_or_default();
    }
    match random.below(6) {
        0 => json!({"cidr": "198.51.100.0/24", "except": ["198.51.100.0/28"]}),
        1 => json!({"cidr": "198.51.100.0/24", "except": ["198.51.100.0/24"]}),
        2 => json!({"cidrGroupRef": random.pick(&["g0", "g1", "g2"])}),
        3 => json!({"cidrGroupRef": "g1", "except": [random.pick(&BLOCKS[1..])]}),
        // Never the empty one: Cilium keeps it under the key of everyone, and what a rule about everyone then means turns on
        // which of the two was there first.
        4 => match plain(random, &SERVICE_LABELS) {
            Value::Object(empty) if empty.is_empty() => json!({"cidrGroupRef": "g0"}),
            selector => json!({ "cidrGroupSelector": selector }),
        },
        _ => json!({"cidr": random.pick(&BLOCKS)}),
    }
}

fn service(random: &mut Random) -> Value {
    let mut service = if random.one_in(2) {
        json!({"k8sService": {"serviceName": random.pick(&["s0", "s1", "s9"])}})
    } else {
        json!({"k8sServiceSelector": {"selector": plain(random, &SERVICE_LABELS)}})
    };
    if random.one_in(2) {
        for field in ["k8sService", "k8sServiceSelector"] {
            if service.get(field).is_some() {
                service[field]["namespace"] = random.pick(&NAMESPACES).into();
            }
        }
    }
    service
}

fn host_name(random: &mut Random) -> Value {
    if random.one_in(WRONG_ONE_IN) {
        return random
            .pick(&[
                r#"{"matchName": "a b"}"#,
                r#"{"matchName": "a", "matchPattern": "b"}"#,
                r#"{"matchPattern": "a/b"}"#,
            ])
            .parse()
            .unwrap_or_default();
    }
    if random.one_in(2) {
        return json!({"matchName": random.pick(&NAMES)});
    }
    json!({"matchPattern": random.pick(&["*", "*.example.com", "**.example.com", "*example*", "w*.example.com.", "CDN.*.org"])})
}

fn ports(random: &mut Random, is_ingress: bool, denies: bool) -> Value {
    let mut rule = json!({});
    if !random.one_in(10) {
        rule["ports"] = json!(random.some(3, port));
    }
    if denies || !random.one_in(6) {
        return rule;
    }
    match random.below(4) {
        0 => rule["serverNames"] = json!([random.pick(&["example.com", "*.example.com"])]),
        1 if !is_ingress || random.one_in(WRONG_ONE_IN / 20) => {
            rule["ports"] = json!([{"port": "53", "protocol": random.pick(&["UDP", "ANY", "TCP"])}]);
            rule["rules"] = json!({"dns": [host_name(random)]});
        }
        2 => {
            rule["rules"] = json!({"http": [{"method": "GET", "path": "/.*"}]});
            rule["ports"] = json!([{"port": random.pick(&["80", "8080", "http"]), "protocol": "TCP"}]);
        }
        _ if random.one_in(4) => rule["rules"] = json!({"http": [{"method": "GET"}]}),
        _ => rule["rules"] = json!({}),
    }
    rule
}

fn port(random: &mut Random) -> Value {
    let mut port = match random.below(8) {
        0 => json!({"port": random.pick(&PORT_NAMES)}),
        1 => json!({"port": "0"}),
        2 => json!({"port": random.pick(&["HTTP", "080", "0120", "1_0", "Dns-Tcp"])}),
        3 => {
            let first = random.pick(&PORTS);
            json!({"port": first.to_string(), "endPort": random.pick(&[0_u16, 60, 90, 8080, 65535])})
        }
        _ => json!({"port": random.pick(&PORTS).to_string()}),
    };
    if random.one_in(WRONG_ONE_IN) {
        port["port"] = random.pick(&["", "70000", "a--b", "-1", "8 0"]).into();
    }
    if random.below(3) > 0 {
        port["protocol"] = random.pick(&["TCP", "UDP", "SCTP", "ANY", "tcp", "TCP", "TCP"]).into();
    }
    if random.one_in(40) {
        port = json!({"port": random.pick(&["0", "80"]), "protocol": random.pick(&["GRE", "VRRP", "ICMP"])});
    }
    port
}

fn icmp(random: &mut Random) -> Value {
    json!({"fields": random.some(2, |random| {
        let mut field = json!({});
        if random.one_in(2) {
            field["family"] = random.pick(&["IPv4", "IPv6", "IPv6"]).into();
        }
        field["type"] = match random.below(5) {
            0 => "EchoRequest".into(),
            1 => random.pick(&["DestinationUnreachable", "TimeExceeded", "8", "Photuris"]).into(),
            2 => 0.into(),
            _ => random.pick(&[3, 8, 128, 1]).into(),
        };
        field
    })})
}
