//! How fast the engine judges at the scale of a large production node, whose figures another project published: 294 policies for
//! an endpoint with 68 rules each, of which 24 in 100 name sets of pods and most others blocks, and few name ports.
//!
//! `cargo run --release -p watchfire-policy --example reference_scale`. Nothing is asserted: the figures are of this machine.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire_model::{Dialect, Identity, Labels, Peer, Pod, Protocol};
use watchfire_policy::{Connection, Endpoint, Policy, PolicySet, VerdictCache, parse_object};

const POLICIES: usize = 294;
const RULES: usize = 68;
const SELECTORS: usize = 3_708;
/// Peers that are pods, and addresses outside.
const PODS: usize = 5_000;
const ADDRESSES: usize = 5_000;
/// Connections for each figure.
const FLOWS: usize = 1_000_000;
const FIRST_FLOWS: usize = 20_000;

/// xorshift64* (Vigna, 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn address(&mut self) -> Ipv4Addr {
        let octet = |random: &mut Self, end| random.below(end) as u8;
        Ipv4Addr::new(100, octet(self, 64), octet(self, 256), octet(self, 256))
    }
}

fn rule(random: &mut Random, index: usize) -> Value {
    let mut rule = if random.below(1000) < 242 {
        json!({"toEndpoints": [{"matchLabels": {"set": format!("s{}", random.below(SELECTORS))}}]})
    } else {
        let bits = 16 + random.below(17);
        json!({"toCIDR": [format!("{}/{bits}", random.address())]})
    };
    if index.is_multiple_of(8) {
        rule["toPorts"] =
            json!([{"ports": [{"port": (1 + random.below(9000)).to_string(), "protocol": "TCP"}]}]);
    }
    rule
}

fn policy(random: &mut Random, index: usize) -> Value {
    // Ten of the rules deny.
    let denials: Vec<_> = (0..10).map(|index| rule(random, index)).collect();
    let rules: Vec<_> = (10..RULES).map(|index| rule(random, index)).collect();
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": format!("p{index}"), "namespace": "load"},
        "spec": {"endpointSelector": {}, "egress": rules, "egressDeny": denials},
    })
}

fn pod(number: usize, set: usize) -> Peer {
    let label = |key: &str, value: String| (key.to_owned(), value);
    let identity = Identity {
        namespace: "load".into(),
        labels: Labels::from([label("set", format!("s{set}")), label("app", format!("a{number}"))]),
        ports: Vec::new(),
        host_network: false,
        service_account: Some("default".into()),
        workload: None,
    };
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, (number / 250) as u8, (number % 250) as u8));
    Peer::Pod(Arc::new(Pod {
        name: format!("pod{number}").into(),
        uid: None,
        identity: Arc::new(identity),
        ips: [address].into_iter().collect(),
        node: Some(Arc::new("node".to_owned())),
    }))
}

fn per(total: Duration, count: usize) -> f64 {
    total.as_nanos() as f64 / count as f64
}

fn main() {
    let mut random = Random(1);
    let objects: Vec<_> = (0..POLICIES).map(|index| policy(&mut random, index)).collect();
    let start = Instant::now();
    let policies: Vec<Arc<Policy>> =
        objects.into_iter().filter_map(|object| parse_object(object).expect("the policy is one")).collect();
    println!("read {} policies, {} rules: {:?}", policies.len(), POLICIES * RULES, start.elapsed());
    let start = Instant::now();
    let set = PolicySet::new(Dialect::Cilium, policies.iter().cloned());
    println!("a new set of them: {:?}", start.elapsed());

    let world = BTreeMap::from([("load".to_owned(), Labels::new())]);
    let pods: Vec<_> = (0..PODS).map(|number| pod(number, random.below(SELECTORS))).collect();
    let outside: Vec<_> = (0..ADDRESSES).map(|_| IpAddr::V4(random.address())).collect();
    let server = |index: usize| match index % 4 {
        0 => {
            let peer = &pods[index / 4 % PODS];
            let ip = peer.pod().and_then(|pod| pod.ips.iter().next()).expect("pods have addresses");
            Endpoint { peer, ip }
        }
        _ => Endpoint { peer: &Peer::World, ip: outside[index % ADDRESSES] },
    };
    let client_pod = pod(PODS, 0);
    let client = Endpoint { peer: &client_pod, ip: IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)) };
    let connection = |server, port| Connection {
        protocol: Protocol::Tcp,
        client,
        server,
        server_port: port,
        icmp_type: None,
        direction_guessed: false,
    };

    let mut cache = VerdictCache::new();
    let start = Instant::now();
    black_box(set.judge_with(&mut cache, &world, &connection(server(1), 1)));
    println!("first connection of an identity, which selects and indexes its rules: {:?}", start.elapsed());

    let mut times: Vec<_> = (0..FIRST_FLOWS)
        .map(|index| {
            let connection = connection(server(index), (1 + index % 60_000) as u16);
            let start = Instant::now();
            black_box(set.judge_with(&mut cache, &world, &connection));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("a pair that was not judged yet: median {:?}, 99 of 100 below {:?}", at(50), at(99));

    let start = Instant::now();
    for _ in 0..200 {
        black_box(set.judge(&world, &connection(server(7), 443)));
    }
    println!("the same without memory or index: {:.0} ns", per(start.elapsed(), 200));

    let hot: Vec<_> = (0..1_000).map(|index| connection(server(index), 443)).collect();
    for connection in &hot {
        set.judge_with(&mut cache, &world, connection);
    }
    let start = Instant::now();
    for index in 0..FLOWS {
        black_box(set.judge_with(&mut cache, &world, &hot[index % hot.len()]));
    }
    println!("a pair that was judged before: {:.0} ns", per(start.elapsed(), FLOWS));

    // A tenth miss every rule, half repeat the ends of one before.
    let start = Instant::now();
    for index in 0..FLOWS {
        let connection = match index % 10 {
            0 => connection(Endpoint { peer: &Peer::World, ip: IpAddr::V4(Ipv4Addr::from(index as u32)) }, 9),
            1..=4 => connection(server(index), 443),
            _ => hot[index % hot.len()],
        };
        black_box(set.judge_with(&mut cache, &world, &connection));
    }
    let elapsed = start.elapsed();
    println!(
        "the published mix of flows: {:.0} ns, {:.2} million a second",
        per(elapsed, FLOWS),
        1e3 / per(elapsed, FLOWS)
    );

    let many = 10_000;
    let identities: Vec<_> = (0..many).map(|number| pod(number, number % SELECTORS)).collect();
    let start = Instant::now();
    for peer in &identities {
        let client = Endpoint { peer, ip: client.ip };
        black_box(set.judge_with(&mut cache, &world, &Connection { client, ..connection(server(5), 443) }));
    }
    println!(
        "a new identity with {} rules loaded: {:.1} us",
        POLICIES * RULES,
        per(start.elapsed(), many) / 1e3
    );

    blocks();
}

/// A thousand blocks allowed and a thousand denied.
fn blocks() {
    let mut random = Random(2);
    let mut list = || -> Vec<_> {
        (0..1000)
            .map(|_| json!({"toCIDR": [format!("{}/{}", random.address(), 8 + random.below(25))]}))
            .collect()
    };
    let object = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "blocks", "namespace": "load"},
        "spec": {"endpointSelector": {}, "egress": list(), "egressDeny": list()},
    });
    let start = Instant::now();
    let policy = parse_object(object).expect("the policy is one");
    let set = PolicySet::new(Dialect::Cilium, policy);
    let world = BTreeMap::from([("load".to_owned(), Labels::new())]);
    let peer = pod(1, 1);
    let client = Endpoint { peer: &peer, ip: IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)) };
    let server = Endpoint { peer: &Peer::World, ip: IpAddr::V4(Ipv4Addr::new(100, 1, 2, 3)) };
    let connection = Connection {
        protocol: Protocol::Tcp,
        client,
        server,
        server_port: 443,
        icmp_type: None,
        direction_guessed: false,
    };
    black_box(set.judge_with(&mut VerdictCache::new(), &world, &connection));
    println!("1000 blocks allowed and 1000 denied, from object to verdict: {:?}", start.elapsed());
}
