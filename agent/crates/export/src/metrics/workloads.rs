//! Workloads as labels: never a pod that belongs to something, an address or a process.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashTable;
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use watchfire_model::{EndpointView, Party, PodView, ProcessView};

use super::labels::Fixed;
use super::series::{Foldable, OVERFLOW};

/// Kind of what runs on the node outside of pods.
const HOST: &str = "host";
/// Kind of pods that belong to nothing; their name is all there is to call them.
const POD: &str = "Pod";

/// What the pods of one Deployment, StatefulSet, … have in common, as labels show it.
pub(super) struct Workload {
    id: usize,
    namespace: Box<str>,
    kind: Box<str>,
    name: Box<str>,
}

impl Workload {
    fn new(id: usize, (namespace, kind, name): Names<'_>) -> Arc<Self> {
        Arc::new(Self { id, namespace: namespace.into(), kind: kind.into(), name: name.into() })
    }

    fn names(&self) -> Names<'_> {
        (&self.namespace, &self.kind, &self.name)
    }
}

/// Namespace, kind and name.
type Names<'a> = (&'a str, &'a str, &'a str);

/// Numbered, so that no name is looked at twice.
impl PartialEq for Workload {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Workload {}

impl Hash for Workload {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.name)
    }
}

/// Every workload that has been met, up to a limit.
#[derive(Debug)]
pub(super) struct Workloads {
    known: RwLock<HashTable<Arc<Workload>>>,
    hasher: RandomState,
    max: usize,
    overflow: Arc<Workload>,
}

impl Workloads {
    pub(super) fn new(max: usize) -> Self {
        let overflow = Workload::new(0, (OVERFLOW, OVERFLOW, OVERFLOW));
        Self { known: RwLock::default(), hasher: RandomState::new(), max, overflow }
    }

    /// Who runs a process.
    pub(super) fn of_process(&self, process: &ProcessView) -> Arc<Workload> {
        process.pod.as_ref().map_or_else(|| self.get(("", HOST, "")), |pod| self.of_pod(pod))
    }

    /// Who stands at the end of a flow.
    pub(super) fn of_end(&self, end: &EndpointView) -> Arc<Workload> {
        end.pod.as_ref().map_or_else(|| self.get(("", end.kind, "")), |pod| self.of_pod(pod))
    }

    /// Who is on a side of a finding.
    pub(super) fn of_party(&self, party: &Party) -> Arc<Workload> {
        let namespace = party.namespace.as_deref().unwrap_or_default();
        match &party.workload {
            Some(workload) => self.get((namespace, &workload.kind, &workload.name)),
            // Of what lies outside the cluster, and of nodes, the names are too many.
            None if party.namespace.is_none() => self.get(("", party.kind.as_str(), "")),
            None => {
                let kind =
                    if party.kind == watchfire_model::PartyKind::Pod { POD } else { party.kind.as_str() };
                self.get((namespace, kind, party.name.as_deref().unwrap_or_default()))
            }
        }
    }

    fn of_pod(&self, pod: &PodView) -> Arc<Workload> {
        let (kind, name) = match &pod.workload {
            Some(workload) => (&*workload.kind, &*workload.name),
            None => (POD, &*pod.name),
        };
        self.get((&pod.namespace, kind, name))
    }

    fn get(&self, names: Names<'_>) -> Arc<Workload> {
        let hash = self.hasher.hash_one(names);
        let is_it = |workload: &Arc<Workload>| workload.names() == names;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(workload) = known.find(hash, is_it) {
            return Arc::clone(workload);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.max {
            return Arc::clone(&self.overflow);
        }
        let workload = Workload::new(known.len() + 1, names);
        let hash_of = |workload: &Arc<Workload>| self.hasher.hash_one(workload.names());
        known.insert_unique(hash, Arc::clone(&workload), hash_of);
        workload
    }
}

/// Labels of one workload and of a closed set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct OfOne<const N: usize> {
    pub(super) workload: Arc<Workload>,
    pub(super) closed: Fixed<N>,
}

impl<const N: usize> EncodeLabelSet for OfOne<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (namespace, kind, name) = self.workload.names();
        for label in [("namespace", namespace), ("workload_kind", kind), ("workload", name)]
            .into_iter()
            .chain(self.closed)
        {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl<const N: usize> Foldable for OfOne<N> {
    fn is_folded(&self) -> bool {
        self.workload.id == 0
    }

    fn folded(&self) -> Self {
        Self { workload: overflow(), closed: self.closed }
    }
}

/// Labels of two workloads and of a closed set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct OfPair<const N: usize> {
    pub(super) source: Arc<Workload>,
    pub(super) destination: Arc<Workload>,
    pub(super) closed: Fixed<N>,
}

impl<const N: usize> EncodeLabelSet for OfPair<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (source, destination) = (self.source.names(), self.destination.names());
        let names = [
            ("source_namespace", source.0),
            ("source_workload_kind", source.1),
            ("source_workload", source.2),
            ("destination_namespace", destination.0),
            ("destination_workload_kind", destination.1),
            ("destination_workload", destination.2),
        ];
        for label in names.into_iter().chain(self.closed) {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl<const N: usize> Foldable for OfPair<N> {
    fn is_folded(&self) -> bool {
        self.source.id == 0 && self.destination.id == 0
    }

    fn folded(&self) -> Self {
        Self { source: overflow(), destination: overflow(), closed: self.closed }
    }
}

fn overflow() -> Arc<Workload> {
    Workload::new(0, (OVERFLOW, OVERFLOW, OVERFLOW))
}
