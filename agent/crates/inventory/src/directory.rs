//! The pods, nodes and namespaces that are known, indexed for look-up.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use watchfire_model::{Namespace, Node, Peer, Pod, Protocol};

use crate::ServicePort;
use crate::kubelet::pod_uid;
use crate::services::{Service, Services};

/// The label that the API server puts on every namespace.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whom a cgroup belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CgroupOwner {
    /// A known pod.
    Pod(Arc<Pod>),
    /// A pod, by the name that kubelet gave the cgroup, that is not known.
    UnknownPod {
        /// Its `metadata.uid`.
        uid: String,
    },
    /// No pod.
    NoPod,
}

/// Facts about pods that contradict each other.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum DirectoryError {
    /// Two pods with one name.
    #[error("pod {0} is declared twice")]
    PodTwice(String),
    /// Two pods with one uid.
    #[error("pods {first} and {second} have the same uid {uid}")]
    UidTwice {
        /// The uid.
        uid: String,
        /// One pod.
        first: String,
        /// The other.
        second: String,
    },
    /// Two things with one address.
    #[error("{first} and {second} have the same address {address}")]
    AddressTwice {
        /// The address.
        address: IpAddr,
        /// One holder.
        first: String,
        /// The other.
        second: String,
    },
    /// Two pods with one cgroup.
    #[error("pods {first} and {second} have the same cgroup {cgroup}")]
    CgroupTwice {
        /// The cgroup.
        cgroup: String,
        /// One pod.
        first: String,
        /// The other.
        second: String,
    },
    /// Two services with one name.
    #[error("service {0} is declared twice")]
    ServiceTwice(String),
    /// Two ports of services with one address.
    #[error("services {first} and {second} have the same address {address}, {protocol}")]
    ServiceAddressTwice {
        /// Address and port.
        address: SocketAddr,
        /// Protocol of the port.
        protocol: Protocol,
        /// One service.
        first: String,
        /// The other.
        second: String,
    },
    /// A service with one endpoint twice.
    #[error("service {service} has the endpoint {address} twice")]
    EndpointTwice {
        /// The service.
        service: String,
        /// Address of the endpoint.
        address: IpAddr,
    },
    /// An endpoint's port that could stand for several ports of its service.
    #[error(
        "endpoint {address} of service {service} has a port, expected none: the service has several ports, each with a targetPort"
    )]
    EndpointPortAmbiguous {
        /// The service.
        service: String,
        /// Address of the endpoint.
        address: IpAddr,
    },
    /// The name of a port that the endpoint does not have.
    #[error(
        "port {port} of service {service} has targetPort {target}, expected a number or the name of a port of the pod at each endpoint: {address} has none of that name"
    )]
    TargetPortUnknown {
        /// The service.
        service: String,
        /// Name or number of its port.
        port: String,
        /// Name of the target port.
        target: String,
        /// Address of the endpoint.
        address: IpAddr,
    },
}

/// Pods, nodes and namespaces at one point in time.
#[derive(Clone, Default, Debug)]
pub struct Directory {
    namespaces: BTreeMap<String, Arc<Namespace>>,
    pods: BTreeMap<(String, String), Arc<Pod>>,
    by_uid: HashMap<String, Arc<Pod>>,
    by_cgroup: HashMap<String, Arc<Pod>>,
    by_address: HashMap<IpAddr, Peer>,
    services: Services,
    cluster: Vec<IpNet>,
    declared: bool,
}

impl Directory {
    /// Builds it. `pods` come with the cgroup that is theirs, where it is told.
    pub fn new(
        namespaces: Vec<Namespace>,
        nodes: Vec<Node>,
        pods: Vec<(Pod, Option<String>)>,
        cluster: Vec<IpNet>,
    ) -> Result<Self, DirectoryError> {
        let mut directory = Self { cluster, declared: true, ..Self::default() };
        for namespace in namespaces {
            directory.add_namespace(namespace);
        }
        for node in nodes {
            for address in node.ips {
                directory.add_address(address, Peer::Node { name: node.name.clone() })?;
            }
        }
        for (pod, cgroup) in pods {
            directory.add_pod(Arc::new(pod), cgroup)?;
        }
        Ok(directory)
    }

    /// Adds services to the pods that stand behind them.
    pub(crate) fn with_services(mut self, services: &[Service]) -> Result<Self, DirectoryError> {
        let mut added = Services::default();
        for service in services {
            added.add(service, &self)?;
        }
        self.services = added;
        Ok(self)
    }

    fn add_namespace(&mut self, mut namespace: Namespace) {
        let name = namespace.name.clone();
        namespace.labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.clone());
        self.namespaces.insert(name, Arc::new(namespace));
    }

    fn add_pod(&mut self, pod: Arc<Pod>, cgroup: Option<String>) -> Result<(), DirectoryError> {
        let title = pod_title(&pod);
        if !pod.uid.is_empty()
            && let Some(other) = self.by_uid.insert(pod.uid.clone(), Arc::clone(&pod))
        {
            return Err(DirectoryError::UidTwice {
                uid: pod.uid.clone(),
                first: pod_title(&other),
                second: title,
            });
        }
        if let Some(cgroup) = cgroup {
            let cgroup = format!("/{}", cgroup.trim_matches('/'));
            if let Some(other) = self.by_cgroup.insert(cgroup.clone(), Arc::clone(&pod)) {
                return Err(DirectoryError::CgroupTwice { cgroup, first: pod_title(&other), second: title });
            }
        }
        // The addresses of a host-network pod are its node's.
        if !pod.host_network {
            for &address in &pod.ips {
                self.add_address(address, Peer::Pod(Arc::clone(&pod)))?;
            }
        }
        match self.pods.insert((pod.namespace.clone(), pod.name.clone()), pod) {
            Some(_) => Err(DirectoryError::PodTwice(title)),
            None => Ok(()),
        }
    }

    fn add_address(&mut self, address: IpAddr, peer: Peer) -> Result<(), DirectoryError> {
        let address = address.to_canonical();
        let title = peer_title(&peer);
        match self.by_address.insert(address, peer) {
            Some(other) => {
                Err(DirectoryError::AddressTwice { address, first: peer_title(&other), second: title })
            }
            None => Ok(()),
        }
    }

    /// Whether anything was declared at all; without, nothing can be said about any address.
    #[must_use]
    pub const fn is_declared(&self) -> bool {
        self.declared
    }

    /// A namespace by name; none where it was not declared, since its labels are then not known.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// All namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.namespaces.values()
    }

    /// All pods, by namespace and name.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    /// Who has an address, as far as that was declared.
    #[must_use]
    pub fn holder(&self, address: IpAddr) -> Option<&Peer> {
        self.by_address.get(&address)
    }

    /// The service that has an address, with where a connection to it may lead.
    #[must_use]
    pub fn service(&self, address: SocketAddr, protocol: Protocol) -> Option<&Arc<ServicePort>> {
        self.services.at(address, protocol)
    }

    /// How many services there are.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// Whether an address lies in a range that the cluster gives to its pods.
    #[must_use]
    pub fn in_cluster(&self, address: IpAddr) -> bool {
        self.cluster.iter().any(|range| range.contains(&address))
    }

    /// Whom a cgroup (path below the v2 root, from `/`) belongs to: by the declared cgroups, then by the uid in the
    /// name that kubelet gave it.
    #[must_use]
    pub fn cgroup_owner(&self, path: &str) -> CgroupOwner {
        let mut prefix = path.trim_end_matches('/');
        while !self.by_cgroup.is_empty() && !prefix.is_empty() {
            if let Some(pod) = self.by_cgroup.get(prefix) {
                return CgroupOwner::Pod(Arc::clone(pod));
            }
            prefix = prefix.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        match pod_uid(path) {
            None => CgroupOwner::NoPod,
            Some(uid) => match self.by_uid.get(&uid) {
                Some(pod) => CgroupOwner::Pod(Arc::clone(pod)),
                None => CgroupOwner::UnknownPod { uid },
            },
        }
    }
}

fn pod_title(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

fn peer_title(peer: &Peer) -> String {
    match peer {
        Peer::Pod(pod) => format!("pod {}", pod_title(pod)),
        Peer::Node { name } => format!("node {name}"),
        Peer::World | Peer::Unresolved(_) => String::new(),
    }
}
