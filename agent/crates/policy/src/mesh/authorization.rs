//! `AuthorizationPolicy`: from the object as written to rules. Fields about requests are kept as something that cannot be told.

use std::sync::Arc;

use ipnet::IpNet;
use watchfire_model::PolicyRef;

use super::Scope;
use super::authentication::reference;
use super::object::{AuthorizationSpec, Condition, Object, Operation, Rule, Source, WorkloadSelector};
use super::rules::{AuthorizationRules, Fields, StringMatch};
use crate::compile::{InvalidPolicy, invalid, number, selector};

/// What becomes of connections that match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthorizationAction {
    /// They may pass, and no others.
    Allow,
    /// They may not.
    Deny,
    /// They are recorded.
    Audit,
    /// Something outside decides.
    Custom,
}

/// A policy of this kind.
#[derive(Clone, PartialEq, Debug)]
pub struct Authorization {
    pub(super) reference: Arc<PolicyRef>,
    pub(super) scope: Scope,
    pub(super) action: AuthorizationAction,
    pub(super) rules: AuthorizationRules,
    /// Whether it is for a gateway or waypoint, which nodes do not see.
    pub(super) is_targeted: bool,
    /// Whether it is only tried out.
    pub(super) is_dry_run: bool,
}

pub(super) fn compile(source: &Object<AuthorizationSpec>) -> Result<Authorization, InvalidPolicy> {
    let reference = reference("AuthorizationPolicy", source.metadata.as_ref())?;
    let nothing = AuthorizationSpec::default();
    let spec = source.spec.as_ref().unwrap_or(&nothing);
    let action = match spec.action.as_deref() {
        None | Some("ALLOW") => AuthorizationAction::Allow,
        Some("DENY") => AuthorizationAction::Deny,
        Some("AUDIT") => AuthorizationAction::Audit,
        Some("CUSTOM") => AuthorizationAction::Custom,
        Some(other) => return Err(invalid("spec.action", format!("unknown action \"{other}\""))),
    };
    if spec.provider.is_some() != (action == AuthorizationAction::Custom) {
        return Err(invalid("spec.provider", "belongs to the action CUSTOM and to no other"));
    }
    let labels = spec.selector.as_ref().map(WorkloadSelector::labels);
    let labels =
        labels.filter(|labels| labels.match_labels.as_ref().is_some_and(|labels| !labels.is_empty()));
    let selector = labels.map(|labels| selector("spec.selector", &labels)).transpose()?;
    let rules = spec.rules.iter().flatten().enumerate();
    let namespace = reference.namespace.clone();
    let rules = rules.map(|(index, source)| rule(&format!("spec.rules[{index}]"), source, &namespace));
    Ok(Authorization {
        scope: Scope { namespace: reference.namespace.clone(), selector },
        reference: Arc::new(reference),
        action,
        rules: AuthorizationRules(rules.collect::<Result<_, _>>()?),
        is_targeted: spec.target_ref.is_some()
            || spec.target_refs.as_ref().is_some_and(|refs| !refs.is_empty()),
        is_dry_run: false,
    })
}

fn rule(path: &str, source: &Rule, namespace: &str) -> Result<Vec<Vec<Fields>>, InvalidPolicy> {
    let mut clauses = Vec::new();
    if let Some(sources) = source.from.as_ref().filter(|sources| !sources.is_empty()) {
        let mut clause = Vec::new();
        for (index, from) in sources.iter().enumerate() {
            let path = format!("{path}.from[{index}].source");
            let source = from.source.as_ref().ok_or_else(|| invalid(&path, "a source is required"))?;
            clause.push(of_source(&path, source, namespace)?);
        }
        clauses.push(clause);
    }
    if let Some(operations) = source.to.as_ref().filter(|operations| !operations.is_empty()) {
        let mut clause = Vec::new();
        for (index, to) in operations.iter().enumerate() {
            let path = format!("{path}.to[{index}].operation");
            let operation =
                to.operation.as_ref().ok_or_else(|| invalid(&path, "an operation is required"))?;
            clause.push(of_operation(&path, operation)?);
        }
        clauses.push(clause);
    }
    for (index, condition) in source.when.iter().flatten().enumerate() {
        clauses.push(vec![of_condition(&format!("{path}.when[{index}]"), condition)?]);
    }
    Ok(clauses)
}

fn is_given(values: &Option<Vec<String>>) -> bool {
    values.as_ref().is_some_and(|values| !values.is_empty())
}

fn strings(values: &Option<Vec<String>>) -> Vec<StringMatch> {
    values.iter().flatten().map(|value| StringMatch::of(value)).collect()
}

fn blocks(path: &str, values: &Option<Vec<String>>) -> Result<Vec<IpNet>, InvalidPolicy> {
    let read = |text: &String| {
        let host = || text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address));
        crate::address::parse_cidr(text)
            .or_else(host)
            .ok_or_else(|| invalid(path, format!("expected an address or a block, found \"{text}\"")))
    };
    values.iter().flatten().map(read).collect()
}

fn ports(path: &str, values: &Option<Vec<String>>) -> Result<Vec<u16>, InvalidPolicy> {
    let read = |text: &String| {
        let port = text.parse().map_err(|_| invalid(path, format!("expected a port, found \"{text}\"")))?;
        number(path, port)
    };
    values.iter().flatten().map(read).collect()
}

/// Accounts without a namespace are of the policy's own.
fn accounts(values: &Option<Vec<String>>, namespace: &str) -> Vec<String> {
    let full = |name: &String| if name.contains('/') { name.clone() } else { format!("{namespace}/{name}") };
    values.iter().flatten().map(full).collect()
}

fn of_source(path: &str, source: &Source, namespace: &str) -> Result<Fields, InvalidPolicy> {
    let of_requests = [
        &source.remote_ip_blocks,
        &source.not_remote_ip_blocks,
        &source.request_principals,
        &source.not_request_principals,
    ];
    Ok(Fields {
        principals: strings(&source.principals),
        not_principals: strings(&source.not_principals),
        namespaces: strings(&source.namespaces),
        not_namespaces: strings(&source.not_namespaces),
        service_accounts: accounts(&source.service_accounts, namespace),
        not_service_accounts: accounts(&source.not_service_accounts, namespace),
        source_ips: blocks(path, &source.ip_blocks)?,
        not_source_ips: blocks(path, &source.not_ip_blocks)?,
        needs_l7: of_requests.into_iter().any(is_given),
        ..Fields::default()
    })
}

fn of_operation(path: &str, source: &Operation) -> Result<Fields, InvalidPolicy> {
    let of_requests = [
        &source.hosts,
        &source.not_hosts,
        &source.methods,
        &source.not_methods,
        &source.paths,
        &source.not_paths,
    ];
    Ok(Fields {
        destination_ports: ports(path, &source.ports)?,
        not_destination_ports: ports(path, &source.not_ports)?,
        needs_l7: of_requests.into_iter().any(is_given),
        ..Fields::default()
    })
}

fn of_condition(path: &str, source: &Condition) -> Result<Fields, InvalidPolicy> {
    let Condition { key, values, not_values } = source;
    let mut fields = Fields::default();
    match key.as_str() {
        "source.ip" => {
            (fields.source_ips, fields.not_source_ips) = (blocks(path, values)?, blocks(path, not_values)?);
        }
        "source.namespace" => {
            (fields.namespaces, fields.not_namespaces) = (strings(values), strings(not_values));
        }
        "source.principal" => {
            (fields.principals, fields.not_principals) = (strings(values), strings(not_values));
        }
        "destination.ip" => {
            (fields.destination_ips, fields.not_destination_ips) =
                (blocks(path, values)?, blocks(path, not_values)?);
        }
        "destination.port" => {
            (fields.destination_ports, fields.not_destination_ports) =
                (ports(path, values)?, ports(path, not_values)?);
        }
        _ => fields.needs_l7 = true,
    }
    Ok(fields)
}
