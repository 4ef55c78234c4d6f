//! The world of a case.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use watchfire_model::{ContainerPort, Identity, Labels, Peer, Pod};

use super::probe::{Address, Probe, Target};
use crate::{Service, World};

/// The world of a case.
#[derive(Clone, Default, Debug)]
pub(super) struct Cluster {
    namespaces: HashMap<String, Labels>,
    pods: HashMap<String, (Arc<Pod>, IpAddr)>,
    nodes: HashMap<IpAddr, String>,
    node_labels: HashMap<String, Labels>,
    services: Option<Vec<Service>>,
    names: Option<HashMap<IpAddr, Vec<Arc<str>>>>,
    api_server: Option<Vec<IpAddr>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamespaceSource {
    name: String,
    labels: Option<Labels>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PodSource {
    namespace: String,
    name: String,
    ip: IpAddr,
    ips: Option<Vec<IpAddr>>,
    labels: Option<Labels>,
    ports: Option<Vec<ContainerPort>>,
    host_network: Option<bool>,
    service_account: Option<String>,
    node: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(super) struct NodeSource {
    name: String,
    ip: Option<IpAddr>,
    ips: Option<Vec<IpAddr>>,
    labels: Option<Labels>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceSource {
    namespace: String,
    name: String,
    labels: Option<Labels>,
    selector: Option<Labels>,
    backends: Option<Vec<IpAddr>>,
}

impl Cluster {
    pub(super) fn new(
        namespaces: Option<Vec<NamespaceSource>>,
        pods: Option<Vec<PodSource>>,
        nodes: Option<Vec<NodeSource>>,
    ) -> Self {
        let mut cluster = Self::default();
        for namespace in namespaces.into_iter().flatten() {
            cluster.namespaces.insert(namespace.name, namespace.labels.unwrap_or_default());
        }
        // Pods that are alike share an identity, as those of the inventory do.
        let mut identities = HashSet::<Arc<Identity>>::new();
        for pod in pods.into_iter().flatten() {
            cluster.namespaces.entry(pod.namespace.clone()).or_default();
            let (title, ip) = (format!("{}/{}", pod.namespace, pod.name), pod.ip);
            let mut pod = Pod::from(pod);
            match identities.get(&pod.identity) {
                Some(known) => pod.identity = Arc::clone(known),
                None => _ = identities.insert(Arc::clone(&pod.identity)),
            }
            cluster.pods.insert(title, (Arc::new(pod), ip));
        }
        for node in nodes.into_iter().flatten() {
            cluster.node_labels.insert(node.name.clone(), node.labels.unwrap_or_default());
            for ip in node.ips.into_iter().flatten().chain(node.ip) {
                cluster.nodes.insert(ip, node.name.clone());
            }
        }
        cluster
    }

    /// What the case says of services, names and the API server; what it does not say is not known.
    pub(super) fn tell(
        &mut self,
        services: Option<Vec<ServiceSource>>,
        names: Option<HashMap<IpAddr, Vec<Arc<str>>>>,
        api_server: Option<Vec<IpAddr>>,
    ) {
        let service = |source| {
            let ServiceSource { namespace, name, labels, selector, backends } = source;
            Service {
                namespace,
                name,
                labels: labels.unwrap_or_default(),
                selector: selector.unwrap_or_default(),
                backends: backends.unwrap_or_default(),
            }
        };
        self.services = services.map(|services| services.into_iter().map(service).collect());
        (self.names, self.api_server) = (names, api_server);
    }

    /// Who a probe means, and the address they have. None for a pod that the case does not describe.
    pub(super) fn resolve(&self, target: &Target) -> Option<(Peer, IpAddr)> {
        match target {
            Target::Pod(name) => self.pods.get(name).map(|(pod, ip)| (Peer::Pod(Arc::clone(pod)), *ip)),
            Target::Other(Address { ip, unresolved: true }) => {
                Some((Peer::Unresolved("as the case says"), *ip))
            }
            Target::Other(Address { ip, unresolved: false }) => Some((self.owner(*ip), *ip)),
        }
    }

    fn owner(&self, ip: IpAddr) -> Peer {
        if let Some(name) = self.nodes.get(&ip) {
            return Peer::Node { name: name.as_str().into() };
        }
        let mut pods = self.pods.values().filter(|(pod, _)| pod.ips.contains(ip));
        match (pods.next(), pods.next()) {
            (Some((pod, _)), None) => Peer::Pod(Arc::clone(pod)),
            (Some(_), Some(_)) => Peer::Unresolved("several pods have the address"),
            (None, _) => Peer::World,
        }
    }

    pub(super) fn check(&self, probe: &Probe) -> Result<(), String> {
        [&probe.from, &probe.to]
            .into_iter()
            .find(|target| self.resolve(target).is_none())
            .map_or(Ok(()), |target| Err(format!("probe {probe}: no pod {target} in this case")))
    }
}

impl From<PodSource> for Pod {
    fn from(source: PodSource) -> Self {
        let PodSource { namespace, name, ip, ips, labels, ports, host_network, service_account, node } =
            source;
        let identity = Identity {
            namespace: namespace.into(),
            labels: labels.unwrap_or_default(),
            ports: ports.unwrap_or_default(),
            host_network: host_network.unwrap_or(false),
            service_account: service_account.map(Into::into),
            workload: None,
        };
        Self {
            name: name.into(),
            uid: None,
            identity: Arc::new(identity),
            ips: std::iter::once(ip).chain(ips.into_iter().flatten()).collect(),
            node: node.map(Into::into),
        }
    }
}

impl World for Cluster {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.namespaces.get(namespace)
    }

    fn node_labels(&self, node: &str) -> Option<&Labels> {
        self.node_labels.get(node)
    }

    /// Where a case names any, addresses that it leaves out have none.
    fn names(&self, address: IpAddr) -> Option<&[Arc<str>]> {
        self.names.as_ref().map(|names| names.get(&address).map_or(&[][..], Vec::as_slice))
    }

    fn services(&self) -> Option<&[Service]> {
        self.services.as_deref()
    }

    fn api_server(&self) -> Option<&[IpAddr]> {
        self.api_server.as_deref()
    }
}
