//! A plan as a NetworkPolicy.

use watchfire_model::{Direction, Labels, Protocol};

use super::plan::{Plan, PlanPeer, PlanPort, PlanRule};
use super::yaml::Yaml;

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

pub(super) fn policy(plan: &Plan, namespace: &str) -> Yaml {
    let rules = |direction, rules: &[PlanRule]| {
        Yaml::List(rules.iter().filter_map(|one| rule(one, direction, namespace)).collect())
    };
    Yaml::map([
        ("apiVersion", Yaml::text_of("networking.k8s.io/v1")),
        ("kind", Yaml::text_of("NetworkPolicy")),
        (
            "metadata",
            Yaml::map([("name", Yaml::text_of(&plan.name)), ("namespace", Yaml::text_of(namespace))]),
        ),
        (
            "spec",
            Yaml::map([
                ("podSelector", labels(&plan.selector)),
                ("policyTypes", Yaml::List(["Ingress", "Egress"].map(Yaml::text_of).to_vec())),
                ("ingress", rules(Direction::Ingress, &plan.ingress)),
                ("egress", rules(Direction::Egress, &plan.egress)),
            ]),
        ),
    ])
}

fn labels(labels: &Labels) -> Yaml {
    Yaml::map([("matchLabels", Yaml::pairs(labels))])
}

/// None for ICMP, which the API has no words for.
fn rule(rule: &PlanRule, direction: Direction, namespace: &str) -> Option<Yaml> {
    let ports: Vec<Yaml> = rule.ports.iter().filter_map(port).collect();
    let field = if direction == Direction::Ingress { "from" } else { "to" };
    let peers = rule.peers.iter().filter_map(|one| peer(one, namespace)).collect();
    (!ports.is_empty()).then(|| Yaml::map([(field, Yaml::List(peers)), ("ports", Yaml::List(ports))]))
}

fn port(port: &PlanPort) -> Option<Yaml> {
    let PlanPort::Ports { protocol, first, last } = port else { return None };
    let mut fields = vec![
        ("protocol".to_owned(), Yaml::text_of(protocol_name(*protocol))),
        ("port".to_owned(), Yaml::Number(u64::from(*first))),
    ];
    if first != last {
        fields.push(("endPort".to_owned(), Yaml::Number(u64::from(*last))));
    }
    Some(Yaml::Map(fields))
}

pub(super) fn protocol_name(protocol: Protocol) -> String {
    protocol.to_string()
}

fn peer(peer: &PlanPeer, own: &str) -> Option<Yaml> {
    let of_namespace = |name: &str| {
        let pairs = Labels::from([(NAMESPACE_NAME.to_owned(), name.to_owned())]);
        ("namespaceSelector", labels(&pairs))
    };
    Some(match peer {
        PlanPeer::Pods { namespace, labels: of } if namespace == own => {
            Yaml::map([("podSelector", labels(of))])
        }
        PlanPeer::Pods { namespace, labels: of } => {
            Yaml::map([of_namespace(namespace), ("podSelector", labels(of))])
        }
        PlanPeer::Namespace(name) => Yaml::map([of_namespace(name)]),
        PlanPeer::Outside(outside) => {
            let (block, except) = outside.block();
            let mut fields = vec![("cidr".to_owned(), Yaml::text_of(block.to_string()))];
            if !except.is_empty() {
                let except = except.iter().map(|hole| Yaml::text_of(hole.to_string())).collect();
                fields.push(("except".to_owned(), Yaml::List(except)));
            }
            Yaml::map([("ipBlock", Yaml::Map(fields))])
        }
        // Cilium's own.
        PlanPeer::Name(_) | PlanPeer::Entity(_) => return None,
    })
}
