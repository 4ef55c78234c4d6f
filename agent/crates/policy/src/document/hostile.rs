//! Input that is meant badly, or is as large as it gets: a reason is given, and nothing panics or grows without bound.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::{Value, json};
use watchfire_model::{Dialect, Identity, Labels, Outcome, Peer, Pod, Protocol};

use super::*;
use crate::{Connection, Endpoint, PolicySet, VerdictCache};

/// Random changes of each object, as a value and as text.
const CHANGES: usize = 400;
/// Longest line that an object may lead to, in bytes: reason, name and kind are each cut.
const LINE_BYTES_MAX: usize = 8 << 10;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

/// One object of each kind with most of its fields.
fn objects() -> Vec<Value> {
    let peer = json!({"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": {"matchExpressions": [
        {"key": "k", "operator": "In", "values": ["v"]}]}});
    let rule = json!({"action": "Deny", "from": [{"namespaces": {}}], "name": "r"});
    let cilium = json!({
        "endpointSelector": {"matchLabels": {"k8s:app": "x"}}, "enableDefaultDeny": {"ingress": false},
        "ingress": [{"fromEndpoints": [{}], "toPorts": [{"ports": [{"port": "80", "endPort": 90, "protocol": "TCP"}],
            "rules": {"http": [{"method": "GET", "headerMatches": [{"name": "h"}]}]}}]}, {"fromEntities": ["all"]}],
        "egress": [{"toFQDNs": [{"matchPattern": "*.a.b"}]}, {"toCIDRSet": [{"cidr": "10.0.0.0/8", "except":
            ["10.1.0.0/16"]}], "icmps": [{"fields": [{"type": 8}]}]}, {"toServices": [{"k8sService":
            {"serviceName": "s"}}]}, {"toGroups": [{"aws": {"securityGroupsIds": ["sg"]}}]}],
        "egressDeny": [{"toNodes": [{}]}],
    });
    let object = |version: &str, kind: &str, spec: &Value| {
        json!({"apiVersion": version, "kind": kind,
        "metadata": {"name": "p", "namespace": "a", "labels": {"x": "y"}}, "spec": spec})
    };
    vec![
        object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            &json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [peer, {"ipBlock":
            {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/9"]}}], "ports": [{"port": 1, "endPort": 2}, {"port": "web"}]}],
            "egress": [{}]}),
        ),
        object("cilium.io/v2", "CiliumNetworkPolicy", &cilium),
        object(
            "cilium.io/v2",
            "CiliumClusterwideNetworkPolicy",
            &json!({"nodeSelector": {}, "ingress": [{}]}),
        ),
        object("cilium.io/v2", "CiliumCIDRGroup", &json!({"externalCIDRs": ["10.0.0.0/8", "2001:db8::/32"]})),
        object(
            "policy.networking.k8s.io/v1alpha1",
            "AdminNetworkPolicy",
            &json!({"priority": 1, "subject": {"namespaces": {}}, "ingress": [rule], "egress": []}),
        ),
        object(
            "policy.networking.k8s.io/v1alpha2",
            "ClusterNetworkPolicy",
            &json!({"tier": "Admin", "priority": 1, "subject": {"namespaces": {}}, "ingress": [{"action": "Accept",
            "from": [{"namespaces": {}}], "protocols": [{"tcp": {"destinationPort": {"range": {"start": 1, "end": 2}}}}]}]}),
        ),
    ]
}

/// Puts something else in the place of a random part.
fn damage(random: &mut Random, value: &mut Value) {
    let others = [
        json!(null),
        json!([]),
        json!({}),
        json!([{}]),
        json!(""),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!("*"),
        json!("::/0"),
        json!("k8s:a:b"),
        json!({"matchLabels": {"": ""}}),
        json!("x".repeat(64 << 10)),
    ];
    let parts = match value {
        Value::Object(fields) => fields.len(),
        Value::Array(entries) => entries.len(),
        _ => 0,
    };
    if parts == 0 || random.below(4) == 0 {
        *value = others[random.below(others.len())].clone();
        return;
    }
    let part = random.below(parts);
    match value {
        Value::Object(fields) => {
            if random.below(8) == 0 {
                fields.insert("unknown".to_owned(), json!(1));
            } else if let Some((_, inner)) = fields.iter_mut().nth(part) {
                damage(random, inner);
            }
        }
        Value::Array(entries) if random.below(8) == 0 => {
            let copy = entries[part].clone();
            entries.extend(std::iter::repeat_n(copy, 200));
        }
        Value::Array(entries) => damage(random, &mut entries[part]),
        _ => {}
    }
}

#[test]
fn damaged_objects_are_taken_or_refused_with_a_short_reason() {
    let mut refused = 0;
    for (object, seed) in objects().iter().zip(0..) {
        assert!(matches!(parse_object(object.clone()), Ok(Some(_))), "{object}");
        let mut random = Random(seed);
        for _ in 0..CHANGES {
            let mut damaged = object.clone();
            damage(&mut random, &mut damaged);
            if let Err(reason) = parse_object(damaged) {
                assert!(
                    !reason.is_empty() && reason.len() <= LINE_BYTES_MAX,
                    "seed {seed}: {} bytes",
                    reason.len()
                );
                refused += 1;
            }
        }
    }
    assert!(refused > CHANGES, "{refused}");
}

#[test]
fn damaged_text_is_never_passed_over() {
    let bytes = b"\0\n\t :-{}[]\"'&*!|>%@#0\xc3\xa9~";
    for (object, seed) in objects().iter().zip(0..) {
        let text = serde_json::to_string_pretty(object).unwrap();
        let mut random = Random(seed);
        for _ in 0..CHANGES {
            let mut damaged = text.clone().into_bytes();
            for _ in 0..1 + random.below(4) {
                let at = random.below(damaged.len());
                match random.below(3) {
                    0 => damaged[at] = bytes[random.below(bytes.len())],
                    1 => _ = damaged.remove(at),
                    _ => damaged.insert(at, bytes[random.below(bytes.len())]),
                }
            }
            let damaged = String::from_utf8_lossy(&damaged);
            let Parsed { policies, ignored, rejected } = parse_documents("f", &damaged);
            let is_nothing = policies.is_empty() && ignored.is_empty() && rejected.is_empty();
            assert!(!is_nothing || split(&damaged).is_empty(), "seed {seed}: {damaged}");
            for rejection in rejected {
                assert!(rejection.to_string().len() <= LINE_BYTES_MAX, "seed {seed}: {damaged}");
            }
        }
    }
}

#[test]
fn what_is_written_to_exhaust_a_reader_is_refused() {
    let laughs = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, depth| {
        let before = depth - 1;
        format!("{text}a{depth}: &a{depth} [*a{before}, *a{before}, *a{before}]\n")
    });
    let nested = format!("kind: {}{}", "[".repeat(50_000), "]".repeat(50_000));
    for text in [laughs, nested, "a: &a [*a]\n".to_owned()] {
        let parsed = parse_documents("f", &text);
        assert_eq!((parsed.policies.len(), parsed.rejected.len()), (0, 1));
        assert!(parsed.rejected[0].to_string().len() <= LINE_BYTES_MAX);
    }
    // Groups hold blocks and never groups.
    let group = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": {"name": "g"},
        "spec": {"externalCIDRs": ["10.0.0.0/8"], "cidrGroupRef": "g"}});
    assert!(parse_object(group).unwrap_err().starts_with("spec.cidrGroupRef: unknown field"));
}

fn pod(name: &str, address: [u8; 4]) -> Peer {
    let identity = Identity {
        namespace: "a".into(),
        labels: Labels::from([("app".to_owned(), name.to_owned())]),
        ports: Vec::new(),
        host_network: false,
        service_account: None,
        workload: None,
    };
    let ips = [IpAddr::from(address)].into_iter().collect();
    Peer::Pod(Arc::new(Pod { name: name.into(), uid: None, identity: identity.into(), ips, node: None }))
}

fn from_outside<'a>(server: &'a Peer, client: IpAddr, server_port: u16) -> Connection<'a> {
    Connection {
        protocol: Protocol::Tcp,
        client: Endpoint { peer: &Peer::World, ip: client },
        server: Endpoint { peer: server, ip: IpAddr::from([10, 0, 0, 1]) },
        server_port,
        icmp_type: None,
        direction_guessed: false,
    }
}

fn policy(spec: &Value) -> Arc<Policy> {
    let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "a"}, "spec": spec});
    parse_object(object).unwrap().unwrap()
}

fn world() -> std::collections::BTreeMap<String, Labels> {
    std::collections::BTreeMap::from([("a".to_owned(), Labels::new())])
}

#[test]
fn lists_of_any_length_are_judged_to_their_end() {
    let web = pod("web", [10, 0, 0, 1]);
    let outside = IpAddr::from([192, 0, 2, 1]);
    let ports: Vec<_> = (1..=10_000).map(|port| json!({"port": port})).collect();
    let set = PolicySet::new(Dialect::K8s, [policy(&json!({"ingress": [{"ports": ports}]}))]);
    let outcome = |set: &PolicySet, client, port| {
        set.judge_with(&mut VerdictCache::new(), &world(), &from_outside(&web, client, port)).outcome
    };
    assert_eq!(outcome(&set, outside, 10_000), Outcome::Allowed);
    assert_eq!(outcome(&set, outside, 10_001), Outcome::Denied);

    let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(0x6440_0000 + number));
    let blocks: Vec<_> = (0..100_000).map(|number| format!("{}/32", address(number))).collect();
    let peers: Vec<_> = blocks.iter().map(|block| json!({"ipBlock": {"cidr": block}})).collect();
    let set = PolicySet::new(Dialect::K8s, [policy(&json!({"ingress": [{"from": peers}]}))]);
    assert_eq!(outcome(&set, address(99_999), 80), Outcome::Allowed);
    assert_eq!(outcome(&set, address(100_000), 80), Outcome::Denied);

    let group = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": {"name": "g"},
        "spec": {"externalCIDRs": blocks}});
    let named = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "p", "namespace": "a"},
        "spec": {"endpointSelector": {}, "ingress": [{"fromCIDRSet": [{"cidrGroupRef": "g"}]}]}});
    let policies = [group, named].map(|object| parse_object(object).unwrap().unwrap());
    let set = PolicySet::new(Dialect::Cilium, policies);
    assert_eq!(outcome(&set, address(99_999), 80), Outcome::Allowed);
    assert_eq!(outcome(&set, address(100_000), 80), Outcome::Denied);
}

#[test]
fn a_selector_that_contradicts_itself_selects_no_one() {
    let selector = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "app", "operator": "NotIn", "values": ["web"]}]});
    let set = PolicySet::new(Dialect::K8s, [policy(&json!({"podSelector": selector}))]);
    let web = pod("web", [10, 0, 0, 1]);
    let verdict = set.judge(&world(), &from_outside(&web, IpAddr::from([192, 0, 2, 1]), 80));
    assert_eq!(verdict.outcome, Outcome::NotCovered);
}

#[test]
fn a_policy_that_is_edited_again_and_again_leaves_nothing_behind() {
    let pods = [pod("web", [10, 0, 0, 1]), pod("db", [10, 0, 0, 1])];
    let fixed = policy(&json!({"podSelector": {"matchLabels": {"app": "db"}}}));
    let mut cache = VerdictCache::new();
    let mut sizes = Vec::new();
    for edit in 1..=1000_u16 {
        let selector = json!({"matchLabels": {"app": "web"}});
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "edited", "namespace": "a"},
            "spec": {"podSelector": selector, "ingress": [{"ports": [{"port": edit}]}]}});
        let edited = parse_object(object).unwrap().unwrap();
        let set = PolicySet::new(Dialect::K8s, [Arc::clone(&fixed), edited]);
        for pod in &pods {
            for port in [edit, edit + 1] {
                let connection = from_outside(pod, IpAddr::from([192, 0, 2, 1]), port);
                assert_eq!(
                    *set.judge_with(&mut cache, &world(), &connection),
                    set.judge(&world(), &connection)
                );
            }
        }
        sizes.push(cache.programs());
    }
    assert_eq!(sizes.iter().max(), Some(&2));
}
