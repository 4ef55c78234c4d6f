//! What policy says about flows that begin, for each direction, by the policies that say it.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use watchfire_model::{Direction, EndpointView, FlowRecord, Outcome, PolicyRef, SideVerdict};

use super::labels::{self, Fixed};
use super::names::{NameTable, Named};
use super::series::{Foldable, OpenFamily, SeriesBudget};
use super::workloads::{Ends, OfPairByPolicy};

/// Policies that have names in labels; by itself each has at most eight series (verdict, direction and side, two values each).
pub const POLICY_LABELS_MAX: usize = 500;

const ALLOWED: &str = Outcome::Allowed.as_str();
const DENIED: &str = Outcome::Denied.as_str();
const NOT_COVERED: &str = Outcome::NotCovered.as_str();

#[derive(Debug)]
pub(super) struct VerdictMetrics {
    by_policy: OpenFamily<OfPolicy, Counter>,
    by_workload: OpenFamily<OfPairByPolicy<3>, Counter>,
    policies: NameTable,
}

impl VerdictMetrics {
    pub(super) fn register(registry: &mut Registry, budget: &SeriesBudget) -> Self {
        let by_policy = OpenFamily::counter(
            registry,
            &budget.apart(),
            "flow_verdicts",
            "Verdicts per direction by the policy that gave them, once per connection end. A default denial \
             counts for every policy that isolates; policies beyond the limit share policy=\"overflow\"",
        );
        let by_workload = OpenFamily::counter(
            registry,
            budget,
            "workload_flow_verdicts",
            "Verdicts per direction by who stands at the ends of the flow and the policy that gave them, once per observed \
             end. A default denial counts for every policy that isolates; not-covered has no policy, and is of directions \
             that have a pod",
        );
        Self { by_policy, by_workload, policies: NameTable::new(POLICY_LABELS_MAX) }
    }

    /// Counts a flow that begins.
    pub(super) fn observe(&self, flow: &FlowRecord, ends: &Ends) {
        for direction in [Direction::Egress, Direction::Ingress] {
            let subject = match direction {
                Direction::Egress => &flow.client,
                Direction::Ingress => &flow.server,
            };
            let one = OneDirection { metrics: self, ends, direction, side: labels::side(flow.side) };
            one.count(flow.verdict.side(direction), subject);
        }
    }

    /// Forgets policies that are silent for too long; whether there were any.
    pub(super) fn forget_silent(&self, running_s: u64) -> bool {
        self.policies.forget_silent(running_s)
    }

    /// Removes the series of workloads and of policies that are gone.
    pub(super) fn sweep(&self) {
        self.by_policy.sweep();
        self.by_workload.sweep();
    }
}

/// One direction of a flow, as one of its ends shows it.
struct OneDirection<'a> {
    metrics: &'a VerdictMetrics,
    ends: &'a Ends,
    direction: Direction,
    side: &'static str,
}

impl OneDirection<'_> {
    fn count(&self, verdict: &SideVerdict, subject: &EndpointView) {
        match verdict {
            SideVerdict::Allow { rule } => self.by(ALLOWED, &rule.policy),
            SideVerdict::DenyRule { rule } => self.by(DENIED, &rule.policy),
            SideVerdict::DenyDefault { isolating } => {
                isolating.iter().for_each(|policy| self.by(DENIED, policy));
            }
            SideVerdict::NotCovered if subject.pod.is_some() => self.of_workloads(NOT_COVERED, None),
            SideVerdict::NotCovered | SideVerdict::Exempt { .. } | SideVerdict::Unknown { .. } => {}
        }
    }

    fn by(&self, verdict: &'static str, policy: &PolicyRef) {
        let policy = self.metrics.policies.get((&policy.namespace, policy.kind, &policy.name));
        let closed = self.closed(verdict);
        self.of_workloads(verdict, Some(Arc::clone(&policy)));
        self.metrics.by_policy.add(&OfPolicy { policy, closed }, 1);
    }

    fn of_workloads(&self, verdict: &'static str, policy: Option<Arc<Named>>) {
        let labels = OfPairByPolicy { ends: self.ends.clone(), policy, closed: self.closed(verdict) };
        self.metrics.by_workload.add(&labels, 1);
    }

    const fn closed(&self, verdict: &'static str) -> Fixed<3> {
        [("verdict", verdict), ("direction", labels::direction(self.direction)), ("side", self.side)]
    }
}

/// Labels of a policy and of a closed set.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct OfPolicy {
    policy: Arc<Named>,
    closed: Fixed<3>,
}

impl EncodeLabelSet for OfPolicy {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let (namespace, kind, name) = self.policy.names();
        let policy = [("policy_kind", kind), ("policy_namespace", namespace), ("policy", name)];
        for label in self.closed.into_iter().chain(policy) {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl Foldable for OfPolicy {
    fn is_folded(&self) -> bool {
        self.policy.is_overflow()
    }

    fn folded(&self) -> Self {
        Self { policy: Named::overflow(), closed: self.closed }
    }

    fn is_gone(&self) -> bool {
        self.policy.is_gone()
    }
}
