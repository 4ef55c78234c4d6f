use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{ContainerPort, Identity, Labels, Outcome, Peer, Pod};

use super::*;
use crate::{Endpoint, Explanation, parse_documents};

/// A small cluster: `web` and `db` in `prod`, `web` in `test`, and what lies around them.
fn end(name: &str) -> (Peer, IpAddr) {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let pod = |namespace: &str, name: &str, address: &str, node: &str| {
        let port = |name: &str, port, protocol| ContainerPort { name: Some(name.to_owned()), port, protocol };
        let identity = Identity {
            namespace: namespace.into(),
            labels: Labels::from([("app".to_owned(), name.to_owned())]),
            ports: match name {
                "db" => vec![port("sql", 5432, Protocol::Tcp)],
                _ => vec![port("http", 8080, Protocol::Tcp), port("sql", 9999, Protocol::Tcp)],
            },
            host_network: name == "host",
            service_account: None,
            workload: None,
        };
        let pod = Pod {
            name: name.into(),
            uid: None,
            identity: Arc::new(identity),
            ips: [ip(address)].into_iter().collect(),
            node: Some(Arc::new(node.to_owned())),
        };
        (Peer::Pod(Arc::new(pod)), ip(address))
    };
    match name {
        "prod/web" => pod("prod", "web", "10.0.0.1", "n1"),
        "prod/db" => pod("prod", "db", "10.0.0.2", "n1"),
        "test/web" => pod("test", "web", "10.0.1.1", "n2"),
        "ghost/web" => pod("ghost", "web", "10.0.2.1", "n2"),
        "prod/host" => pod("prod", "host", "172.16.0.2", "n2"),
        "n1" => (Peer::Node { name: "n1".into() }, ip("172.16.0.1")),
        "n2" => (Peer::Node { name: "n2".into() }, ip("172.16.0.2")),
        "world" => (Peer::World, ip("198.51.100.7")),
        "loopback" => (Peer::World, ip("127.0.0.1")),
        address => (Peer::Unresolved("test"), ip(address)),
    }
}

/// `client server protocol port`, followed by `guessed` where the direction is.
fn explain(policies: &str, flow: &str) -> Explanation {
    let policies: String = policies
        .split("---")
        .enumerate()
        .map(|(index, policy)| {
            let (namespace, spec) = policy.trim().split_once(' ').unwrap_or((policy.trim(), "{}"));
            format!(
                "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                 metadata: {{name: p{index}, namespace: {namespace}}}\nspec: {spec}\n"
            )
        })
        .filter(|document| !document.contains("namespace: }"))
        .collect();
    let parsed = parse_documents("test", &policies);
    assert_eq!(parsed.rejected, []);
    let set = PolicySet::new(Dialect::K8s, parsed.policies);
    let world = BTreeMap::from([
        ("prod".to_owned(), Labels::from([("env".to_owned(), "prod".to_owned())])),
        ("test".to_owned(), Labels::new()),
    ]);
    let words: Vec<_> = flow.split(' ').collect();
    let (client, client_ip) = end(words[0]);
    let (server, server_ip) = end(words[1]);
    let connection = Connection {
        protocol: words[2].parse().unwrap(),
        client: Endpoint { peer: &client, ip: client_ip },
        server: Endpoint { peer: &server, ip: server_ip },
        server_port: words[3].parse().unwrap(),
        icmp_type: None,
        direction_guessed: words.get(4) == Some(&"guessed"),
    };
    set.explain(&world, &connection)
}

#[track_caller]
fn check(policies: &str, flow: &str, outcome: Outcome, because: &str) {
    let explanation = explain(policies, flow);
    let verdict = &explanation.verdict;
    let found = (verdict.outcome, verdict.because());
    assert_eq!(found, (outcome, because.to_owned()), "{flow} under {policies}\n{explanation}");
}

use Outcome::{Allowed, Denied, NotCovered, Unknown};

const ALL: &str = "prod {}";
const PEER: &str = "peer not resolved";

#[test]
fn isolation_and_union() {
    check("", "prod/web prod/db TCP 5432", NotCovered, "");
    check("test", "prod/web prod/db TCP 5432", NotCovered, "");
    check(ALL, "prod/web prod/db TCP 5432", Denied, "isolated by NetworkPolicy/prod/p0");
    check(ALL, "prod/web test/web TCP 5432", NotCovered, "");
    check("prod {ingress: []}", "prod/web prod/db TCP 5432", Denied, "isolated by NetworkPolicy/prod/p0");
    check("prod {ingress: null}", "prod/web prod/db TCP 5432", Denied, "isolated by NetworkPolicy/prod/p0");
    check("prod {ingress: [{}]}", "world prod/db TCP 5432", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(
        "prod {} --- prod {ingress: [{ports: [{port: 1}]}, {from: [{podSelector: {}}]}]}",
        "prod/web prod/db TCP 5432",
        Allowed,
        "NetworkPolicy/prod/p1 ingress[1]",
    );
}

#[test]
fn a_denial_lists_every_isolating_policy() {
    check(
        "prod {ingress: [{ports: [{port: 1}]}]} --- prod {podSelector: {matchLabels: {app: web}}} --- prod {} --- \
         prod {policyTypes: [Egress], egress: [{}]}",
        "prod/web prod/db TCP 5432",
        Denied,
        "isolated by NetworkPolicy/prod/p0, NetworkPolicy/prod/p2",
    );
}

#[test]
fn directions_are_independent() {
    let egress_only = "prod {policyTypes: [Egress], ingress: [{}]}";
    check(egress_only, "test/web prod/db TCP 5432", NotCovered, "");
    check(egress_only, "prod/web test/web TCP 8080", Denied, "isolated by NetworkPolicy/prod/p0");
    check("prod {egress: [{}]}", "test/web prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
    check("prod {egress: []}", "prod/db test/web TCP 1", NotCovered, "");
    let both = "prod {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]} --- \
                prod {podSelector: {matchLabels: {app: db}}}";
    check(both, "prod/web prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p1");
}

#[test]
fn selector_peers_are_pods_with_an_address_of_their_own() {
    let any_pod = "prod {ingress: [{from: [{namespaceSelector: {}}]}]}";
    check(any_pod, "test/web prod/db TCP 1", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(any_pod, "ghost/web prod/db TCP 1", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(any_pod, "world prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
    let host = "host-network pods are undefined by the API";
    check(any_pod, "n2 prod/db TCP 1", Unknown, host);
    check(any_pod, "prod/host prod/db TCP 1", Unknown, host);
    check("prod {}", "world prod/host TCP 1", NotCovered, "");
    let own = "prod {ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}";
    check(own, "prod/web prod/db TCP 1", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(own, "test/web prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
    let both = "prod {ingress: [{from: [{podSelector: {matchLabels: {app: db}}, namespaceSelector: {}}]}]}";
    check(both, "test/web prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
}

#[test]
fn a_namespace_that_is_not_known_decides_nothing() {
    let by_label = "prod {ingress: [{from: [{namespaceSelector: {matchExpressions: \
                    [{key: env, operator: DoesNotExist}]}}]}]}";
    check(by_label, "test/web prod/db TCP 1", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(by_label, "prod/web prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
    check(by_label, "ghost/web prod/db TCP 1", Unknown, PEER);
    let by_name = "prod {ingress: [{from: [{namespaceSelector: {matchLabels: \
                   {kubernetes.io/metadata.name: ghost}}}]}]}";
    check(by_name, "ghost/web prod/db TCP 1", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
}

#[test]
fn blocks_match_by_address_alone() {
    let block = "prod {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.1.0/24]}}]}]}";
    check(block, "prod/web prod/db TCP 1", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(block, "test/web prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
    check(block, "world prod/db TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
    check(block, "10.9.9.9 prod/db TCP 1", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    let nodes = "prod {policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 172.16.0.0/16}}]}]}";
    check(nodes, "prod/web n2 TCP 1", Allowed, "NetworkPolicy/prod/p0 egress[0]");
    check(nodes, "prod/web prod/host TCP 1", Allowed, "NetworkPolicy/prod/p0 egress[0]");
}

#[test]
fn ports_belong_to_the_pod_that_answers() {
    let sql = "prod {policyTypes: [Egress], egress: [{ports: [{port: sql}]}]}";
    check(sql, "prod/web prod/db TCP 5432", Allowed, "NetworkPolicy/prod/p0 egress[0]");
    check(sql, "prod/web prod/db TCP 9999", Denied, "isolated by NetworkPolicy/prod/p0");
    check(sql, "prod/db test/web TCP 9999", Allowed, "NetworkPolicy/prod/p0 egress[0]");
    check(sql, "prod/web prod/db UDP 5432", Denied, "isolated by NetworkPolicy/prod/p0");
    check(sql, "prod/web world TCP 5432", Denied, "isolated by NetworkPolicy/prod/p0");
    check(sql, "prod/web 203.0.113.9 TCP 5432", Unknown, PEER);
    let ingress = "prod {ingress: [{ports: [{port: sql}]}]}";
    check(ingress, "prod/web prod/db TCP 5432", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(ingress, "prod/web prod/db TCP 9999", Denied, "isolated by NetworkPolicy/prod/p0");
    let ports =
        "prod {ingress: [{ports: [{port: 80, endPort: 90}, {protocol: UDP}, {protocol: SCTP, port: 7}]}]}";
    for (flow, outcome) in [
        ("TCP 79", Denied),
        ("TCP 80", Allowed),
        ("TCP 90", Allowed),
        ("TCP 91", Denied),
        ("UDP 1", Allowed),
        ("SCTP 7", Allowed),
        ("SCTP 8", Denied),
        ("ICMP 0", Unknown),
    ] {
        let explanation = explain(ports, &format!("world prod/db {flow}"));
        assert_eq!(explanation.verdict.outcome, outcome, "{flow}\n{explanation}");
    }
}

#[test]
fn protocols_that_the_api_leaves_open() {
    let undefined = "protocol undefined by the API under isolation";
    check(ALL, "prod/web prod/db ICMP 0", Unknown, undefined);
    check(ALL, "prod/web prod/db 47 0", Unknown, undefined);
    check("prod {ingress: [{}]}", "prod/web prod/db ICMP 0", Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check("test", "prod/web prod/db ICMP 0", NotCovered, "");
}

#[test]
fn what_policy_does_not_touch() {
    let both = "prod {policyTypes: [Ingress, Egress]}";
    let node = "exempt: the pod's own node";
    check(both, "n1 prod/db TCP 1", Allowed, node);
    check(both, "prod/db n1 TCP 1", Allowed, node);
    check(both, "prod/db n2 TCP 1", Denied, "isolated by NetworkPolicy/prod/p0");
    check(both, "prod/web prod/web TCP 1", Allowed, "exempt: the pod itself");
    check(both, "prod/web loopback TCP 1", Allowed, "exempt: the pod itself");
    check(both, "world loopback TCP 1", NotCovered, "");
}

#[test]
fn an_unresolved_peer_is_never_denied() {
    let flow = "203.0.113.9 prod/db TCP 1";
    check(ALL, flow, Unknown, PEER);
    check("prod {ingress: [{from: [{podSelector: {}}]}]}", flow, Unknown, PEER);
    check("prod {ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}", flow, Unknown, PEER);
    check("prod {ingress: [{ports: [{port: 2}]}]}", flow, Unknown, PEER);
    check("prod {ingress: [{ports: [{port: 1}]}]}", flow, Allowed, "NetworkPolicy/prod/p0 ingress[0]");
    check(
        "prod {ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}",
        flow,
        Allowed,
        "NetworkPolicy/prod/p0 ingress[0]",
    );
    check("test", flow, NotCovered, "");
}

#[test]
fn an_unresolved_subject_may_be_isolated() {
    check("test {}", "prod/web 203.0.113.9 TCP 1", Unknown, PEER);
    check(
        "prod {policyTypes: [Egress], egress: [{}]}",
        "prod/web 203.0.113.9 TCP 1",
        Allowed,
        "NetworkPolicy/prod/p0 egress[0]",
    );
    check("", "prod/web 203.0.113.9 TCP 1", NotCovered, "");
}

#[test]
fn a_guessed_direction_is_never_denied() {
    check(ALL, "prod/web prod/db TCP 5432 guessed", Unknown, "direction was guessed");
    check(
        "prod {ingress: [{}]}",
        "prod/web prod/db TCP 1 guessed",
        Allowed,
        "NetworkPolicy/prod/p0 ingress[0]",
    );
    check("test", "prod/web prod/db TCP 1 guessed", NotCovered, "");
}

#[test]
fn the_entries_that_matched_are_named() {
    let policies = "prod {ingress: [{from: [{ipBlock: {cidr: 1.2.3.0/24}}, {podSelector: {}}], \
                    ports: [{port: 1}, {port: 2}]}]}";
    let SideVerdict::Allow { rule } = explain(policies, "prod/web prod/db TCP 2").verdict.ingress else {
        panic!("expected a rule")
    };
    assert_eq!((rule.rule, rule.peer, rule.port), (0, Some(1), Some(1)));
    let SideVerdict::Allow { rule } =
        explain("prod {ingress: [{}]}", "prod/web prod/db TCP 2").verdict.ingress
    else {
        panic!("expected a rule")
    };
    assert_eq!((rule.rule, rule.peer, rule.port), (0, None, None));
}

#[test]
fn explanations_name_near_misses() {
    let policies = "prod {ingress: [{from: [{podSelector: {}}], ports: [{port: 1}]}, {from: [{namespaceSelector: \
                    {matchLabels: {a: b}}}]}]}";
    let expect = "denied
egress: not covered
ingress: isolated by NetworkPolicy/prod/p0
  nearest: NetworkPolicy/prod/p0 spec.ingress[0] from[0]: peer but not port
  NetworkPolicy/prod/p0
    ingress[0] from[0]: peer but not port
    ingress[1]: port but not peer";
    assert_eq!(explain(policies, "prod/web prod/db TCP 2").to_string(), expect);
}
