//! Ends of connections as people write them.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use watchfire_model::{Peer, Protocol};

use super::state::{Party, State};

/// Most addresses of a name, and backends of a service, that are asked about.
const ENDS_MAX: usize = 8;

/// Who may be meant.
pub(super) struct Target {
    /// One for each address or backend, with the port where that is another.
    pub(super) ends: Vec<(Party, Option<u16>)>,
    /// How they were found, where it is not plain.
    pub(super) note: Option<String>,
    /// Whether a pod stands for its workload.
    is_workload: bool,
}

impl Target {
    fn one(party: Party) -> Self {
        Self { ends: vec![(party, None)], note: None, is_workload: false }
    }
}

/// A client: a pod, a workload, a node or an address.
pub(super) fn client(state: &State, text: &str) -> Result<Target> {
    match pod_or_address(state, text)? {
        Some(target) => Ok(target),
        None => bail!("--from {text}: {}", nobody(state, text)),
    }
}

/// A server: a pod, a workload, a service, a node, an address or a DNS name.
pub(super) fn server(state: &mut State, text: &str, port: u16, protocol: Protocol) -> Result<Target> {
    let of_pod = pod_or_address(state, text)?;
    // A service and a workload mostly have one name. Who names a port of the service means it.
    if of_pod.as_ref().is_none_or(|target| target.is_workload)
        && let Some(target) = service(state, text, port, protocol, of_pod.is_none())?
    {
        return Ok(target);
    }
    if let Some(target) = of_pod {
        return Ok(target);
    }
    if text.contains('/') || !text.contains('.') {
        bail!("--to {text}: {}", nobody(state, text));
    }
    name(state, text)
}

fn nobody(state: &State, text: &str) -> String {
    match text.split_once('/') {
        Some((namespace, _)) if !state.pods.keys().any(|(of, _)| of == namespace) => {
            format!("no pod is known in namespace {namespace}; expected NAMESPACE/POD, a node or an address")
        }
        Some(_) => "no pod, workload or service of this name is known".to_owned(),
        None => "expected NAMESPACE/POD, a node or an address".to_owned(),
    }
}

fn pod_or_address(state: &State, text: &str) -> Result<Option<Target>> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        let ip = ip.to_canonical();
        let peer = state.holder(ip);
        let note = match peer {
            Peer::Unresolved(why) => Some(format!("{ip}: {why}")),
            _ => None,
        };
        return Ok(Some(Target { note, ..Target::one(Party { peer, ip }) }));
    }
    if let Some(ips) = state.nodes.get(text)
        && let Some(ip) = ips.first()
    {
        return Ok(Some(Target::one(Party { peer: Peer::Node { name: text.into() }, ip: *ip })));
    }
    let Some((namespace, name)) = text.split_once('/') else {
        let found: Vec<_> = state.pods.values().filter(|pod| *pod.name == *text).collect();
        return match found.as_slice() {
            [] => Ok(None),
            [pod] => Ok(Some(Target::one(State::party(pod)))),
            _ => bail!("{text}: pods of several namespaces are called so; expected NAMESPACE/POD"),
        };
    };
    if let Some(pod) = state.pod(namespace, name) {
        return Ok(Some(Target::one(State::party(pod))));
    }
    let of_workload = state.pods.values().find(|pod| {
        let workload = pod.identity.workload.as_ref();
        *pod.identity.namespace == *namespace && workload.is_some_and(|workload| *workload.name == *name)
    });
    Ok(of_workload.map(|pod| {
        let note = Some(format!("{text}: by its pod {}", pod.name));
        Target { note, is_workload: true, ..Target::one(State::party(pod)) }
    }))
}

/// The backends of a service. None for one without the port, unless there is nobody else of the name.
fn service(state: &State, text: &str, port: u16, protocol: Protocol, is_all: bool) -> Result<Option<Target>> {
    let Some((namespace, name)) = text.split_once('/') else { return Ok(None) };
    let of_name = |service: &&watchfire_inventory::ServiceObject| {
        service.namespace == namespace && service.name == name
    };
    let Some(service) = state.services.iter().find(of_name) else { return Ok(None) };
    if !service.ports.iter().any(|one| one.port == port && one.protocol == protocol) {
        if !is_all {
            return Ok(None);
        }
        bail!("--to {text}: the service has no port {protocol} {port}");
    }
    let backends = service
        .ips
        .iter()
        .filter_map(|ip| state.directory.service(SocketAddr::new(*ip, port), protocol))
        .flat_map(|port| port.backends.clone());
    let mut backends: Vec<SocketAddr> = backends.collect();
    backends.dedup();
    if backends.is_empty() {
        bail!("--to {text}: the service has no endpoint that is known");
    }
    let note = format!("{text}: a service with {} endpoints", backends.len());
    let party = |backend: SocketAddr| Party { peer: state.holder(backend.ip()), ip: backend.ip() };
    let ends = backends.into_iter().take(ENDS_MAX).map(|backend| (party(backend), Some(backend.port())));
    Ok(Some(Target { ends: ends.collect(), note: Some(note), is_workload: false }))
}

/// The addresses of a DNS name: those that it was seen to have, or else those that it has here and now.
fn name(state: &mut State, text: &str) -> Result<Target> {
    let mut known: Vec<IpAddr> = state.named(text).collect();
    known.sort_unstable();
    let how = if known.is_empty() {
        let found =
            (text, 0).to_socket_addrs().with_context(|| format!("--to {text}: no address is known"))?;
        known = found.map(|address| address.ip().to_canonical()).collect();
        known.sort_unstable();
        known.dedup();
        for ip in &known {
            state.learn_names(*ip, [Arc::from(text.to_ascii_lowercase())]);
        }
        "as resolved here and now"
    } else {
        "as DNS was seen to answer"
    };
    let shown: Vec<_> = known.iter().take(ENDS_MAX).map(ToString::to_string).collect();
    let note = format!("{text}: {} {how}", shown.join(", "));
    let ends = known.into_iter().take(ENDS_MAX).map(|ip| (Party { peer: state.holder(ip), ip }, None));
    Ok(Target { ends: ends.collect(), note: Some(note), is_workload: false })
}
