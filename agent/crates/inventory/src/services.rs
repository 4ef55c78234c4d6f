//! Services: addresses that stand for one of several backends.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use watchfire_model::{Peer, Protocol};

use crate::{Directory, DirectoryError};

/// Most services in an inventory file.
pub const SERVICES_MAX: usize = 16_384;
/// Most cluster addresses of a service.
pub const SERVICE_ADDRESSES_MAX: usize = 16;
/// Most ports of a service.
pub const SERVICE_PORTS_MAX: usize = 256;
/// Most endpoints of a service.
pub const SERVICE_ENDPOINTS_MAX: usize = 4096;

/// A service, as far as one of its ports is concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServicePort {
    /// Namespace of the service.
    pub namespace: String,
    /// Name of the service.
    pub name: String,
    /// Where a connection to it may lead, in the inventory's order. Of the same family as the address that it was looked
    /// up by: nothing translates from one to the other.
    pub backends: Vec<SocketAddr>,
}

/// A service, as it is declared.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) cluster_ips: Vec<IpAddr>,
    pub(crate) ports: Vec<Port>,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// A port of a service.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) name: Option<String>,
    pub(crate) port: u16,
    pub(crate) target: TargetPort,
    pub(crate) protocol: Protocol,
}

/// The port of the backends behind a service's port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TargetPort {
    Number(u16),
    /// A port of a container, by its name.
    Name(String),
}

/// A backend of a service. Its port, where it is told, stands over the target port.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) ip: IpAddr,
    pub(crate) port: Option<u16>,
}

/// Services by address, port and protocol.
#[derive(Clone, Default, Debug)]
pub(crate) struct Services {
    names: HashSet<(String, String)>,
    by_address: HashMap<(SocketAddr, Protocol), Arc<ServicePort>>,
}

impl Services {
    /// Adds a service; `directory` knows the pods that names of ports are those of.
    pub(crate) fn add(&mut self, service: &Service, directory: &Directory) -> Result<(), DirectoryError> {
        let title = title(&service.namespace, &service.name);
        if !self.names.insert((service.namespace.clone(), service.name.clone())) {
            return Err(DirectoryError::ServiceTwice(title));
        }
        let mut seen = HashSet::new();
        for endpoint in &service.endpoints {
            let address = endpoint.ip.to_canonical();
            if !seen.insert((address, endpoint.port)) {
                return Err(DirectoryError::EndpointTwice { service: title, address });
            }
            if endpoint.port.is_some() && service.ports.len() > 1 {
                return Err(DirectoryError::EndpointPortAmbiguous { service: title, address });
            }
        }
        for port in &service.ports {
            for is_v4 in [true, false] {
                self.add_port(service, port, is_v4, directory)?;
            }
        }
        Ok(())
    }

    fn add_port(
        &mut self,
        service: &Service,
        port: &Port,
        is_v4: bool,
        directory: &Directory,
    ) -> Result<(), DirectoryError> {
        let of_family = |ip: &IpAddr| ip.to_canonical().is_ipv4() == is_v4;
        let mut addresses = service.cluster_ips.iter().filter(|ip| of_family(ip)).peekable();
        if addresses.peek().is_none() {
            return Ok(());
        }
        let endpoints = service.endpoints.iter().filter(|endpoint| of_family(&endpoint.ip));
        let backends = endpoints.map(|endpoint| backend(service, port, endpoint, directory));
        let entry = Arc::new(ServicePort {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            backends: backends.collect::<Result<_, _>>()?,
        });
        for ip in addresses {
            let address = SocketAddr::new(ip.to_canonical(), port.port);
            if let Some(other) = self.by_address.insert((address, port.protocol), Arc::clone(&entry)) {
                return Err(DirectoryError::ServiceAddressTwice {
                    address,
                    protocol: port.protocol,
                    first: title(&other.namespace, &other.name),
                    second: title(&service.namespace, &service.name),
                });
            }
        }
        Ok(())
    }

    /// The service that has an address.
    pub(crate) fn at(&self, address: SocketAddr, protocol: Protocol) -> Option<&Arc<ServicePort>> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        self.by_address.get(&(address, protocol))
    }

    /// How many services there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

fn backend(
    service: &Service,
    port: &Port,
    endpoint: &Endpoint,
    directory: &Directory,
) -> Result<SocketAddr, DirectoryError> {
    let ip = endpoint.ip.to_canonical();
    let target = match (endpoint.port, &port.target) {
        (Some(number), _) => return Ok(SocketAddr::new(ip, number)),
        (None, TargetPort::Number(number)) => return Ok(SocketAddr::new(ip, *number)),
        (None, TargetPort::Name(name)) => name,
    };
    let pod = directory.holder(ip).and_then(Peer::pod);
    let mut ports = pod.map(|pod| pod.ports.iter()).into_iter().flatten();
    match ports.find(|of| of.name.as_ref() == Some(target) && of.protocol == port.protocol) {
        Some(of) => Ok(SocketAddr::new(ip, of.port)),
        None => Err(DirectoryError::TargetPortUnknown {
            service: title(&service.namespace, &service.name),
            port: port.name.clone().unwrap_or_else(|| port.port.to_string()),
            target: target.clone(),
            address: ip,
        }),
    }
}

fn title(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}
