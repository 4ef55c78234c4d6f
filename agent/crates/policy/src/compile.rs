//! From the object as written to the policy that is matched. Everything that the API server refuses is refused here
//! (kubernetes/kubernetes, pkg/apis/networking/validation), apart from the syntax of names and labels: a malformed
//! one matches nothing.

use watchfire_model::{Direction, Protocol};

use crate::address::{Block, parse_cidr, strictly_inside};
use crate::network::{Network, NetworkPeer, NetworkPort, NetworkRule};
use crate::policy::Body;
use crate::port::PortTest;
use crate::{
    IntOrString, IpBlock, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec, Policy, Selector,
};

/// Kind and namespace under which the API server stores what names none.
const KIND: &str = "NetworkPolicy";
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// Longest port name, in bytes (RFC 6335, 5.1).
const PORT_NAME_BYTES_MAX: usize = 15;

/// Why an object is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct InvalidPolicy {
    /// The place in the object, e.g. `spec.ingress[0].from[1].ipBlock.cidr`.
    pub path: String,
    /// What was expected and what was found.
    pub reason: String,
}

impl TryFrom<&NetworkPolicy> for Policy {
    type Error = InvalidPolicy;

    fn try_from(source: &NetworkPolicy) -> Result<Self, InvalidPolicy> {
        let metadata = source.metadata.as_ref();
        let name = metadata
            .and_then(|metadata| metadata.name.clone())
            .filter(|name| !name.is_empty())
            .ok_or_else(|| invalid("metadata.name", "a name is required"))?;
        let namespace = metadata
            .and_then(|metadata| metadata.namespace.clone())
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        // The API server stores an object without a spec: it selects every pod and allows nothing in.
        let no_spec = NetworkPolicySpec::default();
        let spec = source.spec.as_ref().unwrap_or(&no_spec);

        let ingress = rules("spec.ingress", spec.ingress.as_deref(), "from", |rule| {
            (rule.from.as_deref(), rule.ports.as_deref())
        })?;
        let egress = rules("spec.egress", spec.egress.as_deref(), "to", |rule| {
            (rule.to.as_deref(), rule.ports.as_deref())
        })?;
        let subjects = spec
            .pod_selector
            .as_ref()
            .map_or_else(|| Ok(Selector::default()), |source| selector("spec.podSelector", source))?;
        let network = Network { subjects, types: directions(spec)?, ingress, egress };
        Ok(Self::new(KIND, namespace, name, Body::Network(network)))
    }
}

/// The directions that `policyTypes` lists.
fn directions(spec: &NetworkPolicySpec) -> Result<Box<[Direction]>, InvalidPolicy> {
    let listed = spec.policy_types.as_deref().unwrap_or_default();
    if listed.len() > 2 {
        return Err(invalid("spec.policyTypes", "expected at most two entries"));
    }
    listed
        .iter()
        .enumerate()
        .map(|(index, direction)| match direction.as_str() {
            "Ingress" => Ok(Direction::Ingress),
            "Egress" => Ok(Direction::Egress),
            other => Err(invalid(
                format!("spec.policyTypes[{index}]"),
                format!("expected Ingress or Egress, found \"{other}\""),
            )),
        })
        .collect()
}

fn rules<R>(
    path: &str,
    source: Option<&[R]>,
    peers_field: &str,
    parts: impl Fn(&R) -> (Option<&[NetworkPolicyPeer]>, Option<&[NetworkPolicyPort]>),
) -> Result<Box<[NetworkRule]>, InvalidPolicy> {
    let mut compiled = Vec::new();
    for (index, rule) in source.unwrap_or_default().iter().enumerate() {
        let (peers, ports) = parts(rule);
        compiled.push(NetworkRule {
            peers: entries(&format!("{path}[{index}].{peers_field}"), peers, peer)?,
            ports: entries(&format!("{path}[{index}].ports"), ports, port)?,
        });
    }
    Ok(compiled.into())
}

/// Compiles a list of which absent and empty alike mean "no restriction".
fn entries<S, C>(
    path: &str,
    source: Option<&[S]>,
    compile: impl Fn(&str, &S) -> Result<C, InvalidPolicy>,
) -> Result<Option<Box<[C]>>, InvalidPolicy> {
    source
        .filter(|entries| !entries.is_empty())
        .map(|entries| {
            entries
                .iter()
                .enumerate()
                .map(|(index, entry)| compile(&format!("{path}[{index}]"), entry))
                .collect()
        })
        .transpose()
}

fn peer(path: &str, source: &NetworkPolicyPeer) -> Result<NetworkPeer, InvalidPolicy> {
    let NetworkPolicyPeer { pod_selector, namespace_selector, ip_block } = source;
    let read = |field: &str, source: &Option<LabelSelector>| {
        source.as_ref().map(|source| selector(&format!("{path}.{field}"), source)).transpose()
    };
    match (pod_selector, namespace_selector, ip_block) {
        (None, None, None) => {
            Err(invalid(path, "expected podSelector, namespaceSelector or ipBlock, found none"))
        }
        (None, None, Some(source)) => block(&format!("{path}.ipBlock"), source).map(NetworkPeer::Block),
        (_, _, Some(_)) => Err(invalid(path, "ipBlock must not be combined with a selector in one entry")),
        (pods, namespaces, None) => Ok(NetworkPeer::Pods {
            pods: read("podSelector", pods)?,
            namespaces: read("namespaceSelector", namespaces)?,
        }),
    }
}

fn block(path: &str, source: &IpBlock) -> Result<Block, InvalidPolicy> {
    let IpBlock { cidr, except } = source;
    let read = |path: String, text: &str| {
        parse_cidr(text)
            .ok_or_else(|| invalid(path, format!("expected address/prefix length, found \"{text}\"")))
    };
    let outer = read(format!("{path}.cidr"), cidr.as_deref().unwrap_or_default())?;
    let except = except
        .iter()
        .flatten()
        .enumerate()
        .map(|(index, text)| {
            let path = format!("{path}.except[{index}]");
            let inner = read(path.clone(), text)?;
            if strictly_inside(&inner, &outer) {
                Ok(inner)
            } else {
                Err(invalid(path, format!("{inner} does not lie strictly inside {outer}")))
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Block { cidr: outer, except })
}

fn port(path: &str, source: &NetworkPolicyPort) -> Result<NetworkPort, InvalidPolicy> {
    let NetworkPolicyPort { protocol, port, end_port } = source;
    let protocol = match protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(other) => {
            let reason = format!("expected TCP, UDP or SCTP, found \"{other}\"");
            return Err(invalid(format!("{path}.protocol"), reason));
        }
    };
    let end_path = || format!("{path}.endPort");
    let ports = match (port, end_port) {
        (None, None) => PortTest::Any,
        (Some(IntOrString::Int(first)), None) => {
            let first = number(&format!("{path}.port"), *first)?;
            PortTest::Range(first..=first)
        }
        (Some(IntOrString::Int(first)), Some(last)) => {
            let first = number(&format!("{path}.port"), *first)?;
            let last = number(&end_path(), *last)?;
            if last < first {
                return Err(invalid(end_path(), format!("{last} is less than port {first}")));
            }
            PortTest::Range(first..=last)
        }
        (Some(IntOrString::String(name)), None) if is_port_name(name) => {
            PortTest::Named(name.as_str().into())
        }
        (Some(IntOrString::String(name)), None) => {
            let reason = format!(
                "expected a port name of at most {PORT_NAME_BYTES_MAX} lower-case letters, digits and single \
                 hyphens with a letter among them, found \"{name}\""
            );
            return Err(invalid(format!("{path}.port"), reason));
        }
        (Some(IntOrString::String(_)), Some(_)) => {
            return Err(invalid(end_path(), "must not be set where port is a name"));
        }
        (None, Some(_)) => return Err(invalid(end_path(), "must not be set without port")),
    };
    Ok(NetworkPort { protocol, ports })
}

pub(crate) fn number(path: &str, number: i64) -> Result<u16, InvalidPolicy> {
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| invalid(path, format!("expected a port from 1 to 65535, found {number}")))
}

fn is_port_name(name: &str) -> bool {
    name.len() <= PORT_NAME_BYTES_MAX
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !(name.starts_with('-') || name.ends_with('-') || name.contains("--"))
}

pub(crate) fn selector(path: &str, source: &LabelSelector) -> Result<Selector, InvalidPolicy> {
    Selector::compile(source).map_err(|error| invalid(format!("{path}.{}", error.path), error.reason))
}

pub(crate) fn invalid(path: impl Into<String>, reason: impl Into<String>) -> InvalidPolicy {
    InvalidPolicy { path: path.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests;
