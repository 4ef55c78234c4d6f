//! Random clusters and flows: the suggestion denies none of them, and does not allow what was not seen.

use std::sync::Arc;

use serde_json::json;
use watchfire_model::{Dialect, Outcome, Peer, Protocol, WallTime};
use watchfire_policy::parse_documents;

use super::super::flows::{Flows, Seen};
use super::super::groups::Group;
use super::super::pairs::pairs;
use super::super::state::{Party, State, Talk};
use super::select::Selectors;
use super::{is_used, suggested};

const ROUNDS: u64 = 150;

/// Marsaglia's xorshift: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }
}

/// A few workloads in two namespaces, some of which labels do not tell apart, nodes, and a service of the API.
fn world(random: &mut Random) -> State {
    let mut objects = Vec::new();
    for namespace in ["shop", "other"] {
        let metadata = json!({ "name": namespace, "labels": { "team": random.one(&["a", "b"]) } });
        objects.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }));
    }
    for (node, ip) in [("node-a", "192.168.9.1"), ("node-b", "192.168.9.2")] {
        let status = json!({ "addresses": [{ "type": "InternalIP", "address": ip }] });
        let metadata = json!({ "name": node });
        objects.push(json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status }));
    }
    let mut pods = 0;
    for workload in 0..3 + random.below(5) {
        let namespace = random.one(&["shop", "shop", "other"]);
        let mut labels = json!({ "pod-template-hash": format!("h{workload}") });
        for (key, values) in [
            ("app", &["x", "y", "z"][..]),
            ("app.kubernetes.io/name", &["n", "true", "7"][..]),
            ("app.kubernetes.io/version", &["1", "2"][..]),
            ("tier", &["web", "back"][..]),
            ("kubernetes.io/odd", &["p", "q", "r"][..]),
        ] {
            if random.below(2) == 0 {
                labels[key] = random.one(values).into();
            }
        }
        for _ in 0..1 + random.below(2) {
            pods += 1;
            objects.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "namespace": namespace, "name": format!("w{workload}-{pods}"), "labels": labels,
                    "ownerReferences": [{ "kind": "StatefulSet", "name": format!("W_{workload}"), "controller": true }],
                },
                "spec": {
                    "nodeName": random.one(&["node-a", "node-b"]),
                    "containers": [{ "name": "c", "ports": [{ "containerPort": 8000 + workload }, { "containerPort": 9000 }] }],
                },
                "status": { "podIPs": [{ "ip": format!("10.9.0.{pods}") }] },
            }));
        }
    }
    if random.below(2) == 0 {
        objects.push(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "namespace": "default", "name": "kubernetes", "labels": { "kubernetes.io/service-name": "kubernetes" },
            },
            "endpoints": [{ "addresses": ["192.168.9.1"] }], "ports": [{ "port": 6443 }],
        }));
    }
    State::of_objects(objects, Dialect::K8s)
}

fn end(random: &mut Random, state: &mut State) -> Party {
    let of = |text: String, peer: Peer| Party { peer, ip: text.parse().unwrap() };
    match random.below(8) {
        0 => {
            let (name, ip) = random.one(&[("node-a", "192.168.9.1"), ("node-b", "192.168.9.2")]);
            of(ip.to_owned(), Peer::Node { name: name.into() })
        }
        1 => of("10.9.0.250".to_owned(), Peer::Unresolved("nobody")),
        2 => {
            let text = match random.below(4) {
                0 => format!("198.51.{}.{}", random.below(40), random.below(250)),
                1 => format!("10.200.{}.{}", random.below(3), random.below(250)),
                2 => format!("10.9.{}.{}", random.below(2), 200 + random.below(50)),
                _ => format!("2001:db8:{:x}::{:x}", random.below(30), random.below(9)),
            };
            let party = of(text, Peer::World);
            if random.below(2) == 0 {
                let names = ["a.example.com", "b.example.com.", "*odd name*", "localhost"];
                let names = [Arc::from(random.one(&names)), Arc::from(random.one(&names))];
                state.learn_names(party.ip, names);
            }
            party
        }
        _ => {
            let pods: Vec<_> = state.pods.values().cloned().collect();
            State::party(&random.one(&pods))
        }
    }
}

fn flows(random: &mut Random, state: &mut State) -> Flows {
    let mut flows = Flows::default();
    for _ in 0..1 + random.below(60) {
        let protocols =
            [Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Sctp, Protocol::Icmp, Protocol::Icmpv6];
        let protocol = random.one(&protocols);
        let is_icmp = matches!(protocol, Protocol::Icmp | Protocol::Icmpv6);
        let port = if is_icmp {
            0
        } else {
            u16::try_from({
                let any = 1 + random.below(65_000);
                random.one(&[53, 80, 443, 8000, any])
            })
            .unwrap()
        };
        let icmp_type = (is_icmp && random.below(4) > 0).then(|| random.one(&[8_u8, 128, 3]));
        let (client, server) = (end(random, state), end(random, state));
        let talk = Talk { client, server, protocol, port, icmp_type, guessed: random.below(10) == 0 };
        let (first, last) = (WallTime(1), WallTime(2));
        let established = random.below(5) > 0;
        flows.seen.push(Seen { talk, flows: 1, established, first, last });
    }
    flows
}

#[test]
fn what_was_seen_is_allowed_and_what_was_not_is_not() {
    let (mut suggestions, mut denied, mut refused) = (0, 0, 0);
    for seed in 1..=ROUNDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut state = world(&mut random);
        let flows = flows(&mut random, &mut state);
        let with_failed = random.below(2) == 0;
        for dialect in [Dialect::K8s, Dialect::Cilium] {
            let text = match suggested(&state, &flows, "shop", dialect, with_failed) {
                Ok(text) => text,
                Err(error) => {
                    let said = error.to_string();
                    let is_about_nothing =
                        said.contains("no flow has a pod") || said.contains("no workload can be selected");
                    assert!(is_about_nothing, "seed {seed} {dialect:?}: {said}");
                    refused += 1;
                    continue;
                }
            };
            suggestions += 1;
            let parsed = parse_documents("suggestion", &text);
            assert_eq!(parsed.rejected, [], "seed {seed}: {text}");
            let set = state.set_in(dialect, parsed.policies);
            let used = flows.seen.iter().filter(|seen| is_used(seen, "shop", with_failed));
            let known: Vec<&Seen> = used.collect();
            for seen in &known {
                let verdict = state.judge(&set, &seen.talk);
                assert_ne!(
                    verdict.outcome,
                    Outcome::Denied,
                    "seed {seed} {dialect:?}: {:?}\n{text}",
                    seen.talk
                );
            }
            // Whoever has a policy is isolated, and not for everyone.
            let selectors = Selectors::new(&state, dialect);
            for talk in pairs(&state).talks {
                let groups = (Group::of(&talk.client), Group::of(&talk.server));
                let is_seen = known.iter().any(|seen| {
                    seen.talk.port == talk.port
                        && (Group::of(&seen.talk.client), Group::of(&seen.talk.server)) == groups
                });
                let has_policy = groups.1.namespace() == Some("shop")
                    && known.iter().any(|seen| {
                        [&seen.talk.client, &seen.talk.server].iter().any(|end| Group::of(end) == groups.1)
                    })
                    && selectors.of(&groups.1).is_some();
                // A peer that labels do not tell apart is its whole namespace.
                let is_of_namespace = known.iter().any(|seen| {
                    let client = Group::of(&seen.talk.client);
                    seen.talk.port == talk.port
                        && Group::of(&seen.talk.server) == groups.1
                        && client.namespace() == groups.0.namespace()
                        && selectors.of(&client).is_none()
                });
                let is_told_apart =
                    matches!(talk.client.peer, Peer::Pod(_)) && selectors.of(&groups.0).is_some();
                if is_seen || is_of_namespace || !has_policy || !is_told_apart {
                    continue;
                }
                let verdict = state.judge(&set, &talk);
                assert_eq!(verdict.outcome, Outcome::Denied, "seed {seed} {dialect:?}: {talk:?}\n{text}");
                denied += 1;
            }
        }
    }
    // The generator makes what the assertions are about.
    assert!(suggestions > 100 && denied > 1000 && refused > 0, "{suggestions} {denied} {refused}");
}
