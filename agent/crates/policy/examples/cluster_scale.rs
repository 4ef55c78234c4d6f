//! How fast the engine follows a cluster of 10,000 pods and 1000 policies, or a large one of ten times as many.
//!
//! `cargo run --release -p watchfire-policy --example cluster_scale [-- large]`. Nothing is asserted: the figures are of this
//! machine.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchfire_model::{Dialect, Identity, Labels, Peer, Pod, Protocol};
use watchfire_policy::{Connection, Endpoint, Policy, PolicySet, VerdictCache, parse_documents};

/// How much a cluster has.
#[derive(Clone, Copy)]
struct Size {
    policies: usize,
    namespaces: usize,
    identities: usize,
    pods: usize,
    /// Live flows.
    flows: usize,
}

const CLUSTER: Size =
    Size { policies: 1000, namespaces: 100, identities: 1000, pods: 10_000, flows: 100_000 };
const LARGE: Size =
    Size { policies: 10_000, namespaces: 500, identities: 5000, pods: 100_000, flows: 100_000 };
/// Flows that are judged again and again, fewer than the verdicts that are kept.
const LIVELY: usize = 20_000;

/// Changes of one policy, of which the median is told.
const CHANGES: usize = 21;

/// Two rules of each, one about pods of a namespace and one about a block.
fn policy(size: Size, number: usize, port: usize) -> Arc<Policy> {
    let (namespace, app) = (number % size.namespaces, number / size.namespaces % 10);
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

fn identity(size: Size, number: usize, version: usize) -> Arc<Identity> {
    let label = |key: &str, value: String| (key.to_owned(), value);
    Arc::new(Identity {
        namespace: format!("n{}", number % size.namespaces).into(),
        labels: Labels::from([
            label("app", format!("a{}", number / size.namespaces)),
            label("version", format!("v{version}")),
        ]),
        ports: Vec::new(),
        host_network: false,
        service_account: Some("default".into()),
        workload: None,
    })
}

fn pod(number: usize, identity: Arc<Identity>, node: Arc<String>) -> Peer {
    let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number as u32));
    Peer::Pod(Arc::new(Pod {
        name: format!("pod{number}").into(),
        uid: None,
        identity,
        ips: [address].into_iter().collect(),
        node: Some(node),
    }))
}

fn pods(size: Size) -> Vec<Peer> {
    let identities: Vec<_> = (0..size.identities).map(|number| identity(size, number, number)).collect();
    let nodes: Vec<_> = (0..1000).map(|number| Arc::new(format!("node{number}"))).collect();
    (0..size.pods)
        .map(|number| {
            let identity = Arc::clone(&identities[number % identities.len()]);
            pod(number, identity, Arc::clone(&nodes[number % nodes.len()]))
        })
        .collect()
}

/// Memory in use, in MB.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    resident.and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

fn main() {
    let is_large = std::env::args().any(|argument| argument == "large");
    for dialect in [Dialect::K8s, Dialect::Cilium] {
        cluster(if is_large { LARGE } else { CLUSTER }, dialect);
    }
}

fn cluster(size: Size, dialect: Dialect) {
    let Size { policies, namespaces, identities, pods, flows: flow_count } = size;
    println!("{dialect:?}, {policies} policies, {identities} identities, {pods} pods, {flow_count} flows");
    let (start, before) = (Instant::now(), memory());
    let pods = self::pods(size);
    let mut policies: Vec<_> = (0..policies).map(|number| policy(size, number, 80)).collect();
    let set = PolicySet::new(dialect, policies.iter().cloned());
    println!("  from text: {:?}", start.elapsed());
    println!("  memory: {:.0} MB", memory() - before);

    let team = |number: usize| Labels::from([("team".to_owned(), format!("t{}", number % 7))]);
    let world: BTreeMap<_, _> = (0..namespaces).map(|number| (format!("n{number}"), team(number))).collect();
    let end = |number: usize| {
        let peer = &pods[number % pods.len()];
        let ip = peer.pod().and_then(|pod| pod.ips.iter().next()).expect("pods have addresses");
        Endpoint { peer, ip }
    };
    let flow = |number: usize| Connection {
        protocol: Protocol::Tcp,
        client: end(number * 7919 + number / identities),
        server: end(number),
        server_port: 80,
        icmp_type: None,
        direction_guessed: false,
    };
    let flows: Vec<_> = (0..flow_count).map(flow).collect();
    let mut cache = VerdictCache::new();
    let all = |cache: &mut VerdictCache, set: &PolicySet| {
        let start = Instant::now();
        for flow in &flows {
            black_box(set.judge_with(cache, &world, flow));
        }
        start.elapsed()
    };
    let each = |time: Duration| time / u32::try_from(flow_count).unwrap_or(u32::MAX);
    println!("  a flow for the first time: {:?}", each(all(&mut cache, &set)));
    let (lively, hits_before) = (&flows[..LIVELY.min(flows.len())], cache.counters().hits);
    for times in 1..=2 {
        let start = Instant::now();
        for flow in lively {
            black_box(set.judge_with(&mut cache, &world, flow));
        }
        let each = start.elapsed() / u32::try_from(lively.len()).unwrap_or(u32::MAX);
        let found = cache.counters().hits - hits_before;
        println!("  {} of them again, {times}: {each:?} each; found in memory so far: {found}", lively.len());
    }
    println!("  memory with verdicts: {:.0} MB", memory() - before);

    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let of_changed = (0..CHANGES).map(|change| {
        // Labels that no other pod has, so that its rules are chosen anew.
        let changed = pod(change, identity(size, change, identities + change), Arc::new("node0".to_owned()));
        let peer = changed.pod().and_then(|pod| pod.ips.iter().next()).expect("pods have addresses");
        let flow = Connection { server: Endpoint { peer: &changed, ip: peer }, ..flows[change] };
        let start = Instant::now();
        black_box(set.judge_with(&mut cache, &world, &flow));
        start.elapsed()
    });
    println!("  the first flow of a pod whose labels changed: {:?}", median(of_changed.collect()));
    for (what, change) in [
        ("of one namespace", policy as fn(Size, usize, usize) -> _),
        ("of a tenth of the identities", |_, _, port| wide(port)),
    ] {
        let (mut applied, mut judged) = (Vec::new(), Vec::new());
        for port in 1..=CHANGES {
            let start = Instant::now();
            let changed = change(size, 0, port);
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
