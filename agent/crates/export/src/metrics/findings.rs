//! Findings, and what is counted beside them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use watchfire_model::{CandidateEffect, Finding, FindingState};

use super::account::raise_to;
use super::labels::Fixed;
use super::names::{NameTable, Named};
use super::series::{Foldable, OpenFamily, SeriesBudget};

/// Namespaces that get series of their own; each has at most one for each kind and severity.
pub const NAMESPACE_LABELS_MAX: usize = 200;

const UNCHANGED: &str = "unchanged";
const UNKNOWN: &str = "unknown";
/// Why nothing was found of a flow.
const WITHHELD: [&str; 3] = ["before-start", "direction-guessed", "stale-window"];

/// What the detector counts. All but the first two and the last are totals.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FindingTotals {
    /// Findings that go on.
    pub open: usize,
    /// Policies that are candidates.
    pub candidates: usize,
    /// What was counted in findings that stand for what had no room.
    pub overflowed: u64,
    /// Ends of connections that stopped waiting for the other end because of the limit.
    pub pairs_evicted: u64,
    /// Flows older than the agent that would have made a finding.
    pub withheld_before_start: u64,
    /// Flows whose direction was guessed and that would have made a finding.
    pub withheld_direction_guessed: u64,
    /// Flows near to a change of policies that would have made a finding.
    pub withheld_stale_window: u64,
    /// Flows by what candidates would do to them, in the order of [`CandidateEffect::ALL`].
    pub candidate_effects: [u64; CandidateEffect::ALL.len()],
    /// Flows to which candidates would do nothing.
    pub candidate_unchanged: u64,
    /// Flows of which it cannot be known.
    pub candidate_unknown: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Labels {
    kind: &'static str,
    severity: &'static str,
    namespace: Arc<Named>,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let Self { kind, severity, namespace } = self;
        let (namespace, ..) = namespace.names();
        for label in [("kind", *kind), ("severity", *severity), ("namespace", namespace)] {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

impl Foldable for Labels {
    fn is_folded(&self) -> bool {
        self.namespace.is_overflow()
    }

    fn folded(&self) -> Self {
        Self { namespace: Named::overflow(), ..self.clone() }
    }

    fn is_gone(&self) -> bool {
        self.namespace.is_gone()
    }
}

#[derive(Debug)]
pub(super) struct FindingMetrics {
    findings: OpenFamily<Labels, Counter>,
    occurrences: OpenFamily<Labels, Counter>,
    namespaces: NameTable,
    open: Gauge,
    overflowed: Counter,
    pairs_evicted: Counter,
    withheld: Family<Fixed<1>, Counter>,
    candidates: Gauge,
    candidate_flows: Family<Fixed<1>, Counter>,
}

impl FindingMetrics {
    pub(super) fn register(registry: &mut Registry, budget: &SeriesBudget) -> Self {
        let budget = budget.apart();
        let metrics = Self {
            findings: OpenFamily::counter(
                registry,
                &budget,
                "findings",
                "Findings that began, by the namespace of the pod that policy selects; namespaces beyond the limit share \
                 namespace=\"overflow\"",
            ),
            occurrences: OpenFamily::counter(
                registry,
                &budget,
                "finding_occurrences",
                "What findings stand for, as their records tell it: of findings about flows the number of flows",
            ),
            namespaces: NameTable::new(NAMESPACE_LABELS_MAX),
            open: Gauge::default(),
            overflowed: Counter::default(),
            pairs_evicted: Counter::default(),
            withheld: Family::default(),
            candidates: Gauge::default(),
            candidate_flows: Family::default(),
        };
        registry.register("findings_open", "Findings that go on", metrics.open.clone());
        registry.register(
            "finding_overflow",
            "What was counted in the one finding of its kind that stands for what had no room",
            metrics.overflowed.clone(),
        );
        registry.register(
            "finding_pairs_evicted",
            "Ends of connections that stopped waiting for the other end because of the limit: both may be counted",
            metrics.pairs_evicted.clone(),
        );
        registry.register(
            "finding_flows_withheld",
            "Flow records that would have made a finding, were what is known of them certain, by reason",
            metrics.withheld.clone(),
        );
        registry.register("policy_candidates", "Policies that are candidates", metrics.candidates.clone());
        registry.register(
            "candidate_flows",
            "Flows judged with candidate policies beside those in force, by what the candidates would do to them",
            metrics.candidate_flows.clone(),
        );
        for reason in WITHHELD {
            drop(metrics.withheld.get_or_create(&[("reason", reason)]));
        }
        for effect in
            CandidateEffect::ALL.map(CandidateEffect::as_str).into_iter().chain([UNCHANGED, UNKNOWN])
        {
            drop(metrics.candidate_flows.get_or_create(&[("effect", effect)]));
        }
        metrics
    }

    pub(super) fn observe(&self, finding: &Finding) {
        let labels = Labels {
            kind: finding.kind.as_str(),
            severity: finding.severity.as_str(),
            namespace: self.namespaces.get((finding.namespace(), "", "")),
        };
        if finding.state == FindingState::New {
            self.findings.add(&labels, 1);
        }
        self.occurrences.add(&labels, finding.count_new);
    }

    /// Forgets namespaces that are silent for too long, and removes their series.
    pub(super) fn forget_silent(&self, running_s: u64) {
        if self.namespaces.forget_silent(running_s) {
            self.findings.sweep();
            self.occurrences.sweep();
        }
    }

    pub(super) fn set(&self, totals: &FindingTotals) {
        // Exhaustive, so that no new total is forgotten here.
        let FindingTotals {
            open,
            candidates,
            overflowed,
            pairs_evicted,
            withheld_before_start,
            withheld_direction_guessed,
            withheld_stale_window,
            candidate_effects,
            candidate_unchanged,
            candidate_unknown,
        } = totals;
        super::set(&self.open, *open);
        super::set(&self.candidates, *candidates);
        raise_to(&self.overflowed, *overflowed);
        raise_to(&self.pairs_evicted, *pairs_evicted);
        let withheld = [withheld_before_start, withheld_direction_guessed, withheld_stale_window];
        for (reason, total) in WITHHELD.into_iter().zip(withheld) {
            raise_to(&self.withheld.get_or_create(&[("reason", reason)]), *total);
        }
        let effects = CandidateEffect::ALL.map(CandidateEffect::as_str).into_iter().zip(candidate_effects);
        for (effect, total) in effects.chain([(UNCHANGED, candidate_unchanged), (UNKNOWN, candidate_unknown)])
        {
            raise_to(&self.candidate_flows.get_or_create(&[("effect", effect)]), *total);
        }
    }
}
