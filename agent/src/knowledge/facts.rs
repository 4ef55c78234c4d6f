//! What policies ask for beside the two ends of a connection, as far as it is known.

use std::net::IpAddr;
use std::sync::Arc;

use watchfire_inventory::{Directory, Revisions};
use watchfire_model::Labels;
use watchfire_policy::{Service, World};

use super::Epoch;
use crate::pipeline::Names;

/// What is made out of the inventory for policies, and what of it has changed.
#[derive(Default, Debug)]
pub(super) struct Facts {
    services: Option<Vec<Service>>,
    api_server: Option<Vec<IpAddr>>,
    /// Whether what tells of services does not tell whom they select.
    lacks_services: bool,
    revisions: Revisions,
    made_services: Option<u64>,
    /// Whether something changed that no set of policies was numbered for yet.
    pub(super) is_changed: bool,
}

impl Facts {
    pub(super) const fn without_services(&mut self) {
        self.lacks_services = true;
    }

    /// Takes in what has changed. Answers whether policies may say something else because of it.
    pub(super) fn look(&mut self, directory: &Directory, epoch: &Epoch) -> bool {
        let revisions = directory.revisions();
        let before = std::mem::replace(&mut self.revisions, revisions);
        let mut has_changed = (before.namespaces, before.nodes) != (revisions.namespaces, revisions.nodes);
        if before.services != revisions.services {
            let api_server = Some(directory.api_servers()).filter(|addresses| !addresses.is_empty());
            has_changed |= api_server != self.api_server;
            self.api_server = api_server;
        }
        if !epoch.set.asks_for_services() || self.lacks_services {
            (self.services, self.made_services) = (None, None);
        } else if self.made_services != Some(revisions.services) || self.services.is_none() {
            let services = services(directory);
            has_changed |= services != self.services;
            (self.services, self.made_services) = (services, Some(revisions.services));
        }
        // Where there are no policies nobody asks.
        has_changed && !epoch.set.policies().is_empty()
    }
}

fn services(directory: &Directory) -> Option<Vec<Service>> {
    let services = directory.services_told()?.map(|(service, backends)| Service {
        namespace: service.namespace.clone(),
        name: service.name.clone(),
        labels: service.labels.clone(),
        selector: service.selector.clone(),
        backends,
    });
    let mut services: Vec<_> = services.collect();
    services.sort_unstable_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Some(services)
}

/// What is known, as policies ask for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownWorld<'a> {
    pub(super) directory: &'a Directory,
    pub(super) facts: &'a Facts,
    pub(super) names: &'a Names,
}

impl World for KnownWorld<'_> {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.directory.namespace(namespace).map(|namespace| &namespace.labels)
    }

    fn node_labels(&self, node: &str) -> Option<&Labels> {
        self.directory.node_labels(node)
    }

    fn names(&self, address: IpAddr) -> Option<&[Arc<str>]> {
        self.names.all_of(address)
    }

    fn services(&self) -> Option<&[Service]> {
        self.facts.services.as_deref()
    }

    fn api_server(&self) -> Option<&[IpAddr]> {
        self.facts.api_server.as_deref()
    }
}
