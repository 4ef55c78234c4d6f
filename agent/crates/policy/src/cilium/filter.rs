//! Which labels of a pod make its identity: the default of `--labels` (pkg/labelsfilter/filter.go).

/// Beginnings of keys that are kept.
const INCLUDED: [&str; 5] = [
    "io.kubernetes.pod.namespace",
    "io.cilium.k8s.namespace.labels",
    "app.kubernetes.io",
    "io.cilium.k8s.policy.cluster",
    "io.cilium.k8s.policy.serviceaccount",
];

/// Beginnings of keys that are dropped.
const IGNORED: [&str; 15] = [
    "io.kubernetes",
    "kubernetes.io",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/controller-uid",
    "k8s.io",
    "pod-template-generation",
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "annotation",
    "etcd_node",
    "topology.kubernetes.io",
    // Twice in the pattern's meaning: anything before it counts as its beginning.
    BETA,
];
const BETA: &str = "beta.kubernetes.io";

/// Whether Cilium keeps a pod's label: none of what is dropped matches, or something kept matches a longer part of it.
pub(crate) fn is_identity_label(key: &str) -> bool {
    let included = INCLUDED.iter().filter(|start| key.starts_with(**start)).map(|start| start.len()).max();
    let beta = key.rfind(BETA).map(|at| at + BETA.len());
    let ignored =
        IGNORED.iter().filter(|start| key.starts_with(**start)).map(|start| start.len()).chain(beta).min();
    ignored.is_none_or(|ignored| included.is_some_and(|included| included > ignored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_make_an_identity() {
        for (key, expected) in [
            ("app", true),
            ("app.kubernetes.io/name", true),
            ("kubernetes.io/name", false),
            ("io.kubernetes.pod.namespace", true),
            ("io.kubernetes.pod.name", false),
            ("pod-template-hash", false),
            ("pod-template-hash-of-mine", false),
            ("my-pod-template-hash", true),
            ("statefulset.kubernetes.io/pod-name", false),
            ("statefulset.kubernetes.io/other", true),
            ("failure-domain.beta.kubernetes.io/zone", false),
            ("x.beta.kubernetes.io", false),
            ("topology.kubernetes.io/zone", false),
            ("k8s.io/x", false),
            ("annotations", false),
        ] {
            assert_eq!(is_identity_label(key), expected, "{key}");
        }
    }
}
