//! Workloads in manifests: what makes pods stands for them where there are none, as in a repository.

use serde_json::{Value, json};

/// Kinds that hold the template of a pod, and where.
const KINDS: [(&str, &str); 6] = [
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("DaemonSet", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

/// The namespace of objects that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// A pod as the workload would make it, under the workload's name and without an address. None for other objects.
pub(super) fn pod_of(object: &Value) -> Option<Value> {
    let kind = object.get("kind")?.as_str()?;
    let (_, path) = KINDS.iter().find(|(name, _)| *name == kind)?;
    let template = object.pointer(path)?;
    let name = object.pointer("/metadata/name")?;
    let namespace =
        object.pointer("/metadata/namespace").cloned().unwrap_or_else(|| DEFAULT_NAMESPACE.into());
    Some(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": namespace, "name": name,
            "labels": template.pointer("/metadata/labels"),
            "ownerReferences": [{ "kind": kind, "name": name, "controller": true }],
        },
        "spec": template.get("spec"),
    }))
}
