//! What the agent was told: who is who, and what policies say.

mod loaded;
mod policies;
mod policy_files;

use std::sync::Arc;

use watchfire_export::PolicyObjects;
use watchfire_inventory::{
    Cgroup, CgroupOwner, Change, ContainerChange, Containers, Directory, Moment, Object, ObjectKey, PodRef,
    ResourceKind, Source, SourceBatch, UnknownReason,
};
use watchfire_model::{ContainerView, Dialect, Labels, Pod};
use watchfire_policy::{PolicySet, World};

pub(crate) use loaded::Loaded;
use policies::Policies;

/// Whose reading of policies connections are judged by.
const DIALECT: Dialect = Dialect::K8s;

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
}

impl Knowledge {
    /// What the configuration names, and nothing else yet.
    pub(crate) fn new(loaded: Loaded, at: Moment) -> Self {
        let mut knowledge = Self {
            cluster: loaded.cluster.clone(),
            node: Arc::clone(&loaded.node),
            directory: Directory::default(),
            containers: Containers::default(),
            policies: Policies::default(),
        };
        knowledge.reload(loaded, at);
        knowledge
    }

    /// What the configuration names was read again: it takes the place of what it said before, and nothing else does.
    pub(crate) fn reload(&mut self, loaded: Loaded, at: Moment) {
        let Loaded { cluster, node, inventory, cluster_ranges, policies, objects } = loaded;
        (self.cluster, self.node) = (cluster, node);
        match inventory {
            Some(inventory) => inventory.put_into(&mut self.directory, at),
            None => self.directory.set_cluster(cluster_ranges),
        }
        self.policies.set_files(policies, objects);
    }

    /// Takes in what a source tells.
    pub(crate) fn take(&mut self, batch: SourceBatch, at: Moment) {
        let SourceBatch { source, changes } = batch;
        for change in changes {
            self.policies.take(&change);
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

    /// To be called when something was taken in, before anything is judged by it.
    pub(crate) fn settle(&mut self) {
        self.policies.settle();
    }

    pub(crate) const fn policies(&self) -> &PolicySet {
        self.policies.set()
    }

    pub(crate) fn objects(&self) -> PolicyObjects {
        self.policies.objects()
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

impl World for Knowledge {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.directory.namespace(namespace).map(|namespace| &namespace.labels)
    }
}
