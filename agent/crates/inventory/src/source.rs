//! Where changes come from.

use crate::Change;

/// By whom something is told. Of two that tell of one pod, the later one here is believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Source {
    /// The container runtime: the pods of this node, as far as their sandboxes tell of them.
    Runtime,
    /// The kubelet of this node: its pods alone, while the API does not tell them.
    Kubelet,
    /// The Kubernetes API: every kind, the whole cluster.
    Api,
    /// A file or a folder of manifests.
    File,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Runtime, Self::Kubelet, Self::Api, Self::File];

    /// The name in `watchfire who` and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "container-runtime",
            Self::Kubelet => "kubelet",
            Self::Api => "kubernetes-api",
            Self::File => "file",
        }
    }
}

/// Changes of one source, in the order in which it told them. Lists of two sources are apart: what one does not list is
/// not gone from the other.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceBatch {
    /// Who tells.
    pub source: Source,
    /// What.
    pub changes: Vec<Change>,
}
