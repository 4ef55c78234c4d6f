//! What an inventory file must not say: the API would not let it be, so it is a mistake.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use watchfire_model::{PodUid, Protocol};

use super::service::{Endpoint, Port, Service, TargetPort};
use crate::{EndpointPort, EndpointSliceObject, NodeObject, PodObject, ServiceObject, ServicePortObject};

/// Facts that contradict each other.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum Contradiction {
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

/// Who has which address.
pub(super) type Holders<'a> = HashMap<IpAddr, Holder<'a>>;

#[derive(Clone, Copy)]
pub(super) enum Holder<'a> {
    Pod(&'a PodObject),
    Node(&'a str),
}

impl Holder<'_> {
    fn title(self) -> String {
        match self {
            Self::Pod(pod) => format!("pod {}", title(&pod.namespace, &pod.name)),
            Self::Node(name) => format!("node {name}"),
        }
    }
}

/// Checks nodes and pods, each pod with its declared cgroup, and answers who has which address.
pub(super) fn pods_and_nodes<'a>(
    nodes: &'a [NodeObject],
    pods: &'a [(PodObject, Option<String>)],
) -> Result<Holders<'a>, Contradiction> {
    let mut holders = Holders::new();
    for node in nodes {
        for &address in &node.ips {
            hold(&mut holders, address, Holder::Node(&node.name))?;
        }
    }
    let mut names = HashSet::new();
    let mut uids: HashMap<PodUid, String> = HashMap::new();
    let mut cgroups: HashMap<&str, String> = HashMap::new();
    for (pod, cgroup) in pods {
        let own = title(&pod.namespace, &pod.name);
        if let Some(uid) = PodUid::parse(&pod.uid)
            && let Some(first) = uids.insert(uid, own.clone())
        {
            return Err(Contradiction::UidTwice { uid: pod.uid.clone(), first, second: own });
        }
        if let Some(cgroup) = cgroup.as_deref()
            && let Some(first) = cgroups.insert(cgroup, own.clone())
        {
            return Err(Contradiction::CgroupTwice { cgroup: cgroup.to_owned(), first, second: own });
        }
        // The addresses of a host-network pod are its node's.
        for &address in pod.ips.iter().filter(|_| !pod.host_network) {
            hold(&mut holders, address, Holder::Pod(pod))?;
        }
        if !names.insert(own.clone()) {
            return Err(Contradiction::PodTwice(own));
        }
    }
    Ok(holders)
}

fn hold<'a>(holders: &mut Holders<'a>, address: IpAddr, holder: Holder<'a>) -> Result<(), Contradiction> {
    let address = address.to_canonical();
    match holders.insert(address, holder) {
        Some(other) => {
            Err(Contradiction::AddressTwice { address, first: other.title(), second: holder.title() })
        }
        None => Ok(()),
    }
}

/// Checks services, and turns them into what the API would tell of them: an endpoint becomes a slice of its own, since
/// each may have ports of its own.
pub(super) fn services(
    services: Vec<Service>,
    holders: &Holders<'_>,
) -> Result<Vec<(ServiceObject, Vec<EndpointSliceObject>)>, Contradiction> {
    let mut names = HashSet::new();
    let mut addresses: HashMap<(SocketAddr, Protocol), String> = HashMap::new();
    let mut checked = Vec::new();
    for service in services {
        let own = title(&service.namespace, &service.name);
        if !names.insert(own.clone()) {
            return Err(Contradiction::ServiceTwice(own));
        }
        let slices = slices(&service, &own, holders)?;
        for port in &service.ports {
            for ip in &service.cluster_ips {
                let address = SocketAddr::new(ip.to_canonical(), port.port);
                let protocol = port.protocol;
                if let Some(first) = addresses.insert((address, protocol), own.clone()) {
                    return Err(Contradiction::ServiceAddressTwice { address, protocol, first, second: own });
                }
            }
        }
        checked.push((object(service), slices));
    }
    Ok(checked)
}

fn slices(
    service: &Service,
    own: &str,
    holders: &Holders<'_>,
) -> Result<Vec<EndpointSliceObject>, Contradiction> {
    let mut seen = HashSet::new();
    let mut slices = Vec::new();
    for (at, endpoint) in service.endpoints.iter().enumerate() {
        let address = endpoint.ip.to_canonical();
        if !seen.insert((address, endpoint.port)) {
            return Err(Contradiction::EndpointTwice { service: own.to_owned(), address });
        }
        if endpoint.port.is_some() && service.ports.len() > 1 {
            return Err(Contradiction::EndpointPortAmbiguous { service: own.to_owned(), address });
        }
        let port = |(index, port): (usize, &Port)| {
            let number = target(own, port, endpoint, holders)?;
            Ok(EndpointPort { name: port_name(index, port), port: Some(number), protocol: port.protocol })
        };
        slices.push(EndpointSliceObject {
            namespace: service.namespace.clone(),
            name: format!("{}-{at:05}", service.name),
            service: service.name.clone(),
            addresses: vec![address],
            ports: service.ports.iter().enumerate().map(port).collect::<Result<_, _>>()?,
        });
    }
    Ok(slices)
}

/// The port of an endpoint.
fn target(own: &str, port: &Port, endpoint: &Endpoint, holders: &Holders<'_>) -> Result<u16, Contradiction> {
    let ip = endpoint.ip.to_canonical();
    let name = match (endpoint.port, &port.target) {
        (Some(number), _) | (None, &TargetPort::Number(number)) => return Ok(number),
        (None, TargetPort::Name(name)) => name,
    };
    let ports = match holders.get(&ip) {
        Some(Holder::Pod(pod)) => &pod.ports[..],
        Some(Holder::Node(_)) | None => &[],
    };
    let found = ports.iter().find(|of| of.name.as_ref() == Some(name) && of.protocol == port.protocol);
    found.map(|of| of.port).ok_or_else(|| Contradiction::TargetPortUnknown {
        service: own.to_owned(),
        port: port.name.clone().unwrap_or_else(|| port.port.to_string()),
        target: name.clone(),
        address: ip,
    })
}

fn object(service: Service) -> ServiceObject {
    let port = |(index, port): (usize, &Port)| ServicePortObject {
        name: port_name(index, port),
        port: port.port,
        node_port: None,
        protocol: port.protocol,
    };
    ServiceObject {
        ports: service.ports.iter().enumerate().map(port).collect(),
        namespace: service.namespace,
        name: service.name,
        ips: service.cluster_ips,
        ..ServiceObject::default()
    }
}

/// Slices and services meet by the names of ports, which files may leave out.
fn port_name(index: usize, port: &Port) -> String {
    port.name.clone().unwrap_or_else(|| format!("#{index}"))
}

fn title(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}
