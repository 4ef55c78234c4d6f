//! Containers as records name them.

use std::sync::Arc;

use serde::Serialize;

/// A container.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct ContainerView {
    /// Id that the runtime gave it.
    pub id: Arc<str>,
    /// Name within its pod; empty where it is not known.
    #[serde(skip_serializing_if = "is_empty")]
    pub name: Arc<str>,
    /// Image as it was asked for; empty where it is not known.
    #[serde(skip_serializing_if = "is_empty")]
    pub image: Arc<str>,
    /// Digest or id of that image; empty where it is not known.
    #[serde(skip_serializing_if = "is_empty")]
    pub image_digest: Arc<str>,
    /// Whether it only holds the namespaces of a pod.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sandbox: bool,
    /// Whether it is privileged, where the runtime tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
}

fn is_empty(text: &Arc<str>) -> bool {
    text.is_empty()
}
