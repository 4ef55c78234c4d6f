//! The pods, nodes, namespaces and services that are known, with their history, indexed for look-up.

mod addresses;
mod identities;
mod nodes;
mod pods;
mod recent;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use watchfire_model::{Labels, Namespace, Peer, Pod, PodUid, Protocol, Timebase};

use self::addresses::{Addresses, Held, Holder};
use self::identities::Identities;
use self::nodes::{Namespaces, Nodes};
use self::pods::Pods;
use crate::services::Services;
use crate::{Cgroup, Change, Ends, Object, PodRef, ResourceKind, ServiceObject, ServicePort, Source};

pub use self::addresses::{ADDRESS_GRACE_MS, ADDRESS_PAST_KEEP_MS, ADDRESSES_PAST_MAX};
pub use self::nodes::{NAMESPACES_MAX, NODES_MAX};
pub(crate) use self::pods::pod_key;
pub use self::pods::{POD_GONE_KEEP_MS, PODS_MAX};

/// The service whose endpoints are the API servers.
const API_SERVICE: (&str, &str) = ("default", "kubernetes");

/// Now.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Nanoseconds of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// What wall-clock times are told by.
    pub timebase: Timebase,
}

/// Whom a cgroup belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CgroupOwner {
    /// A known pod.
    Pod(Arc<Pod>),
    /// A pod, by the name that kubelet gave the cgroup, that is not known.
    UnknownPod {
        /// Its uid.
        uid: PodUid,
    },
    /// No pod.
    NoPod,
}

/// What the limits of the tables and contradictions between objects have done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DirectoryCounters {
    /// Objects that found no room.
    pub refused: u64,
    /// Past holders of addresses that were forgotten before their time.
    pub past_evicted: u64,
    /// How often two had an address at once.
    pub contested: u64,
}

/// How often something changed. What is the same as before is not counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Revisions {
    /// Namespaces and their labels.
    pub namespaces: u64,
    /// Nodes and their labels.
    pub nodes: u64,
    /// Services and their endpoints.
    pub services: u64,
}

/// Pods, nodes, namespaces and services.
#[derive(Default, Debug)]
pub struct Directory {
    identities: Identities,
    namespaces: Namespaces,
    nodes: Nodes,
    pods: Pods,
    addresses: Addresses,
    services: Services,
    /// Cgroups that are declared to be a pod's.
    by_cgroup: HashMap<String, PodUid>,
    /// Ranges that the configuration says pods get their addresses from.
    cluster: Vec<IpNet>,
}

impl Directory {
    /// Ranges that pods get their addresses from, besides those that nodes tell of.
    pub fn set_cluster(&mut self, ranges: Vec<IpNet>) {
        self.cluster = ranges;
    }

    /// Cgroups (paths below the v2 root, from `/`) and the pods that have them.
    pub fn set_cgroups(&mut self, cgroups: HashMap<String, PodUid>) {
        self.by_cgroup = cgroups;
    }

    /// Takes in what a source tells. Policies are none of its business.
    pub fn take(&mut self, source: Source, change: Change, at: Moment) {
        self.change(source, change, at);
        if !self.pods.is_listing() && !self.nodes.is_listing() {
            self.addresses.settle();
        }
    }

    fn change(&mut self, source: Source, change: Change, at: Moment) {
        match change {
            Change::ListBegins(kind) => self.list_begins(source, kind),
            Change::ListEnds(kind) => self.list_ends(source, kind, at),
            Change::Absent(kind) => {
                self.list_begins(source, kind);
                self.list_ends(source, kind, at);
            }
            Change::Apply(object) => self.apply(source, *object, at),
            Change::Delete(kind, key) => match kind {
                ResourceKind::Namespace => self.namespaces.delete(&key.name),
                ResourceKind::Node => self.nodes.delete(&key.name, &mut self.addresses, at),
                ResourceKind::Pod => self.pods.delete(source, &key, &mut self.addresses, at),
                ResourceKind::Service => self.services.delete(&key),
                ResourceKind::EndpointSlice => self.services.delete_slice(&key),
                _ => {}
            },
        }
    }

    fn list_begins(&mut self, source: Source, kind: ResourceKind) {
        match kind {
            ResourceKind::Namespace => self.namespaces.list_begins(),
            ResourceKind::Node => self.nodes.list_begins(),
            ResourceKind::Pod => self.pods.list_begins(source),
            ResourceKind::Service => self.services.services_begin(),
            ResourceKind::EndpointSlice => self.services.slices_begin(),
            _ => {}
        }
    }

    fn list_ends(&mut self, source: Source, kind: ResourceKind, at: Moment) {
        match kind {
            ResourceKind::Namespace => self.namespaces.list_ends(),
            ResourceKind::Node => self.nodes.list_ends(&mut self.addresses, at),
            ResourceKind::Pod => self.pods.list_ends(source, &mut self.addresses, at),
            ResourceKind::Service => self.services.services_end(),
            ResourceKind::EndpointSlice => self.services.slices_end(),
            _ => {}
        }
    }

    fn apply(&mut self, source: Source, object: Object, at: Moment) {
        match object {
            Object::Namespace(namespace) => self.namespaces.apply(namespace),
            Object::Node(node) => self.nodes.apply(&node, &mut self.addresses, at),
            Object::Pod(pod) => {
                self.pods.apply(source, &pod, &mut self.identities, &mut self.addresses, at);
            }
            Object::Service(service) => self.services.apply(service),
            Object::EndpointSlice(slice) => self.services.apply_slice(slice),
            Object::Policy(_) => {}
        }
    }

    /// Forgets what has been gone for long enough.
    pub fn expire(&mut self, now_boot_ns: u64) {
        self.addresses.expire(now_boot_ns);
        self.pods.expire(now_boot_ns);
    }

    /// Whether pods and nodes have been told at all; without, nothing can be said about any address.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.pods.is_listed() && (self.nodes.was_listed() || self.pods.was_listed(Source::File))
    }

    /// A namespace by name; none where it is not known, since its labels are then not known.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// All namespaces, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.namespaces.iter()
    }

    /// All pods, in no order.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.iter()
    }

    /// All pods, also those that are gone since a short while.
    pub fn pods_and_gone(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.all()
    }

    /// How many pods there are.
    #[must_use]
    pub fn pods_len(&self) -> usize {
        self.pods.len()
    }

    /// A pod by its uid, also one that is gone since a short while.
    #[must_use]
    pub fn pod(&self, uid: PodUid) -> Option<&Arc<Pod>> {
        self.pods.get(uid)
    }

    /// A pod by what a container says of it, also one that is gone since a short while.
    #[must_use]
    pub fn pod_by_ref(&self, pod: &PodRef) -> Option<&Arc<Pod>> {
        self.pods.by_ref(pod)
    }

    /// By whom a pod is told, and whether it is gone.
    #[must_use]
    pub fn pod_source(&self, pod: &Pod) -> Option<(Source, bool)> {
        self.pods.source(pod)
    }

    /// Whether a pod at one of the ends was relabelled, or got its address from another, within `window_ns` before or after a
    /// time (nanoseconds of CLOCK_BOOTTIME).
    #[must_use]
    pub fn changed_near(&self, at_ns: u64, window_ns: u64, ends: &Ends) -> bool {
        [&ends.client, &ends.server].into_iter().any(|end| match end {
            Peer::Pod(pod) => {
                self.pods.changed_near(pod, at_ns, window_ns)
                    || self.addresses.passed_on_near(pod, at_ns, window_ns)
            }
            Peer::Node { .. } | Peer::World | Peer::Unresolved(_) => false,
        })
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes_len(&self) -> usize {
        self.nodes.len()
    }

    /// How many identities pods have, those included that nobody has any more since a short while.
    #[must_use]
    pub fn identities_len(&self) -> usize {
        self.identities.len()
    }

    /// Who had an address at a time (nanoseconds of CLOCK_BOOTTIME), as far as that is known.
    #[must_use]
    pub fn holder(&self, address: IpAddr, at_boot_ns: u64) -> Option<Peer> {
        match self.addresses.at(address, at_boot_ns) {
            Held::By(Holder::Pod(pod)) => Some(Peer::Pod(pod)),
            Held::By(Holder::Node(node)) => Some(Peer::Node { name: Arc::clone(&node.name) }),
            Held::Contested => Some(Peer::Unresolved("several pods or nodes claim this address")),
            Held::Nobody => None,
        }
    }

    /// The service that an address is of, by its cluster address or as a port of a node, with where a connection to it
    /// may lead.
    #[must_use]
    pub fn service(&self, address: SocketAddr, protocol: Protocol) -> Option<&Arc<ServicePort>> {
        self.services.at(address, protocol).or_else(|| {
            let is_node = || matches!(self.addresses.at(address.ip(), u64::MAX), Held::By(Holder::Node(_)));
            self.services.at_node(address, protocol).filter(|_| is_node())
        })
    }

    /// Whether any service has an address, at whatever port.
    #[must_use]
    pub fn is_service(&self, address: IpAddr) -> bool {
        self.services.has(address)
    }

    /// The services that have an address, each with its ports: `namespace/name:port protocol`.
    #[must_use]
    pub fn services_of(&self, address: IpAddr) -> Vec<String> {
        self.services.of(address)
    }

    /// How many services there are.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// All services with the addresses of their endpoints; none where they are not told as a whole.
    #[must_use]
    pub fn services_told(&self) -> Option<impl Iterator<Item = (&ServiceObject, Vec<IpAddr>)>> {
        self.services.told()
    }

    /// Addresses at which API servers answer; empty where none is known.
    #[must_use]
    pub fn api_servers(&self) -> Vec<IpAddr> {
        let (namespace, service) = API_SERVICE;
        self.services.endpoints(namespace, service).map(|endpoint| endpoint.to_canonical()).collect()
    }

    /// Labels of a node; none where they are not known.
    #[must_use]
    pub fn node_labels(&self, name: &str) -> Option<&Labels> {
        self.nodes.labels(name)
    }

    /// How often that changed which policies ask for beside pods.
    #[must_use]
    pub const fn revisions(&self) -> Revisions {
        Revisions {
            namespaces: self.namespaces.changes(),
            nodes: self.nodes.label_changes(),
            services: self.services.changes(),
        }
    }

    /// Whether an API server answers at this address.
    #[must_use]
    pub fn is_api_server(&self, address: IpAddr) -> bool {
        let (namespace, service) = API_SERVICE;
        let address = address.to_canonical();
        self.services.endpoints(namespace, service).any(|endpoint| endpoint.to_canonical() == address)
    }

    /// Whether an address lies in a range that the cluster gives to its pods.
    #[must_use]
    pub fn in_cluster(&self, address: IpAddr) -> bool {
        self.cluster.iter().chain(self.nodes.ranges()).any(|range| range.contains(&address))
    }

    /// Whom a cgroup belongs to: by the declared cgroups, then by the uid in the name that kubelet gave it.
    #[must_use]
    pub fn cgroup_owner(&self, cgroup: &Cgroup) -> CgroupOwner {
        let mut prefix = cgroup.path.trim_end_matches('/');
        while !self.by_cgroup.is_empty() && !prefix.is_empty() {
            if let Some(pod) = self.by_cgroup.get(prefix).and_then(|&uid| self.pods.get(uid)) {
                return CgroupOwner::Pod(Arc::clone(pod));
            }
            prefix = prefix.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        match cgroup.pod_uid {
            None => CgroupOwner::NoPod,
            Some(uid) => match self.pods.get(uid) {
                Some(pod) => CgroupOwner::Pod(Arc::clone(pod)),
                None => CgroupOwner::UnknownPod { uid },
            },
        }
    }

    /// What limits and contradictions have done so far.
    #[must_use]
    pub const fn counters(&self) -> DirectoryCounters {
        DirectoryCounters {
            refused: self.pods.refused()
                + self.services.refused()
                + self.namespaces.refused()
                + self.nodes.refused(),
            past_evicted: self.addresses.evicted(),
            contested: self.addresses.contested(),
        }
    }
}
