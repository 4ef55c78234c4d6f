//! Workloads as labels: never a pod that belongs to something, an address or a process.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use watchfire_model::{EndpointView, FlowRecord, Party, PartyKind, PodView, ProcessView};

use super::labels::Fixed;
use super::names::{NameTable, Named, Names};
use super::series::Foldable;

/// Kind of what runs on the node outside of pods.
const HOST: &str = "host";
/// Kind of pods that belong to nothing; their name is all there is to call them.
const POD: &str = "Pod";

/// What the pods of one Deployment, StatefulSet, … have in common, as labels show it.
pub(super) type Workload = Named;

/// Every workload of which something was told lately, up to a limit.
#[derive(Debug)]
pub(super) struct Workloads(NameTable);

impl Workloads {
    pub(super) fn new(max: usize) -> Self {
        Self(NameTable::new(max))
    }

    /// Who runs a process.
    pub(super) fn of_process(&self, process: &ProcessView) -> Arc<Workload> {
        process.pod.as_ref().map_or_else(|| self.get(("", HOST, "")), |pod| self.of_pod(pod))
    }

    /// Who stands at the end of a flow.
    pub(super) fn of_end(&self, end: &EndpointView) -> Arc<Workload> {
        end.pod.as_ref().map_or_else(|| self.get(("", end.kind, "")), |pod| self.of_pod(pod))
    }

    /// Who stands at both ends.
    pub(super) fn of_ends(&self, flow: &FlowRecord) -> Ends {
        Ends { source: self.of_end(&flow.client), destination: self.of_end(&flow.server) }
    }

    /// Who is on a side of a finding.
    pub(super) fn of_party(&self, party: &Party) -> Arc<Workload> {
        let namespace = party.namespace.as_deref().unwrap_or_default();
        match &party.workload {
            Some(workload) => self.get((namespace, &workload.kind, &workload.name)),
            // Of what lies outside the cluster, and of nodes, the names are too many.
            None if party.namespace.is_none() => self.get(("", party.kind.as_str(), "")),
            None => {
                let kind = if party.kind == PartyKind::Pod { POD } else { party.kind.as_str() };
                self.get((namespace, kind, party.name.as_deref().unwrap_or_default()))
            }
        }
    }

    /// Takes in how long the agent runs and forgets those that are silent for too long; whether there were any.
    pub(super) fn forget_silent(&self, running_s: u64) -> bool {
        self.0.forget_silent(running_s)
    }

    fn of_pod(&self, pod: &PodView) -> Arc<Workload> {
        let (kind, name) = match &pod.workload {
            Some(workload) => (&*workload.kind, &*workload.name),
            None => (POD, &*pod.name),
        };
        self.get((&pod.namespace, kind, name))
    }

    fn get(&self, names: Names<'_>) -> Arc<Workload> {
        self.0.get(names)
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
        self.workload.is_overflow()
    }

    fn folded(&self) -> Self {
        Self { workload: Workload::overflow(), closed: self.closed }
    }

    fn is_gone(&self) -> bool {
        self.workload.is_gone()
    }
}

/// Who stands at the ends of a flow.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ends {
    pub(super) source: Arc<Workload>,
    pub(super) destination: Arc<Workload>,
}

impl Ends {
    fn labels(&self) -> [(&'static str, &str); 6] {
        let (source, destination) = (self.source.names(), self.destination.names());
        [
            ("source_namespace", source.0),
            ("source_workload_kind", source.1),
            ("source_workload", source.2),
            ("destination_namespace", destination.0),
            ("destination_workload_kind", destination.1),
            ("destination_workload", destination.2),
        ]
    }

    fn overflow() -> Self {
        Self { source: Workload::overflow(), destination: Workload::overflow() }
    }

    fn is_overflow(&self) -> bool {
        self.source.is_overflow() && self.destination.is_overflow()
    }

    fn is_gone(&self) -> bool {
        self.source.is_gone() || self.destination.is_gone()
    }
}

/// Labels of two workloads and of a closed set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct OfPair<const N: usize> {
    pub(super) ends: Ends,
    pub(super) closed: Fixed<N>,
}

impl<const N: usize> EncodeLabelSet for OfPair<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for label in self.ends.labels().into_iter().chain(self.closed) {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl<const N: usize> Foldable for OfPair<N> {
    fn is_folded(&self) -> bool {
        self.ends.is_overflow()
    }

    fn folded(&self) -> Self {
        Self { ends: Ends::overflow(), closed: self.closed }
    }

    fn is_gone(&self) -> bool {
        self.ends.is_gone()
    }
}

/// Labels of two workloads, of the policy that decided for them, where one did, and of a closed set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct OfPairByPolicy<const N: usize> {
    pub(super) ends: Ends,
    pub(super) policy: Option<Arc<Named>>,
    pub(super) closed: Fixed<N>,
}

impl<const N: usize> EncodeLabelSet for OfPairByPolicy<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (namespace, kind, name) = self.policy.as_ref().map(|policy| policy.names()).unwrap_or_default();
        let policy = [("policy_kind", kind), ("policy_namespace", namespace), ("policy", name)];
        for label in self.ends.labels().into_iter().chain(policy).chain(self.closed) {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl<const N: usize> Foldable for OfPairByPolicy<N> {
    fn is_folded(&self) -> bool {
        self.ends.is_overflow() && self.policy.as_ref().is_none_or(|policy| policy.is_overflow())
    }

    fn folded(&self) -> Self {
        // That there is no policy is no name.
        let policy = self.policy.as_ref().map(|_| Named::overflow());
        Self { ends: Ends::overflow(), policy, closed: self.closed }
    }

    fn is_gone(&self) -> bool {
        self.ends.is_gone() || self.policy.as_ref().is_some_and(|policy| policy.is_gone())
    }
}
