//! Policies of the mesh, in the order that they are to be judged in.

use std::sync::Arc;

use serde_json::Value;
use watchfire_policy::mesh::{MeshPolicy, MeshSet, ROOT_NAMESPACE};

use super::epochs::Touched;

/// A policy of the mesh with what it is ordered by.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct MeshObject {
    /// `metadata.creationTimestamp`: of several the oldest counts.
    created: String,
    namespace: String,
    name: String,
    policy: MeshPolicy,
}

/// Whether an object is of a kind that is the mesh's.
pub(super) fn is_of_mesh(api_version: Option<&str>) -> bool {
    api_version.is_some_and(|version| version.starts_with("security.istio.io/"))
}

impl MeshObject {
    /// With the object that the policy was read from.
    pub(super) fn new(value: &Value, policy: MeshPolicy) -> Self {
        let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (created, namespace, name) = (text("creationTimestamp"), text("namespace"), text("name"));
        Self { created, namespace, name, policy }
    }
}

/// All of them as one; none where there are none.
pub(super) fn set(objects: &mut [&MeshObject]) -> Option<Arc<MeshSet>> {
    objects.sort_unstable_by_key(|object| (&object.created, &object.namespace, &object.name));
    let policies = objects.iter().map(|object| object.policy.clone());
    (!objects.is_empty()).then(|| Arc::new(MeshSet::new(policies)))
}

/// Takes note of whom a policy concerns.
pub(super) fn touch(object: &MeshObject, touched: &mut Touched) {
    touched.add(if object.namespace == ROOT_NAMESPACE { "" } else { &object.namespace });
}
