//! From flows to what each workload has to be allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use watchfire_model::{Dialect, Direction, Labels, Peer, Protocol};
use watchfire_policy::{NamePattern, World as _};

use super::super::flows::Seen;
use super::super::groups::Group;
use super::super::state::{Party, State};
use super::outside::{Outside, aggregate};
use super::select::Selectors;

/// More ports of one peer than this become one range.
const PORTS_LISTED_MAX: usize = 16;
/// What Cilium calls the API server.
const API_SERVER: &str = "kube-apiserver";
/// The port of DNS.
const DNS_PORT: u16 = 53;

/// What one policy is to say.
pub(super) struct Plan {
    pub(super) workload: Group,
    /// Name of the policy.
    pub(super) name: String,
    pub(super) selector: Labels,
    pub(super) ingress: Vec<PlanRule>,
    pub(super) egress: Vec<PlanRule>,
    pub(super) flows: u64,
}

/// Peers that share their ports.
pub(super) struct PlanRule {
    pub(super) peers: Vec<PlanPeer>,
    pub(super) ports: Vec<PlanPort>,
    pub(super) is_dns: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum PlanPeer {
    Pods {
        namespace: String,
        labels: Labels,
    },
    /// All pods of a namespace.
    Namespace(String),
    Outside(Outside),
    /// Addresses under a DNS name.
    Name(String),
    /// A class of peers, as Cilium calls it.
    Entity(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum PlanPort {
    Ports { protocol: Protocol, first: u16, last: u16 },
    Icmp { v6: bool, icmp_type: u8 },
}

/// All policies, and what is to be said of them.
pub(super) struct Suggestion {
    pub(super) plans: Vec<Plan>,
    pub(super) notes: Vec<String>,
}

impl Suggestion {
    pub(super) fn of(state: &State, used: &[&Seen], namespace: &str, dialect: Dialect) -> Self {
        let selectors = Selectors::new(state, dialect);
        let mut drafts: BTreeMap<Group, Draft> = BTreeMap::new();
        for seen in used {
            let talk = &seen.talk;
            for (direction, own, other) in [
                (Direction::Egress, &talk.client, &talk.server),
                (Direction::Ingress, &talk.server, &talk.client),
            ] {
                let group = Group::of(own);
                if group.namespace() == Some(namespace) {
                    drafts
                        .entry(group)
                        .or_default()
                        .take(state, &selectors, direction, own, other, seen, dialect);
                }
            }
        }
        let (mut plans, mut notes) = (Vec::new(), Vec::new());
        let unresolved: u64 = drafts.values().map(|draft| draft.unresolved).sum();
        if unresolved > 0 {
            notes.push(format!("Left out: {unresolved} flows with an end that is not known."));
        }
        for (workload, draft) in drafts {
            match selectors.of(&workload) {
                Some(selector) => plans.push(draft.plan(state, workload, selector, dialect)),
                None => {
                    notes
                        .push(format!("No policy for {workload}: no label that lasts tells it from others."));
                }
            }
        }
        name_apart(&mut plans);
        Self { plans, notes }
    }
}

/// What a workload was seen to do.
#[derive(Default)]
struct Draft {
    /// Ports of peers that are named, by direction.
    named: BTreeMap<Direction, BTreeMap<PlanPeer, BTreeSet<PlanPort>>>,
    /// Addresses by port, of the world and of nodes.
    world: BTreeMap<(Direction, PlanPort), BTreeSet<IpAddr>>,
    nodes: BTreeMap<(Direction, PlanPort), BTreeSet<IpAddr>>,
    dns: BTreeSet<PlanPeer>,
    flows: u64,
    unresolved: u64,
}

impl Draft {
    #[expect(clippy::too_many_arguments, reason = "each is a fact of its own")]
    fn take(
        &mut self,
        state: &State,
        selectors: &Selectors<'_>,
        direction: Direction,
        own: &Party,
        other: &Party,
        seen: &Seen,
        dialect: Dialect,
    ) {
        self.flows += seen.flows;
        let talk = &seen.talk;
        let Some(port) = port_of(talk.protocol, talk.port, talk.icmp_type) else { return };
        let is_dns = direction == Direction::Egress
            && talk.port == DNS_PORT
            && matches!(talk.protocol, Protocol::Tcp | Protocol::Udp);
        match &other.peer {
            Peer::Pod(pod) if pod.identity.host_network => {
                self.node(state, direction, own, other, port, dialect);
            }
            Peer::Pod(pod) => {
                let namespace = pod.identity.namespace.to_string();
                let peer = match selectors.of(&Group::of_pod(pod)) {
                    Some(labels) => PlanPeer::Pods { namespace, labels },
                    None => PlanPeer::Namespace(namespace),
                };
                if is_dns {
                    self.dns.insert(peer);
                } else {
                    self.named.entry(direction).or_default().entry(peer).or_default().insert(port);
                }
            }
            Peer::Node { .. } => self.node(state, direction, own, other, port, dialect),
            Peer::World if dialect == Dialect::Cilium && is_api_server(state, other.ip) => {
                let peer = PlanPeer::Entity(API_SERVER);
                self.named.entry(direction).or_default().entry(peer).or_default().insert(port);
            }
            Peer::World => {
                _ = self.world.entry((direction, port)).or_default().insert(other.ip);
                if is_dns {
                    for port in dns_ports() {
                        self.world.entry((direction, port)).or_default().insert(other.ip);
                    }
                }
            }
            Peer::Unresolved(_) => self.unresolved += seen.flows,
        }
    }

    fn node(
        &mut self,
        state: &State,
        direction: Direction,
        own: &Party,
        other: &Party,
        port: PlanPort,
        dialect: Dialect,
    ) {
        let name = match &other.peer {
            Peer::Node { name } => Some(name.to_string()),
            Peer::Pod(pod) => pod.node.as_deref().cloned(),
            Peer::World | Peer::Unresolved(_) => None,
        };
        let own_node = own.peer.pod().and_then(|pod| pod.node.as_deref().cloned());
        let is_own = name.is_some() && name == own_node;
        // A pod's own node may always reach it, in both dialects.
        if is_own && direction == Direction::Ingress {
            return;
        }
        if dialect == Dialect::K8s {
            self.nodes.entry((direction, port)).or_default().insert(other.ip);
            return;
        }
        let is_api = is_api_server(state, other.ip);
        let entities: &[&'static str] = if is_api { &[API_SERVER] } else { &["host", "remote-node"] };
        for entity in entities {
            let ports = self.named.entry(direction).or_default().entry(PlanPeer::Entity(entity)).or_default();
            ports.insert(port);
        }
    }

    fn plan(mut self, state: &State, workload: Group, selector: Labels, dialect: Dialect) -> Plan {
        self.place_addresses(state, dialect);
        let Self { mut named, dns, flows, .. } = self;
        let ingress = rules(named.remove(&Direction::Ingress).unwrap_or_default());
        let egress = named.remove(&Direction::Egress).unwrap_or_default();
        let talks_out = !egress.is_empty() || !dns.is_empty();
        let mut egress = rules(egress);
        if talks_out {
            let servers = if dns.is_empty() { BTreeSet::from([usual_dns()]) } else { dns };
            let (peers, ports) = (servers.into_iter().collect(), dns_ports().to_vec());
            egress.insert(0, PlanRule { peers, ports, is_dns: true });
        }
        let name = match &workload {
            Group::Workload { name, .. } => object_name(name),
            other => object_name(&other.to_string()),
        };
        Plan { workload, name, selector, ingress, egress, flows }
    }

    /// Names and blocks take the place of addresses.
    fn place_addresses(&mut self, state: &State, dialect: Dialect) {
        let nodes = std::mem::take(&mut self.nodes);
        let world = std::mem::take(&mut self.world);
        let outside: BTreeSet<IpAddr> = (world.iter())
            .filter(|((direction, _), _)| *direction == Direction::Egress)
            .flat_map(|(_, addresses)| addresses.iter().copied())
            .collect();
        let names = if dialect == Dialect::Cilium { names_of(state, &outside) } else { BTreeMap::new() };
        let has_pod =
            |block: &IpNet| state.pods.values().any(|pod| pod.ips.iter().any(|ip| block.contains(&ip)));
        let has_node = |block: &IpNet| state.nodes.values().flatten().any(|ip| block.contains(ip));
        let mut put = |direction, peer, port| {
            _ = self.named.entry(direction).or_default().entry(peer).or_default().insert(port);
        };
        for ((direction, port), addresses) in nodes {
            for block in aggregate(&addresses.into_iter().collect::<Vec<_>>(), &has_pod) {
                put(direction, PlanPeer::Outside(block), port);
            }
        }
        for ((direction, port), addresses) in world {
            let mut unnamed = Vec::new();
            for address in addresses {
                match names.get(&address).filter(|_| direction == Direction::Egress) {
                    Some(name) => put(direction, PlanPeer::Name(name.clone()), port),
                    None => unnamed.push(address),
                }
            }
            for block in aggregate(&unnamed, &|block| has_pod(block) || has_node(block)) {
                put(direction, PlanPeer::Outside(block), port);
            }
        }
    }
}

fn is_api_server(state: &State, address: IpAddr) -> bool {
    state.api_server().is_some_and(|addresses| addresses.contains(&address.to_canonical()))
}

/// A name for each address that has some: of several the one that most of the addresses have.
fn names_of(state: &State, addresses: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, String> {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let known = |address: &IpAddr| {
        let names = state.names(*address).into_iter().flatten().map(|name| plain(name));
        names.filter(|name| NamePattern::name(name).is_ok() && name.contains('.')).collect::<Vec<_>>()
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in addresses.iter().flat_map(known) {
        *counts.entry(name).or_default() += 1;
    }
    let best = |names: Vec<String>| {
        names.into_iter().max_by_key(|name| (counts[name], std::cmp::Reverse(name.clone())))
    };
    addresses.iter().filter_map(|address| Some((*address, best(known(address))?))).collect()
}

fn port_of(protocol: Protocol, port: u16, icmp_type: Option<u8>) -> Option<PlanPort> {
    match protocol {
        Protocol::Tcp | Protocol::Udp | Protocol::Sctp => {
            Some(PlanPort::Ports { protocol, first: port, last: port })
        }
        Protocol::Icmp | Protocol::Icmpv6 => {
            let v6 = protocol == Protocol::Icmpv6;
            icmp_type.map(|icmp_type| PlanPort::Icmp { v6, icmp_type })
        }
        _ => None,
    }
}

fn dns_ports() -> [PlanPort; 2] {
    [Protocol::Udp, Protocol::Tcp].map(|protocol| PlanPort::Ports {
        protocol,
        first: DNS_PORT,
        last: DNS_PORT,
    })
}

/// Where clusters have their DNS servers.
fn usual_dns() -> PlanPeer {
    let labels = Labels::from([("k8s-app".to_owned(), "kube-dns".to_owned())]);
    PlanPeer::Pods { namespace: "kube-system".to_owned(), labels }
}

/// Peers with the same ports share a rule.
fn rules(peers: BTreeMap<PlanPeer, BTreeSet<PlanPort>>) -> Vec<PlanRule> {
    let mut by_ports: BTreeMap<Vec<PlanPort>, Vec<PlanPeer>> = BTreeMap::new();
    for (peer, ports) in peers {
        // ICMP stands apart from ports.
        let (icmp, ports): (Vec<_>, Vec<_>) =
            ports.into_iter().partition(|port| matches!(port, PlanPort::Icmp { .. }));
        for ports in [ranges(ports), icmp].into_iter().filter(|ports| !ports.is_empty()) {
            by_ports.entry(ports).or_default().push(peer.clone());
        }
    }
    by_ports.into_iter().map(|(ports, peers)| PlanRule { peers, ports, is_dns: false }).collect()
}

/// Many ports of a protocol become one range.
fn ranges(ports: Vec<PlanPort>) -> Vec<PlanPort> {
    let mut by_protocol: BTreeMap<Protocol, BTreeSet<u16>> = BTreeMap::new();
    for port in ports {
        if let PlanPort::Ports { protocol, first, .. } = port {
            by_protocol.entry(protocol).or_default().insert(first);
        }
    }
    let mut ranges = Vec::new();
    for (protocol, numbers) in by_protocol {
        match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) if numbers.len() > PORTS_LISTED_MAX => {
                ranges.push(PlanPort::Ports { protocol, first: *first, last: *last });
            }
            _ => ranges.extend(numbers.iter().map(|number| PlanPort::Ports {
                protocol,
                first: *number,
                last: *number,
            })),
        }
    }
    ranges
}

/// A name as the API server takes it.
fn object_name(name: &str) -> String {
    let is_fit = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    let name: String = (name.to_ascii_lowercase().chars())
        .map(|char| if is_fit(char) { char } else { '-' })
        .take(200)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "workload".to_owned() } else { name.to_owned() }
}

/// Workloads of several kinds may have one name.
fn name_apart(plans: &mut [Plan]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for plan in plans {
        let count = counts.entry(plan.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            plan.name = format!("{}-{count}", plan.name);
        }
    }
}
