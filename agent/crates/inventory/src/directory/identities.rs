//! Identities and names that many pods share, each kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use watchfire_model::{Identity, WorkloadRef};

use crate::PodObject;
use crate::workload::workload_of;

/// An interner is looked through for what nobody uses any more when it has grown to twice what the last look left.
const SWEEP_MIN: usize = 1024;

/// Values of which equal ones are one.
#[derive(Debug)]
struct Interner<T: ?Sized> {
    values: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Self { values: HashSet::new(), sweep_at: SWEEP_MIN }
    }
}

impl<T: ?Sized + Eq + Hash> Interner<T> {
    fn shared(&mut self, value: impl AsRef<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(known) = self.values.get(value.as_ref()) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.sweep_at = SWEEP_MIN.max(2 * self.values.len());
        }
        let value: Arc<T> = value.into();
        self.values.insert(Arc::clone(&value));
        value
    }
}

/// Identities, and the names in them.
#[derive(Default, Debug)]
pub(crate) struct Identities {
    names: Interner<str>,
    nodes: Interner<String>,
    identities: Interner<Identity>,
}

impl Identities {
    /// A name of which there are few: of a namespace, a node, a workload.
    pub(crate) fn name(&mut self, name: &str) -> Arc<str> {
        self.names.shared(name)
    }

    /// The name of a node.
    pub(crate) fn node(&mut self, name: &str) -> Arc<String> {
        self.nodes.shared(Named(name.to_owned()))
    }

    /// What a pod shares with others.
    pub(crate) fn of(&mut self, pod: &PodObject) -> Arc<Identity> {
        let workload =
            workload_of(pod).map(|(kind, name)| WorkloadRef { kind: self.name(kind), name: self.name(name) });
        let identity = Identity {
            namespace: self.name(&pod.namespace),
            labels: pod.labels.clone(),
            ports: pod.ports.clone(),
            host_network: pod.host_network,
            service_account: pod.service_account.as_deref().map(|account| self.name(account)),
            workload,
        };
        self.identities.shared(Owned(identity))
    }

    /// How many identities are in use, or were until lately.
    pub(crate) fn len(&self) -> usize {
        self.identities.values.len()
    }
}

/// A name that is not shared yet.
struct Named(String);

impl AsRef<String> for Named {
    fn as_ref(&self) -> &String {
        &self.0
    }
}

impl From<Named> for Arc<String> {
    fn from(named: Named) -> Self {
        Self::new(named.0)
    }
}

/// An identity that is not shared yet.
struct Owned(Identity);

impl AsRef<Identity> for Owned {
    fn as_ref(&self) -> &Identity {
        &self.0
    }
}

impl From<Owned> for Arc<Identity> {
    fn from(owned: Owned) -> Self {
        Self::new(owned.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_are_one_and_unused_ones_are_dropped() {
        let mut identities = Identities::default();
        let pod = |app: usize| PodObject {
            namespace: "shop".to_owned(),
            labels: [("app".to_owned(), app.to_string())].into(),
            ..PodObject::default()
        };
        let first = identities.of(&pod(0));
        assert!(Arc::ptr_eq(&first, &identities.of(&pod(0))));
        for app in 0..10 * SWEEP_MIN {
            identities.of(&pod(app));
        }
        assert!(identities.len() <= SWEEP_MIN + 1, "{}", identities.len());
        assert!(Arc::ptr_eq(&first, &identities.of(&pod(0))), "what is used stays");
    }
}
