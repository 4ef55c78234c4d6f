//! The policies that are in force: those of files, and those that the cluster has.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use watchfire_export::PolicyObjects;
use watchfire_inventory::{Change, Object, ObjectKey, PolicyObject, ResourceKind};
use watchfire_policy::{Policy, PolicySet, parse_object};

use super::DIALECT;

/// Most policy objects of the cluster that are kept.
const POLICIES_MAX: usize = 20_000;

/// Kind, namespace and name.
type Key = (ResourceKind, String, String);

/// What came of an object of the cluster.
#[derive(Debug)]
enum Outcome {
    Loaded(Arc<Policy>),
    Rejected,
    /// Of a kind that is not judged by.
    Ignored,
}

#[derive(Debug)]
struct Entry {
    list: u32,
    outcome: Outcome,
}

/// Policies by where they come from.
#[derive(Debug)]
pub(super) struct Policies {
    of_files: Vec<Arc<Policy>>,
    file_objects: PolicyObjects,
    of_cluster: BTreeMap<Key, Entry>,
    lists: BTreeMap<ResourceKind, u32>,
    refused: usize,
    /// Kinds that were said not to be judged by.
    ignored_kinds: BTreeSet<ResourceKind>,
    set: PolicySet,
    is_stale: bool,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            of_files: Vec::new(),
            file_objects: PolicyObjects::default(),
            of_cluster: BTreeMap::new(),
            lists: BTreeMap::new(),
            refused: 0,
            ignored_kinds: BTreeSet::new(),
            set: PolicySet::new(DIALECT, Vec::new()),
            is_stale: false,
        }
    }
}

impl Policies {
    /// Those of files, which take the place of those of files before.
    pub(super) fn set_files(&mut self, policies: Vec<Arc<Policy>>, objects: PolicyObjects) {
        (self.of_files, self.file_objects) = (policies, objects);
        self.is_stale = true;
        self.settle();
    }

    /// Takes in what a source tells of policies.
    pub(super) fn take(&mut self, change: &Change) {
        match change {
            Change::ListBegins(kind) => *self.lists.entry(*kind).or_default() += 1,
            Change::ListEnds(kind) => {
                let list = self.list(*kind);
                self.retain(*kind, |entry| entry.list == list);
            }
            Change::Absent(kind) => self.retain(*kind, |_| false),
            Change::Apply(object) => {
                if let Object::Policy(policy) = &**object {
                    self.apply(policy);
                }
            }
            Change::Delete(kind, ObjectKey { namespace, name, uid: _ }) => {
                if self.of_cluster.remove(&(*kind, namespace.clone(), name.clone())).is_some() {
                    self.is_stale = true;
                }
            }
        }
    }

    fn list(&self, kind: ResourceKind) -> u32 {
        self.lists.get(&kind).copied().unwrap_or_default()
    }

    fn retain(&mut self, kind: ResourceKind, keep: impl Fn(&Entry) -> bool) {
        let before = self.of_cluster.len();
        self.of_cluster.retain(|(of, ..), entry| *of != kind || keep(entry));
        self.is_stale |= before != self.of_cluster.len();
    }

    fn apply(&mut self, policy: &PolicyObject) {
        let ObjectKey { namespace, name, uid: _ } = &policy.key;
        let key = (policy.kind, namespace.clone(), name.clone());
        if self.of_cluster.len() >= POLICIES_MAX && !self.of_cluster.contains_key(&key) {
            self.refused += 1;
            tracing::warn!(namespace, name, "policy left out: the cluster has more than {POLICIES_MAX}");
            return;
        }
        let outcome = match parse_object(policy.value.clone()) {
            Ok(Some(policy)) if policy.is_known_to(DIALECT) => Outcome::Loaded(policy),
            Ok(_) => {
                if self.ignored_kinds.insert(policy.kind) {
                    let kind = policy.kind;
                    tracing::warn!(
                        "the cluster has objects of kind {kind}, which this agent does not judge by"
                    );
                }
                Outcome::Ignored
            }
            Err(reason) => {
                tracing::warn!(kind = ?policy.kind, namespace, name, reason, "policy object left out");
                Outcome::Rejected
            }
        };
        let entry = Entry { list: self.list(policy.kind), outcome };
        self.of_cluster.insert(key, entry);
        self.is_stale = true;
    }

    /// Makes one set of all, if anything has changed.
    pub(super) fn settle(&mut self) {
        if !mem::take(&mut self.is_stale) {
            return;
        }
        let of_cluster = self.of_cluster.values().filter_map(|entry| match &entry.outcome {
            Outcome::Loaded(policy) => Some(Arc::clone(policy)),
            Outcome::Rejected | Outcome::Ignored => None,
        });
        let all: Vec<_> = self.of_files.iter().cloned().chain(of_cluster).collect();
        self.set = PolicySet::new(DIALECT, all);
    }

    pub(super) const fn set(&self) -> &PolicySet {
        &self.set
    }

    /// How many objects there are, and what came of them.
    pub(super) fn objects(&self) -> PolicyObjects {
        let mut objects = self.file_objects;
        objects.rejected += self.refused;
        for entry in self.of_cluster.values() {
            match entry.outcome {
                Outcome::Loaded(_) => objects.loaded += 1,
                Outcome::Rejected => objects.rejected += 1,
                Outcome::Ignored => objects.ignored += 1,
            }
        }
        objects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_others_are_not_judged_by_and_counted_so() {
        let value = serde_json::json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
            "metadata": { "name": "c", "namespace": "shop" }, "spec": { "endpointSelector": {}, "ingress": [{}] },
        });
        let key = ObjectKey { namespace: "shop".to_owned(), name: "c".to_owned(), uid: String::new() };
        let kind = ResourceKind::CiliumNetworkPolicy;
        let mut policies = Policies::default();
        policies.take(&Change::Apply(Box::new(Object::Policy(PolicyObject { kind, key, value }))));
        assert_eq!(names(&mut policies), [""; 0]);
        assert_eq!(policies.objects(), PolicyObjects { loaded: 0, rejected: 0, ignored: 1 });
    }

    fn policy(name: &str, spec: &str) -> Change {
        let text = format!(
            r#"{{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{{"name":"{name}","namespace":"shop"}},"spec":{spec}}}"#
        );
        Change::Apply(Box::new(Object::Policy(PolicyObject {
            kind: ResourceKind::NetworkPolicy,
            key: ObjectKey { namespace: "shop".to_owned(), name: name.to_owned(), uid: String::new() },
            value: serde_json::from_str(&text).unwrap(),
        })))
    }

    fn names(policies: &mut Policies) -> Vec<String> {
        policies.settle();
        policies.set().policies().iter().map(|policy| policy.reference().name.to_string()).collect()
    }

    #[test]
    fn policies_come_and_go_as_the_cluster_says() {
        const KIND: ResourceKind = ResourceKind::NetworkPolicy;
        let mut policies = Policies::default();
        for change in [
            Change::ListBegins(KIND),
            policy("a", r#"{"podSelector":{}}"#),
            policy("b", r#"{"podSelector":{}}"#),
            policy("c", r#"{"podSelector":7}"#),
            Change::ListEnds(KIND),
        ] {
            policies.take(&change);
        }
        assert_eq!(names(&mut policies), ["a", "b"]);
        assert_eq!(policies.objects(), PolicyObjects { loaded: 2, rejected: 1, ignored: 0 });
        let key = ObjectKey { namespace: "shop".to_owned(), name: "a".to_owned(), uid: String::new() };
        policies.take(&Change::Delete(KIND, key));
        assert_eq!(names(&mut policies), ["b"]);
        for change in [Change::ListBegins(KIND), policy("d", r#"{"podSelector":{}}"#), Change::ListEnds(KIND)]
        {
            policies.take(&change);
        }
        assert_eq!(names(&mut policies), ["d"]);
        policies.take(&Change::Absent(KIND));
        assert_eq!(names(&mut policies), [""; 0]);
    }
}
