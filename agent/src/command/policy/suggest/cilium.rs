//! A plan as a `CiliumNetworkPolicy`.

use std::collections::BTreeMap;

use watchfire_model::{Direction, Labels};

use super::k8s::protocol_name;
use super::outside::Outside;
use super::plan::{Plan, PlanPeer, PlanPort, PlanRule};
use super::yaml::Yaml;

const NAMESPACE: &str = "k8s:io.kubernetes.pod.namespace";
/// Most ports of one entry of `toPorts`.
const PORTS_MAX: usize = 40;

pub(super) fn policy(plan: &Plan, namespace: &str) -> Yaml {
    let names = plan.egress.iter().flat_map(|rule| &rule.peers).any(|peer| matches!(peer, PlanPeer::Name(_)));
    let all = |direction, rules: &[PlanRule]| {
        let mut written: Vec<Yaml> =
            rules.iter().flat_map(|one| rule(one, direction, names, namespace)).collect();
        // A list without rules would be refused; a rule without peers and ports matches nothing and isolates.
        if written.is_empty() {
            written.push(Yaml::Map(Vec::new()));
        }
        Yaml::List(written)
    };
    Yaml::map([
        ("apiVersion", Yaml::text_of("cilium.io/v2")),
        ("kind", Yaml::text_of("CiliumNetworkPolicy")),
        (
            "metadata",
            Yaml::map([("name", Yaml::text_of(&plan.name)), ("namespace", Yaml::text_of(namespace))]),
        ),
        (
            "spec",
            Yaml::map([
                ("endpointSelector", labels(&plan.selector)),
                ("ingress", all(Direction::Ingress, &plan.ingress)),
                ("egress", all(Direction::Egress, &plan.egress)),
            ]),
        ),
    ])
}

fn labels(labels: &Labels) -> Yaml {
    Yaml::map([("matchLabels", Yaml::pairs(labels))])
}

/// One rule for each kind of peers, since Cilium takes one kind in a rule.
fn rule(rule: &PlanRule, direction: Direction, sees_dns: bool, own: &str) -> Vec<Yaml> {
    let prefix = if direction == Direction::Ingress { "from" } else { "to" };
    let mut by_kind: BTreeMap<&str, Vec<Yaml>> = BTreeMap::new();
    for peer in &rule.peers {
        let (kind, entry) = peer_of(peer, own);
        by_kind.entry(kind).or_default().push(entry);
    }
    let (field, ports) = ports(rule, rule.is_dns && sees_dns);
    by_kind
        .into_iter()
        .map(|(kind, entries)| {
            Yaml::map([(&*format!("{prefix}{kind}"), Yaml::List(entries)), (field, ports.clone())])
        })
        .collect()
}

fn peer_of(peer: &PlanPeer, own: &str) -> (&'static str, Yaml) {
    let in_namespace = |namespace: &str, of: &Labels| {
        let mut pairs = of.clone();
        pairs.insert(NAMESPACE.to_owned(), namespace.to_owned());
        labels(&pairs)
    };
    match peer {
        // Without a namespace the policy's own is meant.
        PlanPeer::Pods { namespace, labels: of } if namespace == own => ("Endpoints", labels(of)),
        PlanPeer::Pods { namespace, labels: of } => ("Endpoints", in_namespace(namespace, of)),
        PlanPeer::Namespace(name) => ("Endpoints", in_namespace(name, &Labels::new())),
        PlanPeer::Outside(Outside::Block(block)) => ("CIDR", Yaml::text_of(block.to_string())),
        PlanPeer::Outside(outside @ Outside::Everyone { .. }) => {
            let (block, except) = outside.block();
            let except = except.iter().map(|hole| Yaml::text_of(hole.to_string())).collect();
            (
                "CIDRSet",
                Yaml::map([("cidr", Yaml::text_of(block.to_string())), ("except", Yaml::List(except))]),
            )
        }
        PlanPeer::Name(name) => ("FQDNs", Yaml::map([("matchName", Yaml::text_of(name))])),
        PlanPeer::Entity(name) => ("Entities", Yaml::text_of(*name)),
    }
}

/// The field for ports or types, and what stands in it.
fn ports(rule: &PlanRule, sees_dns: bool) -> (&'static str, Yaml) {
    let icmp: Vec<Yaml> = (rule.ports.iter())
        .filter_map(|port| match port {
            PlanPort::Icmp { v6, icmp_type } => {
                let family = if *v6 { "IPv6" } else { "IPv4" };
                Some(Yaml::map([
                    ("family", Yaml::text_of(family)),
                    ("type", Yaml::Number(u64::from(*icmp_type))),
                ]))
            }
            PlanPort::Ports { .. } => None,
        })
        .collect();
    if !icmp.is_empty() {
        let entries =
            icmp.chunks(PORTS_MAX).map(|fields| Yaml::map([("fields", Yaml::List(fields.to_vec()))]));
        return ("icmps", Yaml::List(entries.collect()));
    }
    let ports: Vec<Yaml> = rule.ports.iter().filter_map(port).collect();
    let entries = ports.chunks(PORTS_MAX).map(|ports| {
        let mut fields = vec![("ports".to_owned(), Yaml::List(ports.to_vec()))];
        if sees_dns {
            let any = Yaml::map([("matchPattern", Yaml::text_of("*"))]);
            fields.push(("rules".to_owned(), Yaml::map([("dns", Yaml::List(vec![any]))])));
        }
        Yaml::Map(fields)
    });
    ("toPorts", Yaml::List(entries.collect()))
}

fn port(port: &PlanPort) -> Option<Yaml> {
    let PlanPort::Ports { protocol, first, last } = port else { return None };
    let mut fields = vec![("port".to_owned(), Yaml::text_of(first.to_string()))];
    if first != last {
        fields.push(("endPort".to_owned(), Yaml::Number(u64::from(*last))));
    }
    fields.push(("protocol".to_owned(), Yaml::text_of(protocol_name(*protocol))));
    Some(Yaml::Map(fields))
}
