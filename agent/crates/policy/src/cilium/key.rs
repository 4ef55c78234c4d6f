//! Label keys of Cilium's selectors: a source and a key (pkg/labels).

use crate::cilium::filter::is_identity_label;

/// Whether a selector's key means something that pods have in Cilium; keys of other sources than pods' do.
#[must_use]
pub fn is_label_looked_at(key: &str) -> bool {
    let (source, key) = key.split_once(':').unwrap_or(("any", key));
    !matches!(Source::of(source), Source::Any | Source::Kubernetes) || PodKey::of(key) != PodKey::Filtered
}

/// Prefix of keys that stand for labels of the pod's namespace.
pub(crate) const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels";
/// Key that stands for the pod's namespace.
pub(crate) const NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// Key that stands for the cluster.
pub(crate) const CLUSTER: &str = "io.cilium.k8s.policy.cluster";
/// Key that stands for the pod's service account.
const SERVICE_ACCOUNT: &str = "io.cilium.k8s.policy.serviceaccount";
/// Labels of pods under this prefix are taken away (`RemoveCiliumLabels` of pkg/k8s/utils).
const CILIUM: &str = "io.cilium.k8s";

/// Where a label comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// From anywhere.
    Any,
    Kubernetes,
    Reserved,
    Cidr,
    Node,
    /// From a source whose labels this engine gives nobody.
    Other,
}

impl Source {
    pub(crate) fn of(source: &str) -> Self {
        match source {
            "any" => Self::Any,
            "k8s" => Self::Kubernetes,
            "reserved" => Self::Reserved,
            "cidr" => Self::Cidr,
            "node" => Self::Node,
            _ => Self::Other,
        }
    }

    /// Whether labels of the other source are meant.
    pub(crate) fn includes(self, other: Self) -> bool {
        self == Self::Any || self == other
    }
}

/// What a key means on a pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PodKey {
    Namespace,
    /// A label of the namespace.
    NamespaceLabel(Box<str>),
    Cluster,
    ServiceAccount,
    /// A label of the pod.
    Label,
    /// A label that Cilium does not look at, whether the pod has it or not.
    Filtered,
}

impl PodKey {
    pub(crate) fn of(key: &str) -> Self {
        match key {
            NAMESPACE => Self::Namespace,
            CLUSTER => Self::Cluster,
            SERVICE_ACCOUNT => Self::ServiceAccount,
            _ => match key.strip_prefix(NAMESPACE_LABELS).and_then(|rest| rest.strip_prefix('.')) {
                Some(label) => Self::NamespaceLabel(label.into()),
                None if key.starts_with(CILIUM) || !is_identity_label(key) => Self::Filtered,
                None => Self::Label,
            },
        }
    }
}
