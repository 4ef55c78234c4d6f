//! Who stands at either side of a finding: what lasts, and never an address of a pod.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::{PodView, ServiceView, WorkloadRef};

/// One side of a finding: never an address of a pod, which comes and goes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
pub struct Party {
    /// What it is.
    pub kind: PartyKind,
    /// Namespace of workloads, pods and services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Arc<str>>,
    /// What pods belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadRef>,
    /// Name of the pod, service or node; of addresses outside the cluster the range that they are counted under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
}

/// What a side of a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartyKind {
    /// All pods of one Deployment, StatefulSet, …
    Workload,
    /// A pod that belongs to nothing.
    Pod,
    /// A service of which it is not known who answered for it.
    Service,
    /// A node.
    Node,
    /// Addresses outside of the cluster.
    World,
    /// Somebody of the cluster, not known who.
    Unresolved,
}

impl PartyKind {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Pod => "pod",
            Self::Service => "service",
            Self::Node => "node",
            Self::World => "world",
            Self::Unresolved => "unresolved",
        }
    }
}

impl Party {
    /// Who has no more than a name.
    #[must_use]
    pub const fn named(kind: PartyKind, name: Option<Arc<str>>) -> Self {
        Self { kind, namespace: None, workload: None, name }
    }
}

impl From<&PodView> for Party {
    fn from(pod: &PodView) -> Self {
        let namespace = Some(Arc::clone(&pod.namespace));
        match &pod.workload {
            Some(workload) => {
                Self { kind: PartyKind::Workload, namespace, workload: Some(workload.clone()), name: None }
            }
            None => Self { kind: PartyKind::Pod, namespace, workload: None, name: Some((&*pod.name).into()) },
        }
    }
}

impl From<&ServiceView> for Party {
    fn from(service: &ServiceView) -> Self {
        let (namespace, name) = (Some(Arc::clone(&service.namespace)), Some(Arc::clone(&service.name)));
        Self { kind: PartyKind::Service, namespace, workload: None, name }
    }
}

impl fmt::Display for Party {
    /// `shop/Deployment/api`, `shop/db`, `node node-1`, `world 203.0.113.0/24`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, workload, name } = self;
        if !matches!(kind, PartyKind::Workload | PartyKind::Pod) {
            f.write_str(kind.as_str())?;
            if namespace.is_some() || name.is_some() {
                f.write_str(" ")?;
            }
        }
        if let Some(namespace) = namespace {
            write!(f, "{namespace}/")?;
        }
        match (workload, name) {
            (Some(WorkloadRef { kind, name }), _) => write!(f, "{kind}/{name}"),
            (None, Some(name)) => f.write_str(name),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_named_by_what_stays() {
        let mut pod = PodView::named("shop", "api-7d9f-x");
        assert_eq!(Party::from(&pod).to_string(), "shop/api-7d9f-x");
        pod.workload = Some(WorkloadRef { kind: "Deployment".into(), name: "api".into() });
        assert_eq!(Party::from(&pod).to_string(), "shop/Deployment/api");
        let service = ServiceView { namespace: "shop".into(), name: "db".into() };
        assert_eq!(Party::from(&service).to_string(), "service shop/db");
        assert_eq!(Party::named(PartyKind::Node, Some("a".into())).to_string(), "node a");
        assert_eq!(Party::named(PartyKind::Unresolved, None).to_string(), "unresolved");
    }
}
