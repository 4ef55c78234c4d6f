use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{ContainerPort, Dialect, Direction, Identity, Labels, Peer, Pod, Protocol};

use crate::{Connection, Endpoint, PolicySet, parse_documents};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn pod(namespace: &str, app: &str, ip: &str) -> Peer {
    let identity = Identity {
        namespace: namespace.into(),
        labels: labels(&[("app", app)]),
        ports: vec![ContainerPort { name: Some("http".to_owned()), port: 8080, protocol: Protocol::Tcp }],
        host_network: false,
        service_account: None,
        workload: None,
    };
    Peer::Pod(Arc::new(Pod {
        name: app.into(),
        uid: None,
        identity: Arc::new(identity),
        ips: [ip.parse().unwrap()].into_iter().collect(),
        node: None,
    }))
}

/// What keeps the first rule of an ingress policy on `db` from matching TCP 80 of a client.
#[track_caller]
fn check(dialect: Dialect, object: &str, client: (Peer, &str), expected: &[&str]) {
    let parsed = parse_documents("x", object);
    assert_eq!(parsed.rejected, [], "{object}");
    let set = PolicySet::new(dialect, parsed.policies);
    let world: BTreeMap<String, Labels> =
        [("shop", "a"), ("ops", "b")].map(|(name, team)| (name.to_owned(), labels(&[("team", team)]))).into();
    let (server, ip): (_, IpAddr) = (pod("shop", "db", "10.0.0.2"), client.1.parse().unwrap());
    let connection = Connection {
        protocol: Protocol::Tcp,
        client: Endpoint { peer: &client.0, ip },
        server: Endpoint { peer: &server, ip: "10.0.0.2".parse().unwrap() },
        server_port: 80,
        icmp_type: None,
        direction_guessed: false,
    };
    let explanation = set.explain(&world, &connection);
    let trial = &explanation.ingress[0].rules[0];
    let told: Vec<_> = trial.differences.iter().map(ToString::to_string).collect();
    assert_eq!(told, expected, "{object}");
    let short = set.trials(&world, &connection);
    assert_eq!((&short.verdict, short.ingress[0].rules[0].peer), (&explanation.verdict, trial.peer));
    assert!(short.ingress[0].rules[0].differences.is_empty());
    assert_eq!(explanation.nearest(Direction::Egress), None);
}

fn network(rule: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: shop, name: p}}\nspec: {{podSelector: {{}}, ingress: [{rule}]}}\n"
    )
}

fn cilium(rule: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{namespace: shop, name: p}}\nspec: {{endpointSelector: {{}}, ingress: [{rule}]}}\n"
    )
}

#[test]
fn what_differs_is_named() {
    use Dialect::{Cilium, K8s};
    let web = || (pod("shop", "web", "10.0.0.1"), "10.0.0.1");
    let ops = || (pod("ops", "web", "10.0.0.3"), "10.0.0.3");
    let world = || (Peer::World, "192.0.2.7");
    let by_label = network("{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 80}]}");
    check(K8s, &by_label, web(), &["from[0]: wants app=api, the pod has app=web"]);
    let other_namespace = "from[0]: wants pods of namespace shop, found pod ops/web (app=web)";
    check(K8s, &by_label, ops(), &[other_namespace]);
    let outside = "from[0]: wants pods of namespace shop, found 192.0.2.7 outside of the cluster";
    check(K8s, &by_label, world(), &[outside]);
    let by_both = network(
        "{from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchExpressions: [{key: role, operator: Exists}]}}]}",
    );
    let both = "from[0]: wants team=a, namespace ops has team=b; wants label role, the pod has no label role";
    check(K8s, &by_both, ops(), &[both]);
    let by_block = network(
        "{from: [{ipBlock: {cidr: 192.0.0.0/16, except: [192.0.2.0/24]}}, {ipBlock: {cidr: 10.9.0.0/16}}]}",
    );
    let blocks = [
        "from[0]: wants 192.0.0.0/16, but leaves out 192.0.2.0/24, which 192.0.2.7 is in",
        "from[1]: wants 10.9.0.0/16, found 192.0.2.7",
    ];
    check(K8s, &by_block, world(), &blocks);
    let by_port = network("{ports: [{port: http}, {port: 90, endPort: 99}, {protocol: UDP}]}");
    let ports = "ports: wants TCP http or TCP 90-99 or UDP to any port, found TCP 80 (http is TCP 8080 of pod shop/db)";
    check(K8s, &by_port, web(), &[ports]);
    for (rule, client, told) in [
        (
            "{fromEndpoints: [{matchLabels: {app: api}}]}",
            web(),
            "fromEndpoints[0]: wants app=api, found pod shop/web (app=web)",
        ),
        (
            "{fromEndpoints: [{matchLabels: {app: web}}]}",
            ops(),
            "fromEndpoints[0]: wants namespace=shop, found pod ops/web (app=web)",
        ),
        (
            "{fromEntities: [world]}",
            web(),
            "fromEntities[0]: wants entity world, found pod shop/web (app=web)",
        ),
        (
            "{fromCIDR: [10.0.0.0/8]}",
            web(),
            "fromCIDR[0]: wants addresses outside of the cluster, as Cilium reads it, found pod shop/web (app=web)",
        ),
        ("{}", web(), "the rule names nobody"),
        ("{fromEndpoints: [], toPorts: [{ports: [{port: '80'}]}]}", web(), "the rule names nobody"),
    ] {
        check(Cilium, &cilium(rule), client, &[told]);
    }
}
