//! What the agent was told: who is who, and what policies say.

mod candidates;
mod dialect;
mod epochs;
mod facts;
mod loaded;
mod mesh;
mod policies;
mod policy_files;

use std::sync::Arc;

use ipnet::IpNet;
use watchfire_export::PolicyObjects;
use watchfire_inventory::{
    Cgroup, CgroupOwner, Change, ContainerChange, Containers, Directory, Ends, Inventory, Moment, Object,
    ObjectKey, PodRef, ResourceKind, Source, SourceBatch, UnknownReason,
};
use watchfire_model::{ContainerView, Pod};

pub(crate) use candidates::{Candidates, Modes};
pub(crate) use dialect::{Followed, name as dialect_name};
pub(crate) use epochs::{Epoch, Epochs};
use facts::Facts;
pub(crate) use facts::KnownWorld;
pub(crate) use loaded::Loaded;
use policies::Policies;

use crate::pipeline::Names;

/// Inventory and policies as they stand.
#[derive(Debug)]
pub(crate) struct Knowledge {
    /// Name of the cluster, where it has one.
    pub(crate) cluster: Option<Arc<str>>,
    /// Name of this node.
    pub(crate) node: Arc<str>,
    pub(crate) directory: Directory,
    pub(crate) containers: Containers,
    policies: Policies,
    modes: Modes,
    facts: Facts,
    stale_window_ns: u64,
}

impl Knowledge {
    /// What the configuration names, and nothing else yet.
    pub(crate) fn new(loaded: Loaded, at: Moment) -> Self {
        let Loaded {
            cluster,
            node,
            inventory,
            cluster_ranges,
            policies,
            candidates,
            modes,
            reading,
            stale_window_ns,
        } = loaded;
        let mut knowledge = Self {
            cluster,
            node,
            directory: Directory::default(),
            containers: Containers::default(),
            policies: Policies::new(reading, policies, candidates),
            modes,
            facts: Facts::default(),
            stale_window_ns,
        };
        knowledge.set_inventory(inventory, cluster_ranges, at);
        knowledge.facts.look(&knowledge.directory, knowledge.policies.epochs().current());
        knowledge
    }

    /// What the configuration names was read again: it takes the place of what it said before, and nothing else does.
    pub(crate) fn reload(&mut self, loaded: Loaded, at: Moment) {
        let Loaded {
            cluster,
            node,
            inventory,
            cluster_ranges,
            policies,
            candidates,
            modes,
            reading: _,
            stale_window_ns,
        } = loaded;
        self.modes = modes;
        (self.cluster, self.node, self.stale_window_ns) = (cluster, node, stale_window_ns);
        self.set_inventory(inventory, cluster_ranges, at);
        self.policies.set_files(policies, candidates, at.boot_ns);
        self.settle(at);
    }

    fn set_inventory(&mut self, inventory: Option<Inventory>, cluster_ranges: Vec<IpNet>, at: Moment) {
        match inventory {
            Some(inventory) => {
                // It does not say whom services select.
                self.facts.without_services();
                inventory.put_into(&mut self.directory, at);
            }
            None => self.directory.set_cluster(cluster_ranges),
        }
    }

    /// The cluster's API will tell its policies: until it has, no verdict is known.
    pub(crate) fn await_policies(&mut self) {
        self.policies.await_cluster();
    }

    /// Takes in what a source tells.
    pub(crate) fn take(&mut self, batch: SourceBatch, at: Moment) {
        let SourceBatch { source, changes } = batch;
        for change in changes {
            self.policies.take(source, &change);
            if let Change::Apply(object) = &change
                && let Object::Pod(pod) = &**object
                && pod.node.as_deref().is_none_or(|node| node == &*self.node)
            {
                for container in &pod.containers {
                    self.containers.apply_status(container);
                }
            }
            self.directory.take(source, change, at);
        }
    }

    /// Takes in what the container runtime tells.
    pub(crate) fn take_container(&mut self, change: ContainerChange, at: Moment) {
        match change {
            ContainerChange::ListBegins => {
                self.containers.list_begins();
                self.directory.take(Source::Runtime, Change::ListBegins(ResourceKind::Pod), at);
            }
            ContainerChange::ListEnds => {
                self.containers.list_ends(at.boot_ns);
                self.directory.take(Source::Runtime, Change::ListEnds(ResourceKind::Pod), at);
            }
            ContainerChange::Apply(container) => self.containers.apply(&container),
            ContainerChange::ApplyPod(pod) => {
                let mut pod = Arc::unwrap_or_clone(pod);
                // A runtime has the pods of its own node alone, and does not say its name.
                pod.node.get_or_insert_with(|| self.node.to_string());
                self.directory.take(Source::Runtime, Change::Apply(Box::new(Object::Pod(pod))), at);
            }
            ContainerChange::Delete { id } => {
                // With its sandbox a pod is gone.
                if let Some(container) = self.containers.object(&id)
                    && container.is_sandbox
                    && let Some(PodRef { namespace, name, uid }) = container.pod.clone()
                {
                    let key = ObjectKey { namespace, name, uid };
                    self.directory.take(Source::Runtime, Change::Delete(ResourceKind::Pod, key), at);
                }
                self.containers.delete(&id, at.boot_ns);
            }
            ContainerChange::Unknown { id, reason } => match reason {
                UnknownReason::NotYet | UnknownReason::NotFound => self.containers.unknown(&id, at.boot_ns),
                // It may yet be told: by the list of a runtime that is back.
                UnknownReason::NotConnected | UnknownReason::Timeout | UnknownReason::Failed => {}
            },
        }
    }

    /// To be called about every second.
    pub(crate) fn expire(&mut self, now_boot_ns: u64) {
        self.directory.expire(now_boot_ns);
        self.containers.expire(now_boot_ns);
    }

    /// To be called when something was taken in, before anything is judged by it, and every
    /// [few milliseconds](Self::is_unsettled) while that has to wait. What changed at once becomes one set of policies.
    pub(crate) fn settle(&mut self, at: Moment) {
        let facts_changed = self.facts.look(&self.directory, self.policies.epochs().current());
        self.facts.is_changed |= facts_changed;
        if self.policies.settle(at.boot_ns, self.facts.is_changed) {
            self.facts.is_changed = false;
            // Other policies may ask for other facts.
            self.facts.look(&self.directory, self.policies.epochs().current());
        }
    }

    /// Whether something was taken in that is not judged by yet.
    pub(crate) const fn is_unsettled(&self) -> bool {
        self.policies.is_stale() || self.facts.is_changed
    }

    /// The policies in force.
    pub(crate) fn epoch(&self) -> &Arc<Epoch> {
        self.policies.epochs().current()
    }

    /// The policies that were in force at a time, nanoseconds of CLOCK_BOOTTIME.
    pub(crate) fn epoch_at(&mut self, boot_ns: u64) -> Arc<Epoch> {
        self.policies.epochs_mut().at(boot_ns)
    }

    pub(crate) const fn epochs(&self) -> &Epochs {
        self.policies.epochs()
    }

    /// Policies that are judged beside those in force.
    pub(crate) const fn candidates(&self) -> &Candidates {
        self.policies.candidates()
    }

    /// In which namespaces they count.
    pub(crate) const fn modes(&self) -> &Modes {
        &self.modes
    }

    /// Whether policies of a namespace are in force.
    pub(crate) fn has_policies(&self, namespace: &str) -> bool {
        self.policies.are_in(namespace)
    }

    /// Whether policies or identities that concern the ends changed so near to a time, nanoseconds of CLOCK_BOOTTIME, that a
    /// data plane may have followed the others.
    pub(crate) fn is_stale(&self, boot_ns: u64, ends: &Ends) -> bool {
        let window_ns = self.stale_window_ns;
        window_ns > 0
            && (self.policies.epochs().changed_near(boot_ns, window_ns, ends)
                || self.directory.changed_near(boot_ns, window_ns, ends))
    }

    /// Whose reading of policies is followed, and why.
    pub(crate) const fn followed(&self) -> Followed {
        self.policies.followed()
    }

    pub(crate) const fn objects(&self) -> PolicyObjects {
        self.policies.objects()
    }

    /// What policies ask for, with the names that addresses have.
    pub(crate) const fn world<'a>(&'a self, names: &'a Names) -> KnownWorld<'a> {
        KnownWorld { directory: &self.directory, facts: &self.facts, names }
    }

    /// The pod that a cgroup is of, if it is known.
    pub(crate) fn pod_of(&self, cgroup: &Cgroup) -> Option<Arc<Pod>> {
        match self.directory.cgroup_owner(cgroup) {
            CgroupOwner::Pod(pod) => Some(pod),
            CgroupOwner::UnknownPod { .. } => None,
            // Clients of the runtime other than kubelet may leave the pod out of the path; the runtime knows.
            CgroupOwner::NoPod => {
                let container = self.containers.object(cgroup.container_id.as_ref()?)?;
                self.directory.pod_by_ref(container.pod.as_ref()?).cloned()
            }
        }
    }

    /// The container that a cgroup is of: by its id alone, where nothing else is known of it.
    pub(crate) fn container_of(&self, cgroup: &Cgroup) -> Option<Arc<ContainerView>> {
        let id = cgroup.container_id.as_ref()?;
        Some(match self.containers.get(id) {
            Some(container) => Arc::clone(container),
            None => Arc::new(ContainerView { id: Arc::clone(id), ..ContainerView::default() }),
        })
    }
}
