//! Whose a cgroup is, by its path alone: pod, container, runtime and systemd unit.
//!
//! A path is walked once, component by component; what a component names is decided by [`component`]. The rules:
//! * The first container wins: what a container makes below itself (systemd in a container, Docker in Docker) is still
//!   that container.
//! * A pod below a container that is of no pod (a Kubernetes node in a container, as kind and minikube have it) wins over
//!   that container, which is then told as [`Placement::outer_container_id`].
//! * A pod below the container of a pod does not: whoever may write to its own cgroup could name any pod there.
//!   [`Placement::names_other_pod`] tells of it.

mod component;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::component::{Component, Named, unit};

/// What made a container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Runtime {
    /// containerd, by its CRI plugin, nerdctl or ctr
    Containerd,
    /// CRI-O
    CriO,
    /// Docker, or Kubernetes through cri-dockerd
    Docker,
    /// Podman
    Podman,
    /// LXC, LXD or Incus
    Lxc,
    /// systemd-nspawn
    Nspawn,
}

impl Runtime {
    /// The name that the runtime's own interface gives, where it has one (CRI `VersionResponse.runtime_name`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Nspawn => "systemd-nspawn",
        }
    }
}

/// What the path of a cgroup says of the processes in it. Nothing is set for a cgroup of the host that is no unit.
///
/// Whether a container is the sandbox (pause container) of its pod is in no path: the runtime tells.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Placement<'a> {
    /// Uid of the pod, as kubelet knows it: a UUID, or a hash of 32 digits for static pods.
    pub pod_uid: Option<Cow<'a, str>>,
    /// Container: 64 hexadecimal digits, or its name where names are all that the runtime has (ctr, LXC, nspawn).
    pub container_id: Option<Cow<'a, str>>,
    /// What made it; none where only the id is in the path (cgroupfs driver).
    pub runtime: Option<Runtime>,
    /// Container that a process of the runtime looks after (conmon, `lxc.monitor`, nspawn's supervisor) without being in
    /// it; `container_id` is then none.
    pub monitored_id: Option<Cow<'a, str>>,
    /// The outermost systemd unit that has processes, down to the container itself and not below.
    pub unit: Option<&'a str>,
    /// Container around the pod: the node, where Kubernetes runs in a container.
    pub outer_container_id: Option<Cow<'a, str>>,
    /// A cgroup below the container has the name of a pod: a nested Kubernetes, or someone who wants to be mistaken.
    pub names_other_pod: bool,
}

/// Reads paths of cgroups.
#[derive(Clone, Copy, Debug)]
pub struct CgroupPath;

impl CgroupPath {
    /// Reads a path below the root of the cgroup v2 tree (or of the named v1 hierarchy of systemd, which looks the same),
    /// as the kernel, a walk of the tree or `/proc/<pid>/cgroup` tell it. `..` that stand for what is above the root of
    /// the reader's cgroup namespace, and ` (deleted)` after the path of a removed cgroup (cgroup_namespaces(7),
    /// kernel `proc_cgroup_show`), are passed over.
    #[must_use]
    pub fn parse(path: &str) -> Placement<'_> {
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        let mut placement = Placement::default();
        let mut parent = None;
        let components = path.split('/').filter(|text| !matches!(*text, "" | "." | ".."));
        for (depth, text) in components.enumerate() {
            let component = Component { text, parent, depth };
            if placement.container_id.is_none() && placement.outer_container_id.is_none() {
                placement.unit = placement.unit.or_else(|| unit(text));
            }
            placement.enter(component);
            parent = Some(text);
        }
        placement
    }
}

impl<'a> Placement<'a> {
    fn enter(&mut self, component: Component<'a>) {
        let named = component.named(self.pod_uid.is_some());
        if named.pod_uid.is_some_and(|uid| !self.enter_pod(uid)) {
            return;
        }
        match named.what {
            Named::Nothing => {}
            Named::Container(id, runtime) if self.container_id.is_none() => {
                self.container_id = Some(id);
                self.runtime = runtime;
                self.monitored_id = None;
            }
            Named::Monitor(id, runtime) if self.container_id.is_none() => {
                self.monitored_id = Some(id);
                self.runtime = Some(runtime);
            }
            // systemd-nspawn(1): `payload` has the container, `supervisor` what looks after it.
            Named::Supervisor if self.runtime == Some(Runtime::Nspawn) => {
                if component.parent.is_some_and(component::is_nspawn) {
                    self.monitored_id = self.container_id.take();
                }
            }
            Named::Container(..) | Named::Monitor(..) | Named::Supervisor => {}
        }
    }

    /// Whether the component may go on to name a container.
    fn enter_pod(&mut self, uid: Cow<'a, str>) -> bool {
        if self.container_id.is_some() && self.pod_uid.is_some() {
            self.names_other_pod = true;
            return false;
        }
        if self.container_id.is_some() {
            self.outer_container_id = self.container_id.take();
            self.runtime = None;
        }
        self.pod_uid = Some(uid);
        true
    }
}

/// The pod uid in a cgroup path, as kubelet writes it with either cgroup driver.
#[must_use]
pub fn pod_uid(path: &str) -> Option<String> {
    CgroupPath::parse(path).pod_uid.map(Cow::into_owned)
}
