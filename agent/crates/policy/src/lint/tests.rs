use std::collections::BTreeSet;

use watchfire_model::{ContainerPort, Identity, Labels, Protocol};

use super::*;
use crate::{Service, parse_documents};

struct TestWorld(BTreeMap<String, Labels>);

impl World for TestWorld {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.0.get(namespace)
    }

    fn services(&self) -> Option<&[Service]> {
        Some(&[])
    }
}

fn pod(namespace: &str, name: &str, ip: &str) -> Arc<Pod> {
    let labels = [("app", name), ("pod-template-hash", "5d4f")];
    let identity = Identity {
        namespace: namespace.into(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect(),
        ports: vec![ContainerPort { name: Some("http".to_owned()), port: 80, protocol: Protocol::Tcp }],
        host_network: false,
        service_account: None,
        workload: None,
    };
    Arc::new(Pod {
        name: name.into(),
        uid: None,
        identity: Arc::new(identity),
        ips: [ip.parse().unwrap()].into_iter().collect(),
        node: None,
    })
}

fn found(dialect: Dialect, text: &str, knows_pods: bool) -> Vec<LintFinding> {
    let parsed = parse_documents("file.yaml", text);
    let pods =
        [pod("shop", "web", "10.1.0.1"), pod("shop", "db", "10.1.0.2"), pod("ops", "probe", "10.1.0.3")];
    let labels = |team: &str| Labels::from([("team".to_owned(), team.to_owned())]);
    let world =
        TestWorld(BTreeMap::from([("shop".to_owned(), labels("a")), ("ops".to_owned(), labels("b"))]));
    let nodes = BTreeMap::from([("node-a".to_owned(), vec!["192.168.0.1".parse().unwrap()])]);
    lint(&LintInput {
        dialect,
        options: &CiliumOptions::default(),
        policies: &parsed.policies,
        rejected: &parsed.rejected,
        cluster: knows_pods.then_some(LintCluster { pods: &pods, nodes: &nodes, world: &world }),
    })
}

/// Findings as `code path`.
#[track_caller]
fn check(dialect: Dialect, text: &str, without_pods: &[&str], with_pods: &[&str]) {
    for (knows_pods, expected) in [(false, without_pods), (true, with_pods)] {
        let shown: Vec<_> = (found(dialect, text, knows_pods).iter())
            .filter(|finding| finding.code != LintCode::DialectsDiffer)
            .map(|finding| format!("{} {}", finding.code, finding.path).trim_end().to_owned())
            .collect();
        assert_eq!(shown, expected, "{text}\npods known: {knows_pods}");
    }
}

fn network(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: shop, name: p}}\nspec: {spec}\n"
    )
}

fn cilium(spec: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{namespace: shop, name: p}}\nspec: {spec}\n"
    )
}

fn cluster_policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    )
}

use Dialect::{Cilium, K8s};

#[test]
fn a_sound_policy_has_no_findings() {
    let sound = "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: http}]}]}";
    check(K8s, &network(sound), &[], &[]);
    check(Cilium, &network(sound), &[], &[]);
    let sound = "{endpointSelector: {matchLabels: {app: web}}, egress: [
        {toFQDNs: [{matchName: a.example.com}], toPorts: [{ports: [{port: '443'}]}]},
        {toEndpoints: [{}], toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: '*'}]}}]}]}";
    check(Cilium, &cilium(sound), &[], &[]);
}

#[test]
fn what_is_refused_is_told_with_its_line() {
    for (text, code) in [
        (cilium("{endpointSelector: {}, ingress: []}"), LintCode::NoRules),
        (cilium("{endpointSelector: {}, ingress: [{fromEntities: [internet]}]}"), LintCode::UnknownEntity),
        (
            network(
                "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}]}]}",
            ),
            LintCode::ExceptOutside,
        ),
        (
            cilium(
                "{endpointSelector: {}, ingress: [{fromCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/8]}]}]}",
            ),
            LintCode::ExceptOutside,
        ),
        (network("7"), LintCode::Rejected),
    ] {
        let findings = found(Cilium, &text, false);
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!((finding.code, finding.code.severity()), (code, Severity::Error), "{finding:?}");
        assert!(finding.place.as_ref().is_some_and(|place| place.starts_with("file.yaml:")), "{finding:?}");
    }
}

#[test]
fn traps_of_network_policies() {
    let unlisted = "{podSelector: {}, policyTypes: [Ingress], egress: [{}]}";
    check(K8s, &network(unlisted), &["WF-P012 spec.egress"], &["WF-P012 spec.egress"]);
    let split = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}, {podSelector: {matchLabels: {app: db}}}]}]}";
    let expected = ["WF-P013 spec.ingress[0].from[0]"];
    check(K8s, &network(split), &expected, &expected);
    let whole = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {}}]}]}";
    check(K8s, &network(whole), &[], &[]);
    check(K8s, &network("{podSelector: {matchLabels: {app: none}}}"), &[], &["WF-P008"]);
    let peers = "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: probe}}}, {namespaceSelector: {matchLabels: {team: c}}}]}]}";
    check(K8s, &network(peers), &[], &["WF-P009 spec.ingress[0].from[0]", "WF-P009 spec.ingress[0].from[1]"]);
    let block = "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 192.168.0.0/16}}]}]}";
    check(K8s, &network(block), &[], &["WF-P016 spec.egress[0].to[1]"]);
    let port = "{podSelector: {}, ingress: [{ports: [{port: http}, {port: htpp}]}]}";
    check(K8s, &network(port), &[], &["WF-P017 spec.ingress[0].ports[1]"]);
    let hash = "{podSelector: {matchLabels: {pod-template-hash: 5d4f}}}";
    check(K8s, &network(hash), &[], &[]);
    check(Cilium, &network(hash), &["WF-P011 spec.podSelector"], &["WF-P008", "WF-P011 spec.podSelector"]);
}

#[test]
fn traps_of_ciliums() {
    let expected = ["WF-P005 spec.ingress[0]"];
    check(Cilium, &cilium("{endpointSelector: {}, ingress: [{}]}"), &expected, &expected);
    let expected = ["WF-P006 spec.egressDeny"];
    check(
        Cilium,
        &cilium("{endpointSelector: {}, egressDeny: [{toEntities: [world]}]}"),
        &expected,
        &expected,
    );
    let open =
        "{endpointSelector: {}, enableDefaultDeny: {egress: false}, egressDeny: [{toEntities: [world]}]}";
    check(Cilium, &cilium(open), &[], &[]);
    let names = "{endpointSelector: {}, egress: [{toFQDNs: [{matchName: a.example.com}]}]}";
    let expected = ["WF-P007 spec.egress[0].toFQDNs"];
    check(Cilium, &cilium(names), &expected, &expected);
    let services = "{endpointSelector: {}, egress: [{toServices: [{k8sService: {serviceName: s, namespace: shop}}], toPorts: [{ports: [{port: '80'}]}]}]}";
    // Which services there are is known with the pods.
    check(Cilium, &cilium(services), &[], &["WF-P010 spec.egress[0].toServices"]);
    let hash =
        "{endpointSelector: {}, ingress: [{fromEndpoints: [{matchLabels: {'k8s:pod-template-hash': x}}]}]}";
    let path = "WF-P011 spec.ingress[0].fromEndpoints[0]";
    check(Cilium, &cilium(hash), &[path], &["WF-P009 spec.ingress[0].fromEndpoints[0]", path]);
    let node = "{endpointSelector: {}, ingress: [{fromNodes: [{matchLabels: {a: b}}]}]}";
    check(Cilium, &cilium(node), &["WF-P019"], &["WF-P019"]);
    check(
        K8s,
        &cilium("{endpointSelector: {}, ingress: [{fromEntities: [all]}]}"),
        &["WF-P018"],
        &["WF-P018"],
    );
    let reserved =
        "{endpointSelector: {}, ingress: [{fromEndpoints: [{matchLabels: {'reserved:host': ''}}]}]}";
    check(Cilium, &cilium(reserved), &[], &[]);
}

#[test]
fn rules_of_nodes_take_the_host_firewall() {
    let text = cilium("{nodeSelector: {}, ingress: [{fromEntities: [all]}]}")
        .replace("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
        .replace("namespace: shop, ", "");
    check(Cilium, &text, &["WF-P021"], &["WF-P021"]);
}

#[test]
fn dns_may_be_seen_by_another_policy() {
    let names = cilium(
        "{endpointSelector: {matchLabels: {app: web}}, egress: [{toFQDNs: [{matchName: a.example.com}]}]}",
    );
    let dns = |namespace: &str, selector: &str| {
        let spec = format!(
            "{{endpointSelector: {selector}, egress: [{{toEntities: [cluster], toPorts: [{{ports: [{{port: '53'}}], rules: {{dns: [{{matchPattern: '*'}}]}}}}]}}]}}"
        );
        cilium(&spec).replace("name: p", "name: dns").replace("shop", namespace)
    };
    check(Cilium, &format!("{names}---\n{}", dns("shop", "{}")), &[], &[]);
    check(Cilium, &format!("{names}---\n{}", dns("shop", "{matchLabels: {app: web}}")), &[], &[]);
    let expected = ["WF-P007 spec.egress[0].toFQDNs"];
    check(Cilium, &format!("{names}---\n{}", dns("ops", "{}")), &expected, &expected);
    check(Cilium, &format!("{names}---\n{}", dns("shop", "{matchLabels: {app: db}}")), &expected, &expected);
}

#[test]
fn traps_of_admin_policies() {
    let spec = |tier: &str, team: &str, action: &str| {
        format!(
            "{{tier: {tier}, priority: 5, subject: {{namespaces: {{matchLabels: {{team: {team}}}}}}}, ingress: [{{name: r, action: {action}, from: [{{namespaces: {{}}}}]}}]}}"
        )
    };
    let pair = |other: &str| {
        cluster_policy("one", &spec("Admin", "a", "Deny"))
            + &cluster_policy("two", &spec("Admin", other, "Accept"))
    };
    check(K8s, &pair("a"), &["WF-P014 spec.priority"], &["WF-P014 spec.priority"]);
    // Of other pods: which is known with the pods alone.
    check(K8s, &pair("b"), &["WF-P014 spec.priority"], &[]);
    let isolated = network("{podSelector: {}}");
    let opened = |team: &str| cluster_policy("base", &spec("Baseline", team, "Accept")) + &isolated;
    check(Cilium, &opened("a"), &["WF-P015 spec.ingress[0]"], &["WF-P015 spec.ingress[0]"]);
    check(Cilium, &opened("b"), &["WF-P015 spec.ingress[0]"], &[]);
    check(K8s, &opened("a"), &[], &[]);
}

#[test]
fn connections_on_which_dialects_differ_are_named() {
    let block = network(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}]}]}",
    );
    let findings = found(K8s, &block, true);
    let told: Vec<_> = findings.iter().filter(|finding| finding.code == LintCode::DialectsDiffer).collect();
    let expected = "shop/web → shop/db TCP 80: allowed by the API (NetworkPolicy/shop/p ingress[0]), denied with Cilium \
                    (isolated by NetworkPolicy/shop/p)";
    assert!(told.iter().any(|finding| finding.message == expected), "{told:?}");
}

#[test]
fn codes_have_names_of_their_own() {
    let names: BTreeSet<_> = LintCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), LintCode::ALL.len());
    assert!(LintCode::ALL.is_sorted());
}
