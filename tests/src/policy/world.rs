//! Random clusters.

use serde_json::{Value, json};

use super::selector::{NAMESPACE_LABELS, NODE_LABELS, POD_LABELS, SERVICE_LABELS, labels};
use super::{Kinds, Random};

pub(super) const NAMESPACES: [&str; 3] = ["a", "b", "c"];
/// Blocks and addresses that policies name.
pub(super) const BLOCKS: [&str; 10] = [
    "0.0.0.0/0",
    "198.51.100.0/24",
    "198.51.100.0/28",
    "198.51.100.4/32",
    "203.0.113.0/25",
    "10.0.0.0/8",
    "172.16.0.0/16",
    "::/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
];
/// Addresses outside, most of them in some of the blocks.
const OUTSIDE: [&str; 8] = [
    "198.51.100.4",
    "198.51.100.20",
    "198.51.100.200",
    "203.0.113.7",
    "203.0.113.200",
    "8.8.8.8",
    "2001:db8::1",
    "2001:db8:1::1",
];
/// Names that addresses outside have.
pub(super) const NAMES: [&str; 5] =
    ["example.com", "www.example.com", "a.b.example.com", "example.org", "cdn.example.org"];
/// Names of ports; the numbers behind them differ between pods.
pub(super) const PORT_NAMES: [&str; 4] = ["http", "metrics", "dns", "dns-tcp"];
/// Numbers of ports.
pub(super) const PORTS: [u16; 8] = [1, 53, 80, 81, 443, 8080, 9090, 65535];
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// A cluster.
#[derive(Debug)]
pub(super) struct World {
    namespaces: Value,
    pods: Vec<Value>,
    nodes: Vec<Value>,
    services: Value,
    names: Value,
    api_server: Value,
    pub(super) options: Value,
    is_cilium: bool,
}

impl World {
    pub(super) fn new(random: &mut Random, kinds: Kinds) -> Self {
        let namespace = |name: &&str| {
            let mut labels = labels(random, &NAMESPACE_LABELS[..2]);
            labels["kubernetes.io/metadata.name"] = (*name).into();
            json!({"name": name, "labels": labels})
        };
        let namespaces = NAMESPACES.iter().map(namespace).collect();
        let mut pods = Vec::new();
        for namespace in NAMESPACES {
            for _ in 0..1 + random.below(2) {
                template(random, namespace, &mut pods);
            }
        }
        let node = |(name, index): (&&str, usize)| json!({"name": name, "ip": format!("172.16.0.{}", index + 1), "labels": labels(random, &NODE_LABELS)});
        let nodes = NODES.iter().zip(0..).map(node).collect();
        let names = OUTSIDE.iter().filter_map(|address| {
            let names = random.some(2, |random| random.pick(&NAMES));
            (!names.is_empty()).then(|| ((*address).to_owned(), json!(names)))
        });
        let names = Value::Object(names.collect());
        let services = random.some(3, service);
        let services = services.into_iter().enumerate().map(|(index, mut service)| {
            service["name"] = format!("s{}", index % 2).into();
            // One name for two of them, in different namespaces.
            service["namespace"] = NAMESPACES[index].into();
            service
        });
        // No pod runs where the API server does, which may also be outside.
        let api_server = random.pick(&[&["172.16.0.3"][..], &["203.0.113.7"], &[]]);
        let flag = |random: &mut Random| random.one_in(3);
        let options = json!({
            "ipv6": flag(random),
            "node_selector_labels": flag(random),
            "extended_protocols": flag(random),
            "deny_localhost": random.one_in(6),
            "host_firewall": flag(random),
        });
        Self {
            namespaces,
            pods,
            nodes,
            services: services.collect(),
            names,
            api_server: json!(api_server),
            options,
            is_cilium: kinds == Kinds::Cilium,
        }
    }

    /// The parts of a case that describe it.
    pub(super) fn fields(self) -> Vec<(&'static str, Value)> {
        let mut fields = vec![
            ("namespaces", self.namespaces),
            ("pods", self.pods.into()),
            ("nodes", self.nodes.into()),
            ("services", self.services),
            ("names", self.names),
            ("api_server", self.api_server),
        ];
        if self.is_cilium {
            fields.push(("options", self.options));
        }
        fields
    }

    /// A connection, or null where both ends are one or policy is about neither.
    pub(super) fn probe(&self, random: &mut Random) -> Value {
        let (from, to) = (self.end(random), self.end(random));
        // Nodes are judged by Cilium alone.
        let is_judged =
            |end: &Value| end.is_string() || (self.is_cilium && !OUTSIDE.iter().any(|ip| end["ip"] == *ip));
        if from == to || (!is_judged(&from) && !is_judged(&to)) {
            return Value::Null;
        }
        let port = random.pick(&PORTS);
        let named = self.pods[random.below(self.pods.len())]["ports"][0]["port"].as_u64();
        let port = if random.one_in(3) { named.unwrap_or(u64::from(port)) } else { u64::from(port) };
        match random.below(10) {
            0 => {
                json!({"from": from, "to": to, "proto": "ICMP", "icmp_type": random.pick(&[3, 8, 11]), "expect": "allow"})
            }
            1 => {
                json!({"from": from, "to": to, "proto": "ICMPv6", "icmp_type": random.pick(&[1, 128]), "expect": "allow"})
            }
            2..=3 => json!({"from": from, "to": to, "proto": "UDP", "port": port, "expect": "allow"}),
            4 => json!({"from": from, "to": to, "proto": "SCTP", "port": port, "expect": "allow"}),
            _ => json!({"from": from, "to": to, "proto": "TCP", "port": port, "expect": "allow"}),
        }
    }

    fn end(&self, random: &mut Random) -> Value {
        match random.below(10) {
            0 => json!({"ip": format!("172.16.0.{}", 1 + random.below(NODES.len()))}),
            1..=3 => json!({"ip": random.pick(&OUTSIDE)}),
            _ => {
                let pod = &self.pods[random.below(self.pods.len())];
                let text = |field: &str| pod[field].as_str().unwrap_or_default().to_owned();
                format!("{}/{}", text("namespace"), text("name")).into()
            }
        }
    }
}

/// One or two pods that are alike.
fn template(random: &mut Random, namespace: &str, pods: &mut Vec<Value>) {
    let labels = labels(random, &POD_LABELS);
    let mut ports = Vec::new();
    for name in PORT_NAMES {
        if random.one_in(2) {
            let protocol = random.pick(&["TCP", "TCP", "UDP"]);
            ports.push(json!({"name": name, "port": random.pick(&PORTS), "protocol": protocol}));
        }
    }
    let account = random.pick(&["default", "robot"]);
    let is_host = random.one_in(10);
    for _ in 0..1 + random.below(2) {
        let number = pods.len() + 1;
        let node = random.below(2);
        let ip = if is_host { format!("172.16.0.{}", node + 1) } else { format!("10.0.0.{number}") };
        pods.push(json!({
            "namespace": namespace, "name": format!("pod{number}"), "ip": ip, "labels": labels, "ports": ports,
            "hostNetwork": is_host, "serviceAccount": account, "node": NODES[node],
        }));
    }
}

fn service(random: &mut Random) -> Value {
    let mut service = json!({"labels": labels(random, &SERVICE_LABELS)});
    if random.one_in(2) {
        let (key, values) = random.pick(&POD_LABELS[..3]);
        service["selector"] = json!({ key: random.pick(values) });
    }
    service["backends"] = json!(random.some(2, |random| random.pick(&OUTSIDE)));
    service
}
