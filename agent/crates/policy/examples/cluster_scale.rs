//! How fast the engine follows a large cluster: 10,000 policies, 5,000 identities, 100,000 pods and as many live flows.
//!
//! `cargo run --release -p watchfire-policy --example cluster_scale`. Nothing is asserted: the figures are of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use watchfire_model::{Dialect, Identity, Labels, Peer, Pod, Protocol};
use watchfire_policy::{Connection, Endpoint, Policy, PolicySet, VerdictCache, parse_documents};

const POLICIES: usize = 10_000;
const NAMESPACES: usize = 500;
const IDENTITIES: usize = 5_000;
const PODS: usize = 100_000;
const FLOWS: usize = 100_000;
/// Changes of one policy, of which the median is told.
const CHANGES: usize = 21;

/// Two rules of each, one about pods of a namespace and one about a block.
fn policy(number: usize, port: usize) -> Arc<Policy> {
    let (namespace, app) = (number % NAMESPACES, number / NAMESPACES % 10);
    let text = format!(
        r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {{"namespace": "n{namespace}", "name": "p{number}"}},
        "spec": {{"podSelector": {{"matchLabels": {{"app": "a{app}"}}}}, "policyTypes": ["Ingress"], "ingress": [
        {{"from": [{{"namespaceSelector": {{"matchLabels": {{"team": "t{}"}}}}}}], "ports": [{{"port": {port}}}]}},
        {{"from": [{{"ipBlock": {{"cidr": "10.{}.0.0/16"}}}}]}}]}}}}"#,
        number % 7,
        number % 200
    );
    let mut parsed = parse_documents("policy", &text);
    parsed.policies.pop().unwrap_or_else(|| panic!("{:?}", parsed.rejected))
}

/// A tenth of the identities: those of one `app` everywhere.
fn wide(port: usize) -> Arc<Policy> {
    let text = format!(
        r#"{{"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy",
        "metadata": {{"name": "wide"}}, "spec": {{"priority": 1, "subject": {{"pods": {{"namespaceSelector": {{}},
        "podSelector": {{"matchLabels": {{"app": "a3"}}}}}}}}, "ingress": [{{"action": "Deny", "from": [{{"namespaces": {{}}}}],
        "ports": [{{"portNumber": {{"port": {port}}}}}]}}]}}}}"#
    );
    let mut parsed = parse_documents("policy", &text);
    parsed.policies.pop().unwrap_or_else(|| panic!("{:?}", parsed.rejected))
}

fn pods() -> Vec<Peer> {
    let label = |key: &str, value: String| (key.to_owned(), value);
    let identity = |number: usize| {
        Arc::new(Identity {
            namespace: format!("n{}", number % NAMESPACES).into(),
            labels: Labels::from([
                label("app", format!("a{}", number / NAMESPACES)),
                label("version", format!("v{number}")),
            ]),
            ports: Vec::new(),
            host_network: false,
            service_account: Some("default".into()),
            workload: None,
        })
    };
    let identities: Vec<_> = (0..IDENTITIES).map(identity).collect();
    let nodes: Vec<_> = (0..1000).map(|number| Arc::new(format!("node{number}"))).collect();
    let pod = |number: usize| {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number as u32));
        Peer::Pod(Arc::new(Pod {
            name: format!("pod{number}").into(),
            uid: None,
            identity: Arc::clone(&identities[number % IDENTITIES]),
            ips: [address].into_iter().collect(),
            node: Some(Arc::clone(&nodes[number % nodes.len()])),
        }))
    };
    (0..PODS).map(pod).collect()
}

/// Memory in use, in MB.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    resident.and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

fn main() {
    for dialect in [Dialect::K8s, Dialect::Cilium] {
        cluster(dialect);
    }
}

fn cluster(dialect: Dialect) {
    println!("{dialect:?}");
    let (start, before) = (Instant::now(), memory());
    let pods = pods();
    let mut policies: Vec<_> = (0..POLICIES).map(|number| policy(number, 80)).collect();
    let set = PolicySet::new(dialect, policies.iter().cloned());
    println!("  {POLICIES} policies, {IDENTITIES} identities, {PODS} pods from text: {:?}", start.elapsed());
    println!("  memory: {:.0} MB", memory() - before);

    let team = |number: usize| Labels::from([("team".to_owned(), format!("t{}", number % 7))]);
    let world: BTreeMap<_, _> = (0..NAMESPACES).map(|number| (format!("n{number}"), team(number))).collect();
    let end = |number: usize| {
        let peer = &pods[number % PODS];
        let ip = peer.pod().and_then(|pod| pod.ips.iter().next()).expect("pods have addresses");
        Endpoint { peer, ip }
    };
    let flow = |number: usize| Connection {
        protocol: Protocol::Tcp,
        client: end(number * 7919 + number / IDENTITIES),
        server: end(number),
        server_port: 80,
        icmp_type: None,
        direction_guessed: false,
    };
    let flows: Vec<_> = (0..FLOWS).map(flow).collect();
    let mut cache = VerdictCache::new();
    let all = |cache: &mut VerdictCache, set: &PolicySet| {
        let start = Instant::now();
        for flow in &flows {
            black_box(set.judge_with(cache, &world, flow));
        }
        start.elapsed()
    };
    println!("  {FLOWS} flows for the first time: {:?}", all(&mut cache, &set));
    println!("  and again: {:?}", all(&mut cache, &set));
    println!("  memory with verdicts: {:.0} MB", memory() - before);

    let median = |mut times: Vec<std::time::Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    for (what, change) in [
        ("of one namespace", policy as fn(usize, usize) -> _),
        ("of a tenth of the identities", |_, port| wide(port)),
    ] {
        let (mut applied, mut judged) = (Vec::new(), Vec::new());
        for port in 1..=CHANGES {
            let start = Instant::now();
            let changed = change(0, port);
            match policies.iter_mut().find(|policy| policy.reference() == changed.reference()) {
                Some(policy) => *policy = changed,
                None => policies.push(changed),
            }
            let set = PolicySet::new(dialect, policies.iter().cloned());
            applied.push(start.elapsed());
            judged.push(all(&mut cache, &set));
        }
        println!(
            "  a policy {what} changed: new set {:?}, then all flows again {:?}",
            median(applied),
            median(judged)
        );
    }
}
