//! From Cilium's objects as written to rules. What Cilium refuses is refused (`Rule.Sanitize` of
//! pkg/policy/api/rule_validation.go).

use std::sync::Arc;

use watchfire_model::{Direction, Tier};

use super::l3;
use super::l4::{self, List};
use super::labels::LabelMatcher;
use super::object::{Authentication, CidrGroup, CiliumPolicy, Element, RuleSource, keys};
use super::select::{self, Scope};
use crate::Policy;
use crate::compile::{DEFAULT_NAMESPACE, InvalidPolicy, invalid};
use crate::groups::Group;
use crate::netpol::ObjectMeta;
use crate::policy::Body;
use crate::rule::{Action, Place, Requires, Rule, Subject};

const NAMESPACED: &str = "CiliumNetworkPolicy";
const CLUSTERWIDE: &str = "CiliumClusterwideNetworkPolicy";
const GROUP: &str = "CiliumCIDRGroup";

pub(crate) fn name_of(metadata: Option<&ObjectMeta>) -> Result<String, InvalidPolicy> {
    metadata
        .and_then(|metadata| metadata.name.clone())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| invalid("metadata.name", "a name is required"))
}

/// Compiles a policy of either kind.
pub(crate) fn policy(source: &CiliumPolicy, is_clusterwide: bool) -> Result<Policy, InvalidPolicy> {
    let name = name_of(source.metadata.as_ref())?;
    let written = source.metadata.as_ref().and_then(|metadata| metadata.namespace.clone());
    let namespace = (!is_clusterwide)
        .then(|| written.filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()));
    let mut rules = Vec::new();
    if source.spec.is_none() && source.specs.is_none() {
        return Err(invalid("spec", "expected spec or specs, found neither"));
    }
    if let Some(rule) = &source.spec {
        rule.compile("spec", None, namespace.as_deref(), &mut rules)?;
    }
    for (rule, index) in source.specs.iter().flatten().zip(0..) {
        rule.compile(&format!("specs[{index}]"), Some(index), namespace.as_deref(), &mut rules)?;
    }
    let kind = if is_clusterwide { CLUSTERWIDE } else { NAMESPACED };
    Ok(Policy::new(kind, namespace.unwrap_or_default(), name, Body::Cilium(rules.into())))
}

/// Compiles a group of blocks.
pub(crate) fn group(source: &CidrGroup) -> Result<Policy, InvalidPolicy> {
    let name = name_of(source.metadata.as_ref())?;
    let listed = source.spec.as_ref().and_then(|spec| spec.external_cidrs.as_deref()).unwrap_or_default();
    let blocks = listed.iter().enumerate().map(|(index, text)| {
        l3::block(text).ok_or_else(|| {
            let reason = format!("expected address/prefix length, found \"{text}\"");
            invalid(format!("spec.externalCIDRs[{index}]"), reason)
        })
    });
    let blocks = blocks.collect::<Result<_, _>>()?;
    let labels = source.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    Ok(Policy::new(GROUP, String::new(), name, Body::Group(Group { labels, blocks })))
}

impl RuleSource {
    fn compile(
        &self,
        path: &str,
        spec: Option<u32>,
        namespace: Option<&str>,
        rules: &mut Vec<Arc<Rule>>,
    ) -> Result<(), InvalidPolicy> {
        let lists = [
            ("ingress", &self.ingress, Direction::Ingress, false),
            ("ingressDeny", &self.ingress_deny, Direction::Ingress, true),
            ("egress", &self.egress, Direction::Egress, false),
            ("egressDeny", &self.egress_deny, Direction::Egress, true),
        ];
        let is_empty = |list: &Option<Vec<Element>>| list.as_ref().is_none_or(Vec::is_empty);
        if lists.iter().all(|(_, list, ..)| is_empty(list)) {
            return Err(invalid(
                path,
                "expected an entry in ingress, ingressDeny, egress or egressDeny, found none",
            ));
        }
        let subject = self.subject(path, namespace)?;
        let of_nodes = matches!(*subject, Subject::Nodes { .. });
        let init = |selector: &crate::LabelSelector| keys(selector).any(|key| key == "reserved:init");
        let scope = Scope { namespace, selects_init: self.endpoint_selector.as_ref().is_some_and(init) };
        let switches = self.enable_default_deny.unwrap_or_default();
        for (field, list, direction, denies) in lists {
            let switch = match direction {
                Direction::Ingress => switches.ingress,
                Direction::Egress => switches.egress,
            };
            for (source, index) in list.iter().flatten().zip(0..) {
                let path = format!("{path}.{field}[{index}]");
                let list = List { direction, denies, of_nodes };
                source.check_fields(&path, list)?;
                let l4 = l4::read(&path, source.to_ports.as_deref(), source.icmps.as_deref(), list)?;
                let (peers, node_labels) = l3::read(&path, source, list, scope, &l4.ports)?;
                rules.push(Arc::new(Rule {
                    tier: Tier::Normal,
                    priority: 0,
                    direction,
                    action: if denies { Action::Deny } else { Action::Allow },
                    isolates: switch.unwrap_or(true),
                    subject: Arc::clone(&subject),
                    peers,
                    ports: l4.ports,
                    place: Place { spec, deny_list: denies, rule: Some(index) },
                    needs_l7: l4.needs_l7,
                    needs_auth: needs_auth(&path, source.authentication.as_ref())?,
                    requires: Requires { node_labels, extended_protocols: l4.lacks_port },
                }));
            }
        }
        Ok(())
    }

    fn subject(&self, path: &str, namespace: Option<&str>) -> Result<Arc<Subject>, InvalidPolicy> {
        match (&self.endpoint_selector, &self.node_selector) {
            (None, None) => Err(invalid(path, "expected endpointSelector or nodeSelector, found neither")),
            (Some(_), Some(_)) => {
                Err(invalid(path, "endpointSelector must not be combined with nodeSelector"))
            }
            (None, Some(_)) if namespace.is_some() => {
                Err(invalid(format!("{path}.nodeSelector"), "only clusterwide policies may select nodes"))
            }
            (None, Some(source)) => {
                let requirements = select::read(&format!("{path}.nodeSelector"), source, "any")?;
                Ok(Arc::new(Subject::Nodes { labels: LabelMatcher::new(requirements, false) }))
            }
            (Some(source), None) => {
                let labels = select::subject(&format!("{path}.endpointSelector"), source, namespace)?;
                Ok(Arc::new(Subject::Endpoints { namespace: namespace.map(Arc::from), labels }))
            }
        }
    }
}

impl Element {
    /// Refuses fields that the list's entries do not have.
    fn check_fields(&self, path: &str, list: List) -> Result<(), InvalidPolicy> {
        let is_ingress = list.direction == Direction::Ingress;
        let from = [
            ("fromEndpoints", self.from_endpoints.is_some()),
            ("fromNodes", self.from_nodes.is_some()),
            ("fromEntities", self.from_entities.is_some()),
            ("fromCIDR", self.from_cidr.is_some()),
            ("fromCIDRSet", self.from_cidr_set.is_some()),
            ("fromGroups", self.from_groups.is_some()),
            ("fromRequires", self.from_requires.is_some()),
        ];
        let to = [
            ("toEndpoints", self.to_endpoints.is_some()),
            ("toNodes", self.to_nodes.is_some()),
            ("toEntities", self.to_entities.is_some()),
            ("toCIDR", self.to_cidr.is_some()),
            ("toCIDRSet", self.to_cidr_set.is_some()),
            ("toGroups", self.to_groups.is_some()),
            ("toRequires", self.to_requires.is_some()),
            ("toServices", self.to_services.is_some()),
            ("toFQDNs", self.to_fqdns.is_some()),
        ];
        let other_way = if is_ingress { &to[..] } else { &from[..] };
        let of_allowing =
            [("toFQDNs", self.to_fqdns.is_some()), ("authentication", self.authentication.is_some())];
        let misplaced = other_way.iter().chain(of_allowing.iter().filter(|_| list.denies));
        if let Some((field, _)) = misplaced.into_iter().find(|(_, is_there)| *is_there) {
            return Err(invalid(format!("{path}.{field}"), "unknown field in this list"));
        }
        let (field, required) = match list.direction {
            Direction::Ingress => ("fromRequires", &self.from_requires),
            Direction::Egress => ("toRequires", &self.to_requires),
        };
        if required.as_ref().is_some_and(|required| !required.is_empty()) {
            return Err(invalid(
                format!("{path}.{field}"),
                "no longer served: since Cilium 1.19 it must be empty",
            ));
        }
        Ok(())
    }
}

fn needs_auth(path: &str, source: Option<&Authentication>) -> Result<bool, InvalidPolicy> {
    match source.map(|source| source.mode.as_deref().unwrap_or_default()) {
        None | Some("disabled") => Ok(false),
        Some("required" | "test-always-fail") => Ok(true),
        Some(other) => {
            let reason = format!("expected disabled, required or test-always-fail, found \"{other}\"");
            Err(invalid(format!("{path}.authentication.mode"), reason))
        }
    }
}
