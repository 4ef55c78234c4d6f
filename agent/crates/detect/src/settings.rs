//! What is wanted.

use std::collections::BTreeMap;

use watchfire_model::FindingKind;

/// Between the first two records of a finding that goes on, nanoseconds, unless told otherwise.
const INTERVAL_NS_DEFAULT: u64 = 60_000_000_000;
/// After so long without anything new a finding has ended, nanoseconds, unless told otherwise.
const QUIET_NS_DEFAULT: u64 = 3_600_000_000_000;
/// Most findings that go on at a time, unless told otherwise.
const ROLL_UPS_MAX_DEFAULT: usize = 4096;

/// When flows that no policy covers are told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Always.
    Always,
    /// Of namespaces that have policies of their own: there it is a gap, elsewhere nobody has begun.
    WithPolicies,
    /// Never.
    Never,
}

/// What is wanted of the detector.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Whether flows that policy denies are told of.
    pub policy_violation: bool,
    /// Whether flows that no policy covers are told of.
    pub uncovered_flow: When,
    /// The same for some namespaces.
    pub uncovered_flow_of: BTreeMap<String, When>,
    /// Whether plaintext is told of where policy requires mutual TLS.
    pub plaintext: bool,
    /// Whether it is told that policy says something else of open flows.
    pub verdict_changed: bool,
    /// Whether it is told what candidates would change.
    pub candidate_difference: bool,
    /// Between the first record of a finding and the next, nanoseconds; each further time twice as long.
    pub interval_ns: u64,
    /// After so long without anything new a finding has ended, nanoseconds.
    pub quiet_ns: u64,
    /// Most findings that go on at a time; what is more is counted in one finding of its kind.
    pub roll_ups_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy_violation: true,
            uncovered_flow: When::WithPolicies,
            uncovered_flow_of: BTreeMap::new(),
            plaintext: true,
            verdict_changed: true,
            candidate_difference: true,
            interval_ns: INTERVAL_NS_DEFAULT,
            quiet_ns: QUIET_NS_DEFAULT,
            roll_ups_max: ROLL_UPS_MAX_DEFAULT,
        }
    }
}

impl Settings {
    pub(crate) fn wants(&self, kind: FindingKind) -> bool {
        match kind {
            FindingKind::PolicyViolation => self.policy_violation,
            FindingKind::PlaintextWhereMtlsRequired => self.plaintext,
            FindingKind::VerdictChanged => self.verdict_changed,
            FindingKind::CandidateDifference => self.candidate_difference,
            FindingKind::UncoveredFlow => {
                self.uncovered_flow != When::Never
                    || self.uncovered_flow_of.values().any(|when| *when != When::Never)
            }
        }
    }

    /// Whether flows of a namespace that no policy covers are told of.
    pub(crate) fn wants_uncovered(&self, namespace: &str, has_policies: impl FnOnce() -> bool) -> bool {
        match self.uncovered_flow_of.get(namespace).unwrap_or(&self.uncovered_flow) {
            When::Always => true,
            When::WithPolicies => has_policies(),
            When::Never => false,
        }
    }
}
