//! What a container runtime tells of its containers.
//!
//! Field names in the documentation are those of the CRI (kubernetes
//! `staging/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`).

use std::sync::Arc;

use watchfire_model::Labels;

use crate::PodObject;

/// Something that a container runtime told. Objects are shared: the source keeps them to tell them again.
#[derive(Clone, PartialEq, Debug)]
pub enum ContainerChange {
    /// All containers and pods of the node are told from the beginning: those that do not come before
    /// [`ContainerChange::ListEnds`] are gone.
    ListBegins,
    /// The list is complete. What it does not say of containers (mounts, privileged, pid) comes after it.
    ListEnds,
    /// A container or sandbox is new or more is known of it.
    Apply(Arc<ContainerObject>),
    /// A pod is new or has changed, as its sandbox tells it: without service account, ports, controller and node.
    ApplyPod(Arc<PodObject>),
    /// A container or sandbox was removed.
    Delete {
        /// Its id.
        id: String,
    },
    /// Nothing is known of a container that was asked for.
    Unknown {
        /// The id that was asked for.
        id: String,
        /// Why.
        reason: UnknownReason,
    },
}

/// Why nothing is known of a container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum UnknownReason {
    /// The runtime does not know it yet, or another runtime made it. It is asked again for a moment, and either is then
    /// told. Containers are known to their runtime before they have a cgroup: it is likely a sandbox, which containerd
    /// keeps only once it has started.
    NotYet,
    /// The runtime does not know it: another runtime made it, or it is gone.
    NotFound,
    /// There is no connection to a runtime.
    NotConnected,
    /// The runtime did not answer in time.
    Timeout,
    /// The runtime answered with an error, or with what is no answer.
    Failed,
}

impl UnknownReason {
    /// For records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::NotFound => "not_found",
            Self::NotConnected => "not_connected",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
        }
    }
}

/// A container, or the sandbox of a pod.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ContainerObject {
    /// `id`
    pub id: String,
    /// `metadata.name`: its name within the pod. Empty for sandboxes.
    pub name: String,
    /// Image as it was asked for, or else its first tag; what the runtime gives where it has neither. Empty for sandboxes.
    pub image: String,
    /// `image_ref`, which Kubernetes shows as `imageID`.
    pub image_ref: String,
    /// Digest within `image_ref` (`sha256:…` after the `@`): that of the image in its repository.
    pub image_digest: Option<String>,
    /// `VersionResponse.runtime_name`: `containerd`, `cri-o`, `docker`
    pub runtime: String,
    /// The pod.
    pub pod: Option<PodRef>,
    /// Sandbox that it is in; its own id for sandboxes. Empty where the runtime did not tell.
    pub sandbox_id: String,
    /// Whether it is the sandbox (pause container) of its pod.
    pub is_sandbox: bool,
    /// Where it is in its life.
    pub state: ContainerState,
    /// Whether it is privileged; none where the runtime does not tell.
    pub privileged: Option<bool>,
    /// `mounts`: what kubelet or the user mounted, not what the runtime always does.
    pub mounts: Vec<Mount>,
    /// `labels`
    pub labels: Labels,
    /// `created_at`, nanoseconds since 1970.
    pub created_unix_ns: Option<i64>,
    /// `started_at`, nanoseconds since 1970.
    pub started_unix_ns: Option<i64>,
    /// First process, as the runtime's own pid namespace has it; none where the runtime does not tell.
    pub pid: Option<u32>,
    /// Whether the runtime was asked for all that it knows: mounts, privileged and pid are not merely still to come.
    pub is_complete: bool,
}

/// A pod, as a container names it.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct PodRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid as kubelet knows it, and as cgroups have it.
    pub uid: String,
}

/// `ContainerState`; a sandbox is either running or ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum ContainerState {
    /// Made, not yet started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// The runtime does not know either.
    #[default]
    Unknown,
}

/// Something of the host, or of a volume, inside a container.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Mount {
    /// Path on the host.
    pub host_path: String,
    /// Path in the container.
    pub container_path: String,
    /// Whether it cannot be written through this mount.
    pub is_read_only: bool,
}
