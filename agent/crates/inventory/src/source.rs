//! Where changes come from.

use crate::Change;

/// What asks for objects on behalf of the inventory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Source {
    /// The Kubernetes API: every kind, the whole cluster.
    Api,
    /// The kubelet of this node: its pods alone, while the API does not tell them.
    Kubelet,
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
