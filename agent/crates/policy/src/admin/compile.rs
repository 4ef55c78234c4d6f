//! From admin policies as written to rules. What the API server refuses is refused.

use ipnet::IpNet;
use watchfire_model::{Direction, Protocol, Tier};

use super::object::{AdminPolicy, NamespacedPod, Peer, Port, PortRange, RuleSource, Spec, Transport};
use super::{Admin, AdminPeer, AdminPort, AdminRule, Pods};
use crate::address::{Block, parse_cidr};
use crate::cilium::NamePattern;
use crate::cilium::compile::name_of;
use crate::compile::{InvalidPolicy, invalid, number, selector};
use crate::policy::Body;
use crate::port::{PortTest, Protocols};
use crate::rule::Action;
use crate::{LabelSelector, Policy, Selector};

/// Which of the kinds it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    Admin,
    Baseline,
    Cluster,
}

/// Lowest and highest priority.
const PRIORITY_MAX: i64 = 1000;
/// Most rules of a list, and peers of a rule: of v1alpha1 and of v1alpha2.
const ENTRIES_MAX_V1ALPHA1: usize = 100;
const ENTRIES_MAX_V1ALPHA2: usize = 25;

pub(crate) fn policy(source: &AdminPolicy, version: Version) -> Result<Policy, InvalidPolicy> {
    let name = name_of(source.metadata.as_ref())?;
    let spec = source.spec.as_ref().ok_or_else(|| invalid("spec", "a spec is required"))?;
    let (kind, tier) = match (version, spec.tier.as_deref()) {
        (Version::Admin, None) => ("AdminNetworkPolicy", Tier::Admin),
        (Version::Baseline, None) => ("BaselineAdminNetworkPolicy", Tier::Baseline),
        (Version::Cluster, Some("Admin")) => ("ClusterNetworkPolicy", Tier::Admin),
        (Version::Cluster, Some("Baseline")) => ("ClusterNetworkPolicy", Tier::Baseline),
        (Version::Cluster, _) => return Err(invalid("spec.tier", "expected Admin or Baseline")),
        (Version::Admin | Version::Baseline, Some(_)) => return Err(invalid("spec.tier", "unknown field")),
    };
    if version == Version::Baseline && name != "default" {
        return Err(invalid("metadata.name", format!("expected \"default\", found \"{name}\"")));
    }
    let admin = Admin {
        tier,
        priority: priority(spec, version)?,
        subject: subject(spec)?,
        rules: rules(spec, version)?,
        is_known_to_cilium: version == Version::Cluster,
    };
    Ok(Policy::new(kind, String::new(), name, Body::Admin(admin)))
}

fn priority(spec: &Spec, version: Version) -> Result<u32, InvalidPolicy> {
    match (version, spec.priority) {
        (Version::Baseline, None) => Ok(0),
        (Version::Baseline, Some(_)) => Err(invalid("spec.priority", "unknown field")),
        (_, Some(priority @ 0..=PRIORITY_MAX)) => Ok(priority as u32),
        (_, found) => {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            Err(invalid("spec.priority", format!("expected 0 to {PRIORITY_MAX}, found {found}")))
        }
    }
}

fn subject(spec: &Spec) -> Result<Pods, InvalidPolicy> {
    let found = spec.subject.as_ref().map(|subject| (&subject.namespaces, &subject.pods));
    match found {
        Some((Some(namespaces), None)) => namespaces_of("spec.subject.namespaces", namespaces),
        Some((None, Some(pods))) => namespaced_pod("spec.subject.pods", pods),
        _ => Err(invalid("spec.subject", "expected namespaces or pods")),
    }
}

fn namespaces_of(path: &str, source: &LabelSelector) -> Result<Pods, InvalidPolicy> {
    Ok(Pods { namespaces: selector(path, source)?, pods: None })
}

fn namespaced_pod(path: &str, source: &NamespacedPod) -> Result<Pods, InvalidPolicy> {
    let read = |field: &str, source: &Option<LabelSelector>| -> Result<Selector, InvalidPolicy> {
        let path = format!("{path}.{field}");
        let source = source.as_ref().ok_or_else(|| invalid(&path, "a selector is required"))?;
        selector(&path, source)
    };
    let namespaces = read("namespaceSelector", &source.namespace_selector)?;
    Ok(Pods { namespaces, pods: Some(read("podSelector", &source.pod_selector)?) })
}

fn rules(spec: &Spec, version: Version) -> Result<Box<[AdminRule]>, InvalidPolicy> {
    let most = if version == Version::Cluster { ENTRIES_MAX_V1ALPHA2 } else { ENTRIES_MAX_V1ALPHA1 };
    let mut rules = Vec::new();
    for (field, list, direction) in
        [("ingress", &spec.ingress, Direction::Ingress), ("egress", &spec.egress, Direction::Egress)]
    {
        let list = list.as_deref().unwrap_or_default();
        at_most(&format!("spec.{field}"), list.len(), most)?;
        for (source, index) in list.iter().zip(0..) {
            rules.push(rule(&format!("spec.{field}[{index}]"), source, version, direction, index, most)?);
        }
    }
    Ok(rules.into())
}

fn at_most(path: &str, count: usize, most: usize) -> Result<(), InvalidPolicy> {
    if count > most {
        return Err(invalid(path, format!("expected at most {most} entries, found {count}")));
    }
    Ok(())
}

fn rule(
    path: &str,
    source: &RuleSource,
    version: Version,
    direction: Direction,
    index: u32,
    most: usize,
) -> Result<AdminRule, InvalidPolicy> {
    let action = match (source.action.as_deref().unwrap_or_default(), version) {
        ("Allow", Version::Admin | Version::Baseline) | ("Accept", Version::Cluster) => Action::Allow,
        ("Deny", _) => Action::Deny,
        ("Pass", Version::Admin | Version::Cluster) => Action::Pass,
        (other, _) => return Err(invalid(format!("{path}.action"), format!("unknown action \"{other}\""))),
    };
    let (field, peers, other) = match direction {
        Direction::Ingress => ("from", &source.from, source.to.as_ref().map(|_| "to")),
        Direction::Egress => ("to", &source.to, source.from.as_ref().map(|_| "from")),
    };
    if let Some(other) = other {
        return Err(invalid(format!("{path}.{other}"), "unknown field in this list"));
    }
    let peers = peers.as_deref().unwrap_or_default();
    let peers_path = format!("{path}.{field}");
    if peers.is_empty() {
        return Err(invalid(peers_path, "expected at least one entry"));
    }
    at_most(&peers_path, peers.len(), most)?;
    let entries = peers.iter().enumerate();
    let peers: Box<[AdminPeer]> = entries
        .map(|(index, source)| peer(&format!("{peers_path}[{index}]"), source, direction, action))
        .collect::<Result<_, _>>()?;
    let ports_field = if version == Version::Cluster { "protocols" } else { "ports" };
    let ports = ports(path, source, version)?;
    let names_ports = ports.iter().flatten().any(|port| matches!(port.ports, PortTest::Named(_)));
    let has_no_names = |peer: &AdminPeer| matches!(peer, AdminPeer::Nodes(_) | AdminPeer::Networks(_));
    if names_ports && peers.iter().any(has_no_names) {
        return Err(invalid(format!("{path}.{ports_field}"), "nodes and networks have no named ports"));
    }
    Ok(AdminRule { direction, index, action, peers, ports, ports_field })
}

fn peer(path: &str, source: &Peer, direction: Direction, action: Action) -> Result<AdminPeer, InvalidPolicy> {
    let Peer { namespaces, pods, nodes, networks, domain_names } = source;
    let of_egress = nodes.is_some() || networks.is_some() || domain_names.is_some();
    if direction == Direction::Ingress && of_egress {
        // The API server drops fields that the list's entries do not have.
        return Ok(AdminPeer::Unknown);
    }
    match (namespaces, pods, nodes, networks, domain_names) {
        (Some(source), None, None, None, None) => {
            namespaces_of(&format!("{path}.namespaces"), source).map(AdminPeer::Pods)
        }
        (None, Some(source), None, None, None) => {
            namespaced_pod(&format!("{path}.pods"), source).map(AdminPeer::Pods)
        }
        (None, None, Some(source), None, None) => {
            selector(&format!("{path}.nodes"), source).map(AdminPeer::Nodes)
        }
        (None, None, None, Some(blocks), None) => networks_of(&format!("{path}.networks"), blocks),
        (None, None, None, None, Some(names)) => {
            let path = format!("{path}.domainNames");
            if action != Action::Allow {
                return Err(invalid(path, "only rules that allow may name hosts"));
            }
            let names = names.iter().enumerate();
            let read = names.map(|(index, name)| domain_name(&format!("{path}[{index}]"), name));
            read.collect::<Result<_, _>>().map(AdminPeer::Names)
        }
        (None, None, None, None, None) => Ok(AdminPeer::Unknown),
        _ => Err(invalid(path, "expected one of namespaces, pods, nodes, networks and domainNames")),
    }
}

fn networks_of(path: &str, blocks: &[String]) -> Result<AdminPeer, InvalidPolicy> {
    let read = |(index, text): (usize, &String)| {
        let cidr: IpNet = parse_cidr(text).ok_or_else(|| {
            let reason = format!("expected address/prefix length, found \"{text}\"");
            invalid(format!("{path}[{index}]"), reason)
        })?;
        Ok(Block { cidr, except: Box::default() })
    };
    let blocks: Box<[Block]> = blocks.iter().enumerate().map(read).collect::<Result<_, InvalidPolicy>>()?;
    if blocks.is_empty() {
        return Err(invalid(path, "expected at least one entry"));
    }
    Ok(AdminPeer::Networks(blocks))
}

/// `*.` in front stands for one or more labels.
fn domain_name(path: &str, name: &str) -> Result<NamePattern, InvalidPolicy> {
    let read = match name.strip_prefix("*.") {
        Some(rest) if !rest.contains('*') => NamePattern::pattern(&format!("**.{rest}")),
        _ => NamePattern::name(name),
    };
    read.map_err(|reason| invalid(path, reason))
}

fn ports(
    path: &str,
    source: &RuleSource,
    version: Version,
) -> Result<Option<Box<[AdminPort]>>, InvalidPolicy> {
    let (wrong, right) = if version == Version::Cluster {
        (source.ports.as_ref().map(|_| "ports"), "protocols")
    } else {
        (source.protocols.as_ref().map(|_| "protocols"), "ports")
    };
    if let Some(field) = wrong {
        return Err(invalid(format!("{path}.{field}"), format!("unknown field, expected {right}")));
    }
    let mut ports = Vec::new();
    for (index, port) in source.ports.iter().flatten().enumerate() {
        ports.push(port_of_v1alpha1(&format!("{path}.ports[{index}]"), port)?);
    }
    for (index, protocol) in source.protocols.iter().flatten().enumerate() {
        let path = format!("{path}.protocols[{index}]");
        let given = [
            (Protocol::Tcp, &protocol.tcp),
            (Protocol::Udp, &protocol.udp),
            (Protocol::Sctp, &protocol.sctp),
        ];
        let mut given = given.into_iter().filter_map(|(protocol, found)| Some((protocol, found.as_ref()?)));
        ports.push(match (given.next(), given.next(), &protocol.destination_named_port) {
            (Some((protocol, found)), None, None) => transport(&path, protocol, found)?,
            (None, None, Some(name)) => named(name),
            _ => return Err(invalid(path, "expected one of tcp, udp, sctp and destinationNamedPort")),
        });
    }
    Ok((!ports.is_empty()).then(|| ports.into()))
}

fn named(name: &str) -> AdminPort {
    AdminPort { protocols: Protocols::Transport, ports: PortTest::Named(name.into()) }
}

fn transport(path: &str, protocol: Protocol, source: &Transport) -> Result<AdminPort, InvalidPolicy> {
    let protocols = Protocols::One(protocol);
    let Some(port) = &source.destination_port else {
        return Ok(AdminPort { protocols, ports: PortTest::Any });
    };
    let path = format!("{path}.destinationPort");
    let ports = match (port.number, &port.range) {
        (Some(port), None) => {
            let port = number(&path, port)?;
            PortTest::Range(port..=port)
        }
        (None, Some(found)) => range(&path, found)?,
        _ => return Err(invalid(path, "expected number or range")),
    };
    Ok(AdminPort { protocols, ports })
}

fn port_of_v1alpha1(path: &str, source: &Port) -> Result<AdminPort, InvalidPolicy> {
    let protocol = |name: &Option<String>| match name.as_deref() {
        None | Some("TCP") => Ok(Protocols::One(Protocol::Tcp)),
        Some("UDP") => Ok(Protocols::One(Protocol::Udp)),
        Some("SCTP") => Ok(Protocols::One(Protocol::Sctp)),
        Some(other) => Err(invalid(path, format!("expected TCP, UDP or SCTP, found \"{other}\""))),
    };
    match (&source.port_number, &source.port_range, &source.named_port) {
        (Some(found), None, None) => {
            let port = number(path, found.port.unwrap_or_default())?;
            Ok(AdminPort { protocols: protocol(&found.protocol)?, ports: PortTest::Range(port..=port) })
        }
        (None, Some(found), None) => {
            Ok(AdminPort { protocols: protocol(&found.protocol)?, ports: range(path, found)? })
        }
        (None, None, Some(name)) => Ok(named(name)),
        _ => Err(invalid(path, "expected one of portNumber, portRange and namedPort")),
    }
}

fn range(path: &str, source: &PortRange) -> Result<PortTest, InvalidPolicy> {
    let first = number(path, source.start.unwrap_or_default())?;
    let last = number(path, source.end.unwrap_or_default())?;
    if last < first {
        return Err(invalid(path, format!("{last} is less than {first}")));
    }
    Ok(PortTest::Range(first..=last))
}
