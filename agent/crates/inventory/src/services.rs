//! Services: addresses that stand for one of several backends.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use watchfire_model::Protocol;

use crate::{EndpointSliceObject, ObjectKey, ServiceObject, ServicePortObject};

/// Most services that are kept.
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
    pub namespace: Arc<str>,
    /// Name of the service.
    pub name: Arc<str>,
    /// Where a connection to it may lead, in the order of slices and their endpoints. Of the same family as the address
    /// that it was looked up by: nothing translates from one to the other.
    pub backends: Vec<SocketAddr>,
}

/// Namespace and name.
type Name = (Arc<str>, Arc<str>);

#[derive(Default, Debug)]
struct Service {
    list: u32,
    object: Option<ServiceObject>,
    slices: BTreeMap<String, Slice>,
    /// What it is found by.
    addresses: Vec<(SocketAddr, Protocol)>,
    node_ports: Vec<(u16, Protocol, bool)>,
}

#[derive(Debug)]
struct Slice {
    list: u32,
    object: EndpointSliceObject,
}

/// Services by address, port and protocol, and by the ports that all nodes have for them.
#[derive(Default, Debug)]
pub(crate) struct Services {
    services: HashMap<Name, Service>,
    /// Which service a slice was last seen to belong to.
    slices: HashMap<(String, String), Name>,
    by_address: HashMap<(SocketAddr, Protocol), Arc<ServicePort>>,
    by_node_port: HashMap<(u16, Protocol, bool), Arc<ServicePort>>,
    /// How many entries of `by_address` an address has.
    ips: HashMap<IpAddr, usize>,
    service_list: u32,
    slice_list: u32,
    refused: u64,
    /// Whether both were told as whole lists.
    were_listed: (bool, bool),
    changes: u64,
}

impl Services {
    pub(crate) const fn services_begin(&mut self) {
        self.service_list += 1;
    }

    pub(crate) fn services_end(&mut self) {
        self.were_listed.0 = true;
        let list = self.service_list;
        let is_stale = |service: &Service| service.object.is_some() && service.list != list;
        let stale: Vec<Name> = self
            .services
            .iter()
            .filter(|(_, service)| is_stale(service))
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            self.remove(&name);
        }
    }

    pub(crate) const fn slices_begin(&mut self) {
        self.slice_list += 1;
    }

    pub(crate) fn slices_end(&mut self) {
        self.were_listed.1 = true;
        let list = self.slice_list;
        let mut stale = Vec::new();
        for service in self.services.values() {
            let of = service.slices.values().filter(|slice| slice.list != list);
            stale.extend(of.map(|slice| (slice.object.namespace.clone(), slice.object.name.clone())));
        }
        for (namespace, name) in stale {
            self.delete_slice(&ObjectKey { namespace, name, uid: String::new() });
        }
    }

    pub(crate) fn apply(&mut self, object: ServiceObject) {
        let name = name(&object.namespace, &object.name);
        if self.services.len() >= SERVICES_MAX && !self.services.contains_key(&name) {
            self.refused += 1;
            return;
        }
        let list = self.service_list;
        let service = self.services.entry(name.clone()).or_default();
        service.list = list;
        if service.object.as_ref() == Some(&object) {
            return;
        }
        service.object = Some(object);
        self.changes += 1;
        self.index(&name);
    }

    pub(crate) fn delete(&mut self, key: &ObjectKey) {
        self.remove(&name(&key.namespace, &key.name));
    }

    fn remove(&mut self, name: &Name) {
        self.unindex(name);
        if let Some(service) = self.services.get_mut(name) {
            service.object = None;
            self.changes += 1;
            if service.slices.is_empty() {
                self.services.remove(name);
            }
        }
    }

    pub(crate) fn apply_slice(&mut self, object: EndpointSliceObject) {
        let slice = (object.namespace.clone(), object.name.clone());
        let service = name(&object.namespace, &object.service);
        if self.slices.get(&slice).is_some_and(|of| *of != service) {
            let (namespace, name) = slice.clone();
            self.delete_slice(&ObjectKey { namespace, name, uid: String::new() });
        }
        if object.service.is_empty() {
            return;
        }
        if self.services.len() >= SERVICES_MAX && !self.services.contains_key(&service) {
            self.refused += 1;
            return;
        }
        let list = self.slice_list;
        let slices = &mut self.services.entry(service.clone()).or_default().slices;
        if let Some(known) = slices.get_mut(&object.name)
            && known.object == object
        {
            known.list = list;
            return;
        }
        slices.insert(object.name.clone(), Slice { list, object });
        self.slices.insert(slice, service.clone());
        self.changes += 1;
        self.index(&service);
    }

    pub(crate) fn delete_slice(&mut self, key: &ObjectKey) {
        let Some(of) = self.slices.remove(&(key.namespace.clone(), key.name.clone())) else { return };
        let Some(service) = self.services.get_mut(&of) else { return };
        service.slices.remove(&key.name);
        self.changes += 1;
        if service.slices.is_empty() && service.object.is_none() {
            self.services.remove(&of);
        } else {
            self.index(&of);
        }
    }

    fn unindex(&mut self, name: &Name) {
        let Some(service) = self.services.get_mut(name) else { return };
        let is_own = |found: &ServicePort| found.namespace == name.0 && found.name == name.1;
        for key in service.addresses.drain(..) {
            if self.by_address.get(&key).is_some_and(|found| is_own(found)) {
                self.by_address.remove(&key);
                if let Some(entries) = self.ips.get_mut(&key.0.ip()) {
                    *entries -= 1;
                    if *entries == 0 {
                        self.ips.remove(&key.0.ip());
                    }
                }
            }
        }
        for key in service.node_ports.drain(..) {
            if self.by_node_port.get(&key).is_some_and(|found| is_own(found)) {
                self.by_node_port.remove(&key);
            }
        }
    }

    fn index(&mut self, name: &Name) {
        self.unindex(name);
        let Some(service) = self.services.get_mut(name) else { return };
        let Some(object) = &service.object else { return };
        for port in object.ports.iter().take(SERVICE_PORTS_MAX) {
            for is_v4 in [true, false] {
                let entry = Arc::new(ServicePort {
                    namespace: Arc::clone(&name.0),
                    name: Arc::clone(&name.1),
                    backends: backends(&service.slices, port, is_v4),
                });
                let of_family =
                    object.ips.iter().map(IpAddr::to_canonical).filter(|ip| ip.is_ipv4() == is_v4);
                for ip in of_family.take(SERVICE_ADDRESSES_MAX) {
                    let key = (SocketAddr::new(ip, port.port), port.protocol);
                    service.addresses.push(key);
                    if self.by_address.insert(key, Arc::clone(&entry)).is_none() {
                        *self.ips.entry(ip).or_default() += 1;
                    }
                }
                if let Some(node_port) = port.node_port {
                    let key = (node_port, port.protocol, is_v4);
                    service.node_ports.push(key);
                    self.by_node_port.insert(key, entry);
                }
            }
        }
    }

    /// The service that has an address.
    pub(crate) fn at(&self, address: SocketAddr, protocol: Protocol) -> Option<&Arc<ServicePort>> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        self.by_address.get(&(address, protocol))
    }

    /// The service that a node's port stands for.
    pub(crate) fn at_node(&self, address: SocketAddr, protocol: Protocol) -> Option<&Arc<ServicePort>> {
        let is_v4 = address.ip().to_canonical().is_ipv4();
        self.by_node_port.get(&(address.port(), protocol, is_v4))
    }

    /// Whether any service has an address, at whatever port.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.ips.contains_key(&address.to_canonical())
    }

    /// Services that have an address.
    pub(crate) fn of(&self, address: IpAddr) -> Vec<String> {
        let address = address.to_canonical();
        let found = self.by_address.iter().filter(|((at, _), _)| at.ip() == address);
        let title = |((at, protocol), of): (&(SocketAddr, Protocol), &Arc<ServicePort>)| {
            format!("{}/{}:{} {protocol}", of.namespace, of.name, at.port())
        };
        let mut titles: Vec<String> = found.map(title).collect();
        titles.sort_unstable();
        titles
    }

    /// Addresses of all endpoints of a service.
    pub(crate) fn endpoints(&self, namespace: &str, service: &str) -> impl Iterator<Item = IpAddr> + '_ {
        let slices = self.services.get(&name(namespace, service)).map(|service| service.slices.values());
        slices.into_iter().flatten().flat_map(|slice| slice.object.addresses.iter().copied())
    }

    /// How many services there are.
    pub(crate) fn len(&self) -> usize {
        self.services.values().filter(|service| service.object.is_some()).count()
    }

    /// All services with the addresses of their endpoints; none before both have been told as whole lists, and where no
    /// service is told at all: every cluster has one.
    pub(crate) fn told(&self) -> Option<impl Iterator<Item = (&ServiceObject, Vec<IpAddr>)>> {
        (self.were_listed == (true, true) && self.len() > 0).then(|| {
            self.services.values().filter_map(|service| {
                let addresses = service.slices.values().flat_map(|slice| &slice.object.addresses);
                Some((service.object.as_ref()?, addresses.copied().collect()))
            })
        })
    }

    /// How often a service or its endpoints changed.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// How many [`SERVICES_MAX`] kept from coming in.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }
}

fn name(namespace: &str, name: &str) -> Name {
    (namespace.into(), name.into())
}

/// Where a port of a service leads: the slices' ports of that name are the endpoints' own.
fn backends(slices: &BTreeMap<String, Slice>, port: &ServicePortObject, is_v4: bool) -> Vec<SocketAddr> {
    let mut backends = Vec::new();
    for Slice { object, .. } in slices.values() {
        let of_port = |at: &&crate::EndpointPort| at.name == port.name && at.protocol == port.protocol;
        for number in object.ports.iter().filter(of_port).filter_map(|at| at.port) {
            let of_family =
                object.addresses.iter().map(IpAddr::to_canonical).filter(|ip| ip.is_ipv4() == is_v4);
            backends.extend(of_family.map(|ip| SocketAddr::new(ip, number)));
        }
    }
    backends.truncate(SERVICE_ENDPOINTS_MAX);
    backends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EndpointPort;

    fn service(name: &str, ip: &str) -> ServiceObject {
        let port = |name: &str, port, node_port, protocol| ServicePortObject {
            name: name.to_owned(),
            port,
            node_port,
            protocol,
        };
        ServiceObject {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            ips: vec![ip.parse().unwrap(), "fd96::a".parse().unwrap()],
            ports: vec![port("web", 80, Some(30080), Protocol::Tcp), port("dns", 53, None, Protocol::Udp)],
            ..ServiceObject::default()
        }
    }

    fn slice(name: &str, service: &str, ips: &[&str]) -> EndpointSliceObject {
        EndpointSliceObject {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            service: service.to_owned(),
            addresses: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
            ports: vec![EndpointPort { name: "web".to_owned(), port: Some(8080), protocol: Protocol::Tcp }],
        }
    }

    fn at(services: &Services, address: &str) -> Option<Vec<String>> {
        let found = services.at(address.parse().unwrap(), Protocol::Tcp)?;
        Some(found.backends.iter().map(ToString::to_string).collect())
    }

    fn strings(all: &[&str]) -> Option<Vec<String>> {
        Some(all.iter().map(|&one| one.to_owned()).collect())
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey { namespace: "shop".to_owned(), name: name.to_owned(), uid: String::new() }
    }

    #[test]
    fn services_and_slices_may_come_in_any_order() {
        let mut services = Services::default();
        services.apply_slice(slice("web-1", "web", &["10.0.0.1", "fd00::1"]));
        assert_eq!((at(&services, "10.96.0.1:80"), services.len()), (None, 0));
        services.apply(service("web", "10.96.0.1"));
        assert_eq!(at(&services, "10.96.0.1:80"), strings(&["10.0.0.1:8080"]));
        assert_eq!(at(&services, "[fd96::a]:80"), strings(&["[fd00::1]:8080"]));
        let node = services.at_node("192.0.2.1:30080".parse().unwrap(), Protocol::Tcp).unwrap();
        assert_eq!(node.backends, ["10.0.0.1:8080".parse().unwrap()]);
        services.apply_slice(slice("web-2", "web", &["10.0.0.2"]));
        assert_eq!(at(&services, "10.96.0.1:80"), strings(&["10.0.0.1:8080", "10.0.0.2:8080"]));
        services.delete_slice(&key("web-1"));
        assert_eq!(at(&services, "10.96.0.1:80"), strings(&["10.0.0.2:8080"]));
        services.apply(service("web", "10.96.0.9"));
        assert_eq!(
            (at(&services, "10.96.0.1:80"), at(&services, "10.96.0.9:80")),
            (None, strings(&["10.0.0.2:8080"]))
        );
        assert!(
            services.has("::ffff:10.96.0.9".parse().unwrap()) && !services.has("10.96.0.1".parse().unwrap())
        );
        services.delete(&key("web"));
        assert!(services.ips.is_empty());
        assert_eq!((at(&services, "10.96.0.9:80"), services.len()), (None, 0));
        services.apply(service("web", "10.96.0.9"));
        assert_eq!(at(&services, "10.96.0.9:80"), strings(&["10.0.0.2:8080"]));
    }

    #[test]
    fn what_a_list_does_not_tell_of_is_gone() {
        let mut services = Services::default();
        for name in ["web", "api"] {
            services.apply(service(name, if name == "web" { "10.96.0.1" } else { "10.96.0.2" }));
            services.apply_slice(slice(name, name, &["10.0.0.1"]));
        }
        services.services_begin();
        services.apply(service("api", "10.96.0.2"));
        services.services_end();
        assert_eq!((at(&services, "10.96.0.1:80"), services.len()), (None, 1));
        services.slices_begin();
        services.slices_end();
        assert_eq!(at(&services, "10.96.0.2:80"), strings(&[]));
    }

    #[test]
    fn an_address_that_passes_to_another_service_stays_with_it() {
        let mut services = Services::default();
        services.apply(service("web", "10.96.0.1"));
        services.apply(service("api", "10.96.0.1"));
        services.delete(&key("web"));
        assert_eq!(&*services.at("10.96.0.1:80".parse().unwrap(), Protocol::Tcp).unwrap().name, "api");
    }
}
