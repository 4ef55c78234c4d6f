//! Findings, and what is counted beside them.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use watchfire_model::{CandidateEffect, Finding, FindingState};

use super::account::raise_to;
use super::labels::Fixed;
use super::series::{OVERFLOW, SeriesBudget};

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
    namespace: Arc<str>,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let Self { kind, severity, namespace } = self;
        for label in [("kind", *kind), ("severity", *severity), ("namespace", &**namespace)] {
            label.encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct FindingMetrics {
    findings: Family<Labels, Counter>,
    occurrences: Family<Labels, Counter>,
    namespaces: Mutex<HashSet<Arc<str>>>,
    folded: Counter,
    open: Gauge,
    overflowed: Counter,
    pairs_evicted: Counter,
    withheld: Family<Fixed<1>, Counter>,
    candidates: Gauge,
    candidate_flows: Family<Fixed<1>, Counter>,
}

impl FindingMetrics {
    pub(super) fn register(registry: &mut Registry, budget: &SeriesBudget) -> Self {
        let metrics = Self {
            findings: Family::default(),
            occurrences: Family::default(),
            namespaces: Mutex::default(),
            folded: budget.folded("findings"),
            open: Gauge::default(),
            overflowed: Counter::default(),
            pairs_evicted: Counter::default(),
            withheld: Family::default(),
            candidates: Gauge::default(),
            candidate_flows: Family::default(),
        };
        registry.register(
            "findings",
            "Findings that began, by the namespace of the pod that policy selects; namespaces beyond the limit share \
             namespace=\"overflow\"",
            metrics.findings.clone(),
        );
        registry.register(
            "finding_occurrences",
            "What findings stand for, as their records tell it: of findings about flows the number of flows",
            metrics.occurrences.clone(),
        );
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
            namespace: self.labelled(finding.namespace()),
        };
        if finding.state == FindingState::New {
            self.findings.get_or_create(&labels).inc();
        }
        self.occurrences.get_or_create(&labels).inc_by(finding.count_new);
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

    /// The namespace to label with: itself while there is room, the shared one beyond.
    fn labelled(&self, namespace: &str) -> Arc<str> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = namespaces.get(namespace) {
            return Arc::clone(known);
        }
        if namespaces.len() >= NAMESPACE_LABELS_MAX {
            self.folded.inc();
            return OVERFLOW.into();
        }
        let namespace: Arc<str> = namespace.into();
        namespaces.insert(Arc::clone(&namespace));
        namespace
    }
}
