//! The policies that are in force: those of files, and those that the cluster has.

mod count;
mod object;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use watchfire_export::PolicyObjects;
use watchfire_inventory::{Change, Object, ObjectKey, PolicyObject, ResourceKind, Source};
use watchfire_policy::{CiliumOptions, Policy, PolicySet};

use self::object::{Entry, Said};
use super::candidates::Candidates;
use super::dialect::Followed;
use super::epochs::{Epochs, Next, Touched};
use super::mesh::{self, MeshObject};
use super::policy_files::PolicyFiles;
use crate::config::DialectChoice;

/// Most policy objects of the cluster that are kept.
const POLICIES_MAX: usize = 20_000;
/// Shortest time between two sets of policies, nanoseconds: changes that come at once are one change.
const SETTLE_INTERVAL_NS: u64 = 10_000_000;
/// How many times as long as it took to make a set the next one has to wait, so that policies which are edited all the time
/// cost the thread a tenth of its time at most.
const SETTLE_COST_TIMES: u64 = 9;

/// Kind, namespace and name.
type Key = (ResourceKind, String, String);

/// How policies are read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Reading {
    pub(super) choice: DialectChoice,
    pub(super) cilium: CiliumOptions,
}

/// Policies by where they come from.
#[derive(Debug)]
pub(super) struct Policies {
    reading: Reading,
    files: PolicyFiles,
    candidate_files: PolicyFiles,
    candidates: Candidates,
    /// Namespaces that have policies in force.
    namespaces: HashSet<String>,
    of_cluster: BTreeMap<Key, Entry>,
    lists: BTreeMap<ResourceKind, u32>,
    /// Kinds whose first list has begun and not ended: a part of it is no set to judge by.
    begun: BTreeSet<ResourceKind>,
    /// Cilium's kinds that the cluster's API has.
    cilium_kinds: BTreeSet<ResourceKind>,
    left_out: usize,
    followed: Followed,
    epochs: Epochs,
    /// Kinds that were said not to be judged by.
    ignored_kinds: BTreeSet<&'static str>,
    /// The mesh's policies that the current set is made of.
    mesh: Vec<MeshObject>,
    /// The cluster has yet to tell its policies for the first time.
    is_awaited: bool,
    is_stale: bool,
    settle_after_ns: u64,
    counts: PolicyObjects,
}

impl Policies {
    pub(super) fn new(reading: Reading, files: PolicyFiles, candidate_files: PolicyFiles) -> Self {
        let followed = Followed::new(reading.choice, false, false);
        let set = PolicySet::with_options(followed.dialect, reading.cilium.clone(), []);
        let mut policies = Self {
            reading,
            files,
            candidate_files,
            candidates: Candidates::default(),
            namespaces: HashSet::new(),
            of_cluster: BTreeMap::new(),
            lists: BTreeMap::new(),
            begun: BTreeSet::new(),
            cilium_kinds: BTreeSet::new(),
            left_out: 0,
            followed,
            epochs: Epochs::new(followed.dialect, set, None),
            ignored_kinds: BTreeSet::new(),
            mesh: Vec::new(),
            is_awaited: false,
            is_stale: false,
            settle_after_ns: 0,
            counts: PolicyObjects::default(),
        };
        policies.make(None, false);
        policies.followed.tell();
        policies
    }

    /// The cluster will tell its policies: until then nothing is known of what is in force.
    pub(super) fn await_cluster(&mut self) {
        self.is_awaited = true;
        self.epochs.await_more();
    }

    /// The cluster has told its policies of a kind.
    fn told(&mut self, source: Source, kind: ResourceKind) {
        if source == Source::Api && kind == ResourceKind::NetworkPolicy {
            self.is_stale |= mem::take(&mut self.is_awaited);
        }
    }

    /// Those of files, which take the place of those of files before.
    pub(super) fn set_files(&mut self, mut files: PolicyFiles, mut candidates: PolicyFiles, at_ns: u64) {
        files.keep_last_good(mem::take(&mut self.files));
        candidates.keep_last_good(mem::take(&mut self.candidate_files));
        (self.files, self.candidate_files) = (files, candidates);
        (self.is_stale, self.settle_after_ns) = (true, 0);
        self.settle(at_ns, false);
    }

    /// Takes in what a source tells of policies.
    pub(super) fn take(&mut self, source: Source, change: &Change) {
        match change {
            Change::ListBegins(kind) if kind.is_policy() => {
                let lists = self.lists.entry(*kind).or_default();
                *lists += 1;
                if *lists == 1 {
                    self.begun.insert(*kind);
                }
            }
            Change::ListEnds(kind) if kind.is_policy() => {
                let list = self.list(*kind);
                self.retain(*kind, |entry| entry.list == list);
                self.is_stale |= self.begun.remove(kind);
                self.told(source, *kind);
                if source == Source::Api && is_of_cilium(*kind) {
                    self.is_stale |= self.cilium_kinds.insert(*kind);
                }
            }
            Change::Absent(kind) if kind.is_policy() => {
                self.retain(*kind, |_| false);
                self.is_stale |= self.begun.remove(kind);
                self.told(source, *kind);
                self.is_stale |= self.cilium_kinds.remove(kind);
            }
            Change::Apply(object) => {
                if let Object::Policy(policy) = &**object {
                    self.apply(policy);
                }
            }
            Change::Delete(kind, ObjectKey { namespace, name, uid: _ }) if kind.is_policy() => {
                let removed = self.of_cluster.remove(&(*kind, namespace.clone(), name.clone()));
                self.is_stale |= removed.is_some();
            }
            Change::ListBegins(_) | Change::ListEnds(_) | Change::Absent(_) | Change::Delete(..) => {}
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
        let (kind, list) = (policy.kind, self.list(policy.kind));
        let key = (kind, namespace.clone(), name.clone());
        if self.of_cluster.len() >= POLICIES_MAX && !self.of_cluster.contains_key(&key) {
            self.left_out += 1;
            tracing::warn!(namespace, name, "policy left out: the cluster has more than {POLICIES_MAX}");
            return;
        }
        let read = object::read(policy);
        let entry = self.of_cluster.entry(key).or_insert(Entry { list, said: None, is_rejected: false });
        entry.list = list;
        match read {
            // A list that is told again changes nothing.
            Ok(said) if entry.said == said && said.is_some() && !entry.is_rejected => return,
            Ok(said) => (entry.said, entry.is_rejected) = (said, false),
            Err(reason) => {
                entry.is_rejected = true;
                let outcome =
                    if entry.said.is_some() { "stays in force as it last was valid" } else { "left out" };
                tracing::warn!(%kind, namespace, name, reason, "policy object {outcome}");
            }
        }
        self.is_stale = true;
    }

    /// Whether something has changed of which no set has been made yet.
    pub(super) const fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Makes one set of all, if anything has changed, also of what policies ask for; not too soon after the last.
    /// Answers whether it has.
    pub(super) fn settle(&mut self, at_ns: u64, facts_changed: bool) -> bool {
        if !(self.is_stale || facts_changed) || at_ns < self.settle_after_ns {
            return false;
        }
        let begun = Instant::now();
        if mem::take(&mut self.is_stale) {
            self.make(Some(at_ns), facts_changed);
        } else {
            let current = Arc::clone(self.epochs.current());
            let next = Next {
                dialect: current.dialect,
                set: Arc::clone(&current.set),
                mesh: current.mesh.clone(),
                facts_changed: true,
                is_whole: current.is_whole,
            };
            self.epochs.put(next, at_ns, Touched::EVERYONE);
        }
        let cost_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let pause_ns = cost_ns.saturating_mul(SETTLE_COST_TIMES).max(SETTLE_INTERVAL_NS);
        self.settle_after_ns = at_ns.saturating_add(pause_ns);
        true
    }

    /// Makes a set: the first of all where there is no time.
    fn make(&mut self, at_ns: Option<u64>, facts_changed: bool) {
        let entries = || self.of_cluster.iter().filter(|((kind, ..), _)| !self.begun.contains(kind));
        let of_cluster = entries().filter_map(|(_, entry)| match &entry.said {
            Some(Said::Policy(policy)) => Some(policy),
            _ => None,
        });
        let all: Vec<&Arc<Policy>> = self.files.policies().chain(of_cluster).collect();
        let has_cilium = all.iter().any(|policy| !policy.is_known_to(watchfire_model::Dialect::K8s));
        let followed = Followed::new(self.reading.choice, !self.cilium_kinds.is_empty(), has_cilium);
        let judged = all.into_iter().filter(|policy| policy.is_known_to(followed.dialect)).cloned();
        let set = PolicySet::with_options(followed.dialect, self.reading.cilium.clone(), judged);
        let of_cluster = entries().filter_map(|(_, entry)| match &entry.said {
            Some(Said::Candidate(policy)) => Some(policy),
            _ => None,
        });
        let beside = self.candidate_files.policies().chain(self.files.candidates()).chain(of_cluster);
        let beside: Vec<Arc<Policy>> = beside.cloned().collect();
        let of_cluster = entries().filter_map(|(_, entry)| match &entry.said {
            Some(Said::Mesh(object)) => Some(object),
            _ => None,
        });
        let mut of_mesh: Vec<&MeshObject> = self.files.mesh().chain(of_cluster).collect();
        let mesh_set = mesh::set(&mut of_mesh);
        let of_mesh: Vec<MeshObject> = of_mesh.into_iter().cloned().collect();

        let current = Arc::clone(self.epochs.current());
        let mut touched = if facts_changed || followed.dialect != current.dialect {
            Touched::EVERYONE
        } else {
            Touched::default()
        };
        differences(&current.set, &set, &mut touched);
        for object in self.mesh.iter().filter(|object| !of_mesh.contains(object)) {
            mesh::touch(object, &mut touched);
        }
        for object in of_mesh.iter().filter(|object| !self.mesh.contains(object)) {
            mesh::touch(object, &mut touched);
        }
        for policy in set.refused().iter().filter(|policy| !current.set.refused().contains(policy)) {
            tracing::warn!(
                "{} is not judged by: it uses what Cilium has to be configured for",
                policy.reference()
            );
        }
        if followed != mem::replace(&mut self.followed, followed) && at_ns.is_some() {
            followed.tell();
        }
        let is_whole = !self.is_awaited;
        self.mesh = of_mesh;
        self.candidates.make((followed.dialect, &self.reading.cilium), &set, beside);
        self.namespaces = set.policies().iter().map(|policy| policy.reference().namespace.clone()).collect();
        self.counts = self.count(&set);
        match at_ns {
            None => self.epochs = Epochs::new(followed.dialect, set, mesh_set),
            Some(_) if touched == Touched::default() && is_whole == current.is_whole => {}
            Some(at_ns) => {
                // What becomes known was in force before: nothing has changed.
                let touched = if current.is_whole { touched } else { Touched::default() };
                let (dialect, set) = (followed.dialect, Arc::new(set));
                let next = Next { dialect, set, mesh: mesh_set, facts_changed, is_whole };
                self.epochs.put(next, at_ns, touched);
            }
        }
    }

    pub(super) const fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// Whether policies of a namespace are in force.
    pub(super) fn are_in(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace)
    }

    pub(super) const fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    pub(super) const fn epochs_mut(&mut self) -> &mut Epochs {
        &mut self.epochs
    }

    pub(super) const fn followed(&self) -> Followed {
        self.followed
    }

    /// How many objects there are, and what came of them.
    pub(super) const fn objects(&self) -> PolicyObjects {
        self.counts
    }
}

fn is_of_cilium(kind: ResourceKind) -> bool {
    kind.group() == "cilium.io"
}

/// Whom it concerns that one set follows another. Both are in the order of their policies' names.
fn differences(before: &PolicySet, after: &PolicySet, touched: &mut Touched) {
    let by_name = |set: &PolicySet| {
        let all = set.policies().iter().map(|policy| (Arc::clone(policy.reference()), Arc::clone(policy)));
        all.collect::<BTreeMap<_, _>>()
    };
    if before.policies() == after.policies() {
        return;
    }
    let (mut before, after) = (by_name(before), by_name(after));
    for (reference, policy) in after {
        if before.remove(&reference).is_none_or(|known| known != policy) {
            touched.add(&reference.namespace);
        }
    }
    for reference in before.into_keys() {
        touched.add(&reference.namespace);
    }
}
