//! Peers of a rule: one kind of them each (pkg/policy/api, pkg/policy/utils/parserules.go).

use std::net::IpAddr;

use ipnet::IpNet;
use watchfire_model::Direction;

use super::entity::Entity;
use super::external::ExternalGroup;
use super::l4::{List, names};
use super::object::{CidrRule, Element, ServiceSource};
use super::select::{self, Scope};
use super::service::{EmptyLists, ServiceMatcher, Which};
use crate::address::Block;
use crate::compile::{InvalidPolicy, invalid};
use crate::peer::{PeerMatcher, Peers};
use crate::port::Ports;
use crate::selector::LabelSelector;

/// The peers of a rule, and whether it takes labels of nodes to tell them.
pub(crate) fn read(
    path: &str,
    source: &Element,
    list: List,
    scope: Scope<'_>,
    ports: &Ports,
) -> Result<(Peers, bool), InvalidPolicy> {
    let fields = Fields::of(source, list.direction);
    let is_given = |count: Option<usize>| count.is_some_and(|count| count > 0);
    let given: Vec<_> = fields.counts().into_iter().filter(|(_, count)| is_given(*count)).collect();
    if let [(one, _), (other, _), ..] = given.as_slice() {
        return Err(invalid(path, format!("{one} must not be combined with {other}")));
    }
    let has_ports = *ports != Ports::Any;
    // An empty list of these means no one, and of the others the same as none.
    let means_nobody = fields.counts().iter().take(Fields::CLOSED).any(|(_, count)| *count == Some(0));
    let anyone = || if has_ports { Peers::Any } else { Peers::Nobody };
    let Some((field, _)) = given.first() else {
        return Ok((if means_nobody { Peers::Nobody } else { anyone() }, false));
    };
    let path = format!("{path}.{field}");
    let entries = fields.entries(&path, scope)?;
    let peers = match entries {
        Entries::Peers(_) if means_nobody => Peers::Nobody,
        Entries::Services(_) if means_nobody && (list.denies || !fields.empty_lists_can_be_filled()) => {
            Peers::Nobody
        }
        Entries::Peers(entries) if entries.is_empty() => anyone(),
        Entries::Peers(entries) => Peers::Listed { field, entries: entries.into() },
        // Cilium translates services only where rules allow.
        Entries::Services(_) if list.denies => anyone(),
        Entries::Services(entries) => {
            Peers::Services { entries: entries.into(), or_any: has_ports, beside: fields.empty_lists() }
        }
    };
    Ok((peers, fields.nodes.is_some_and(|nodes| !nodes.is_empty())))
}

enum Entries {
    Peers(Vec<PeerMatcher>),
    Services(Vec<ServiceMatcher>),
}

/// The fields about peers of either direction.
struct Fields<'a> {
    direction: Direction,
    endpoints: Option<&'a [LabelSelector]>,
    nodes: Option<&'a [LabelSelector]>,
    entities: Option<&'a [String]>,
    cidr: Option<&'a [String]>,
    cidr_set: Option<&'a [CidrRule]>,
    groups: Option<&'a [ExternalGroup]>,
    services: Option<&'a [ServiceSource]>,
    fqdns: Option<&'a [super::object::FqdnSelector]>,
}

impl<'a> Fields<'a> {
    /// How many of the kinds mean no one where their list is empty: the first.
    const CLOSED: usize = 5;

    fn of(source: &'a Element, direction: Direction) -> Self {
        let (services, fqdns) = (source.to_services.as_deref(), source.to_fqdns.as_deref());
        match direction {
            Direction::Ingress => Self {
                direction,
                endpoints: source.from_endpoints.as_deref(),
                nodes: source.from_nodes.as_deref(),
                entities: source.from_entities.as_deref(),
                cidr: source.from_cidr.as_deref(),
                cidr_set: source.from_cidr_set.as_deref(),
                groups: source.from_groups.as_deref(),
                services: None,
                fqdns: None,
            },
            Direction::Egress => Self {
                direction,
                endpoints: source.to_endpoints.as_deref(),
                nodes: source.to_nodes.as_deref(),
                entities: source.to_entities.as_deref(),
                cidr: source.to_cidr.as_deref(),
                cidr_set: source.to_cidr_set.as_deref(),
                groups: source.to_groups.as_deref(),
                services,
                fqdns,
            },
        }
    }

    fn counts(&self) -> [(&'static str, Option<usize>); 8] {
        let is_ingress = self.direction == Direction::Ingress;
        let name = |ingress, egress| if is_ingress { ingress } else { egress };
        [
            (name("fromEndpoints", "toEndpoints"), self.endpoints.map(<[_]>::len)),
            (name("fromNodes", "toNodes"), self.nodes.map(<[_]>::len)),
            (name("fromEntities", "toEntities"), self.entities.map(<[_]>::len)),
            (name("fromCIDR", "toCIDR"), self.cidr.map(<[_]>::len)),
            (name("fromCIDRSet", "toCIDRSet"), self.cidr_set.map(<[_]>::len)),
            (name("fromGroups", "toGroups"), self.groups.map(<[_]>::len)),
            ("toServices", self.services.map(<[_]>::len)),
            ("toFQDNs", self.fqdns.map(<[_]>::len)),
        ]
    }

    /// The lists that are empty as written, into which services are translated.
    fn empty_lists(&self) -> EmptyLists {
        EmptyLists {
            endpoints: self.endpoints.is_some_and(<[_]>::is_empty),
            blocks: self.cidr_set.is_some_and(<[_]>::is_empty),
        }
    }

    /// Whether services are translated into all lists that are empty as written.
    fn empty_lists_can_be_filled(&self) -> bool {
        self.nodes.is_none() && self.entities.is_none() && self.cidr.is_none()
    }

    /// The entries of the one kind that is given.
    fn entries(&self, path: &str, scope: Scope<'_>) -> Result<Entries, InvalidPolicy> {
        let mut peers = Vec::new();
        let at = |index: usize| format!("{path}[{index}]");
        for (index, source) in self.endpoints.unwrap_or_default().iter().enumerate() {
            peers.push(PeerMatcher::Labels(select::peer(&at(index), source, scope)?));
        }
        for (index, source) in self.nodes.unwrap_or_default().iter().enumerate() {
            let labels = super::labels::LabelMatcher::new(select::read(&at(index), source, "any")?, false);
            peers.push(PeerMatcher::LabelledNodes { labels, with_own: false });
        }
        for (index, name) in self.entities.unwrap_or_default().iter().enumerate() {
            let entity =
                Entity::of(name).ok_or_else(|| invalid(at(index), format!("unknown entity \"{name}\"")))?;
            peers.push(PeerMatcher::Entity(entity));
        }
        for (index, text) in self.cidr.unwrap_or_default().iter().enumerate() {
            let cidr = block_or_address(text).ok_or_else(|| no_block(&at(index), text))?;
            peers.push(PeerMatcher::Outside(Block { cidr, except: Box::default() }));
        }
        for (index, source) in self.cidr_set.unwrap_or_default().iter().enumerate() {
            peers.push(cidr_rule(&at(index), source)?);
        }
        let external = self.groups.unwrap_or_default().iter();
        peers.extend(external.map(|group| PeerMatcher::External { label: group.label_key().into() }));
        for (index, source) in self.fqdns.unwrap_or_default().iter().enumerate() {
            let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
            if is_given(&source.match_name) && is_given(&source.match_pattern) {
                return Err(invalid(at(index), "matchName must not be combined with matchPattern"));
            }
            peers.push(PeerMatcher::Named(names(&at(index), source)?));
        }
        let services = self.services.unwrap_or_default();
        if services.is_empty() {
            return Ok(Entries::Peers(peers));
        }
        let services =
            services.iter().enumerate().filter_map(|(index, source)| service(&at(index), source).transpose());
        services.collect::<Result<_, _>>().map(Entries::Services)
    }
}

fn no_block(path: &str, text: &str) -> InvalidPolicy {
    invalid(path, format!("expected address/prefix length, found \"{text}\""))
}

/// A block as Go reads it: no leading zeros in the length. Host bits are masked.
pub(crate) fn block(text: &str) -> Option<IpNet> {
    let (_, length) = text.split_once('/')?;
    let has_leading_zero = length.len() > 1 && length.starts_with('0');
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<IpNet>().ok().filter(|_| is_number && !has_leading_zero).map(|block| block.trunc())
}

fn block_or_address(text: &str) -> Option<IpNet> {
    block(text).or_else(|| text.parse().ok().map(|address: IpAddr| IpNet::from(address)))
}

fn cidr_rule(path: &str, source: &CidrRule) -> Result<PeerMatcher, InvalidPolicy> {
    let CidrRule { cidr, cidr_group_ref, cidr_group_selector, except } = source;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (cidr, group) = (given(cidr), given(cidr_group_ref));
    let except_path = |index: usize| format!("{path}.except[{index}]");
    let except = except.as_deref().unwrap_or_default().iter().enumerate();
    let excepted = except.map(|(index, text)| {
        let block = if cidr.is_some() { block(text) } else { block_or_address(text) };
        block.ok_or_else(|| no_block(&except_path(index), text))
    });
    match (&cidr, &group, cidr_group_selector) {
        (Some(text), None, None) => {
            let cidr = block(text).ok_or_else(|| no_block(&format!("{path}.cidr"), text))?;
            let except: Box<[IpNet]> = excepted.collect::<Result<_, _>>()?;
            if let Some(index) = except.iter().position(|inner| !cidr.contains(inner)) {
                let reason = format!("{} does not lie inside {cidr}", except[index]);
                return Err(invalid(except_path(index), reason));
            }
            Ok(PeerMatcher::Outside(Block { cidr, except }))
        }
        (None, Some(name), None) => {
            Ok(PeerMatcher::Group { name: name.as_str().into(), except: excepted.collect::<Result<_, _>>()? })
        }
        (None, None, Some(source)) => groups(path, source, excepted.collect::<Result<_, _>>()?),
        _ => Err(invalid(path, "expected one of cidr, cidrGroupRef and cidrGroupSelector")),
    }
}

/// Groups by their labels. Cilium keeps selectors by how they are written, and the empty one is written as that of everyone:
/// it means pods and nodes as well (`identitySelector.IsWildcard` of pkg/policy/selectorcache_selector.go).
fn groups(path: &str, source: &LabelSelector, except: Box<[IpNet]>) -> Result<PeerMatcher, InvalidPolicy> {
    let path = format!("{path}.cidrGroupSelector");
    let selector = select::without_sources(&path, source, &["cidrgroup", "any"])?;
    Ok(if selector.requirements().is_empty() && except.is_empty() {
        PeerMatcher::AllGroups
    } else {
        PeerMatcher::Groups { selector, except }
    })
}

/// An entry that names neither a service nor a selector is about nothing.
fn service(path: &str, source: &ServiceSource) -> Result<Option<ServiceMatcher>, InvalidPolicy> {
    let namespace = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(Into::into);
    let ServiceSource { k8s_service, k8s_service_selector } = source;
    Ok(match (k8s_service_selector, k8s_service) {
        (Some(source), _) => {
            let everything = LabelSelector::default();
            let selector = source.selector.as_ref().unwrap_or(&everything);
            let path = format!("{path}.k8sServiceSelector.selector");
            // Sources play no part (`labelsMatcher` of pkg/policy/k8s/service.go).
            let requirements = select::read(&path, selector, "any")?.into_iter().map(|(key, test)| {
                (key.split_once(':').map_or(key.clone(), |(_, bare)| bare.to_owned()), test)
            });
            let which = Which::Labelled(crate::Selector::of(requirements));
            Some(ServiceMatcher { namespace: namespace(&source.namespace), which })
        }
        (None, Some(source)) => {
            let which = Which::Named(source.service_name.as_deref().unwrap_or_default().into());
            Some(ServiceMatcher { namespace: namespace(&source.namespace), which })
        }
        (None, None) => None,
    })
}
