//! Namespaces and nodes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use watchfire_model::{Labels, Namespace};

use super::Moment;
use super::addresses::{Addresses, Holder, NodeAddress};
use crate::{NamespaceObject, NodeObject};

/// Most namespaces, and most nodes, that are kept.
pub const NAMESPACES_MAX: usize = 65_536;
/// Most nodes that are kept.
pub const NODES_MAX: usize = 65_536;

/// The label that the API server puts on every namespace.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Namespaces by name.
#[derive(Default, Debug)]
pub(crate) struct Namespaces {
    entries: BTreeMap<String, (u32, Arc<Namespace>)>,
    list: u32,
    refused: u64,
    changes: u64,
}

impl Namespaces {
    pub(crate) const fn list_begins(&mut self) {
        self.list += 1;
    }

    pub(crate) fn list_ends(&mut self) {
        let before = self.entries.len();
        self.entries.retain(|_, (list, _)| *list == self.list);
        self.changes += (before - self.entries.len()) as u64;
    }

    pub(crate) fn apply(&mut self, object: NamespaceObject) {
        let NamespaceObject { name, mut labels } = object;
        if self.entries.len() >= NAMESPACES_MAX && !self.entries.contains_key(&name) {
            self.refused += 1;
            return;
        }
        labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.clone());
        let namespace = Arc::new(Namespace { name: name.clone(), labels });
        let before = self.entries.insert(name, (self.list, Arc::clone(&namespace)));
        self.changes += u64::from(before.is_none_or(|(_, before)| before != namespace));
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.changes += u64::from(self.entries.remove(name).is_some());
    }

    /// How often something came, went or changed.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.entries.get(name).map(|(_, namespace)| namespace)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.entries.values().map(|(_, namespace)| namespace)
    }

    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }
}

#[derive(Debug)]
struct Entry {
    list: u32,
    labels: Labels,
    ips: Vec<IpAddr>,
    pod_ranges: Vec<IpNet>,
}

/// Nodes by name, with the ranges that pods get their addresses from.
#[derive(Default, Debug)]
pub(crate) struct Nodes {
    entries: HashMap<Arc<str>, Entry>,
    list: u32,
    is_listing: bool,
    was_listed: bool,
    /// Ranges of all nodes, each once.
    ranges: Vec<IpNet>,
    refused: u64,
    label_changes: u64,
}

impl Nodes {
    pub(crate) const fn list_begins(&mut self) {
        self.list += 1;
        self.is_listing = true;
    }

    pub(crate) fn list_ends(&mut self, addresses: &mut Addresses, at: Moment) {
        (self.is_listing, self.was_listed) = (false, true);
        let list = self.list;
        let stale = self.entries.iter().filter(|(_, entry)| entry.list != list);
        let stale: Vec<Arc<str>> = stale.map(|(name, _)| Arc::clone(name)).collect();
        for name in stale {
            self.delete(&name, addresses, at);
        }
    }

    pub(crate) fn apply(&mut self, object: &NodeObject, addresses: &mut Addresses, at: Moment) {
        if self.entries.len() >= NODES_MAX && !self.entries.contains_key(object.name.as_str()) {
            self.refused += 1;
            return;
        }
        let name: Arc<str> = object.name.as_str().into();
        let holder = |address| Holder::Node(Arc::new(NodeAddress { name: Arc::clone(&name), address }));
        let ips: Vec<IpAddr> = object.ips.iter().map(IpAddr::to_canonical).collect();
        // A node of the first list had its addresses before.
        let since_ns = if self.was_listed { at.boot_ns } else { 0 };
        for &address in &ips {
            addresses.claim(address, holder(address), since_ns, false);
        }
        // Kubernetes validates them; what is no range says nothing.
        let pod_ranges = object.pod_cidrs.iter().filter_map(|range| range.parse().ok()).collect();
        let entry = Entry { list: self.list, labels: object.labels.clone(), ips, pod_ranges };
        let before = self.entries.insert(Arc::clone(&name), entry);
        let labels = before.as_ref().map(|before| &before.labels);
        self.label_changes += u64::from(labels != Some(&object.labels));
        if let Some(before) = before {
            for address in before.ips.into_iter().filter(|address| !object.ips.contains(address)) {
                addresses.release(address, &holder(address), at.boot_ns);
            }
        }
        self.collect_ranges();
    }

    pub(crate) fn delete(&mut self, name: &str, addresses: &mut Addresses, at: Moment) {
        let Some((name, entry)) = self.entries.remove_entry(name) else { return };
        self.label_changes += 1;
        for address in entry.ips {
            let holder = Holder::Node(Arc::new(NodeAddress { name: Arc::clone(&name), address }));
            addresses.release(address, &holder, at.boot_ns);
        }
        self.collect_ranges();
    }

    fn collect_ranges(&mut self) {
        let all = self.entries.values().flat_map(|entry| entry.pod_ranges.iter().copied());
        self.ranges = IpNet::aggregate(&all.collect());
    }

    pub(crate) fn ranges(&self) -> &[IpNet] {
        &self.ranges
    }

    /// Whether a list has begun and not ended: those that it will not tell of are still there.
    pub(crate) const fn is_listing(&self) -> bool {
        self.is_listing
    }

    pub(crate) const fn was_listed(&self) -> bool {
        self.was_listed
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Labels of a node. A node that is known by its addresses alone has none that are known.
    pub(crate) fn labels(&self, name: &str) -> Option<&Labels> {
        self.entries.get(name).map(|entry| &entry.labels).filter(|labels| !labels.is_empty())
    }

    /// How often a node came or went, or its labels changed.
    pub(crate) const fn label_changes(&self) -> u64 {
        self.label_changes
    }

    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }
}
