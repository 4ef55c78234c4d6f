//! What policy says of the flows of a finding.

use std::sync::Arc;

use serde::Serialize;

use crate::{Direction, Outcome, PolicyRef, RuleRef};

/// What policy says of the flows of a finding.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PolicyFacts {
    /// The direction that decides: seen from the pod that policy selects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What policy said before; of candidates, what the policies in force say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Outcome>,
    /// What policy says; of candidates, what it would say with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What would become of flows if the candidates were in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<CandidateEffect>,
    /// The rule that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RulePlace>,
    /// Every policy that isolates the pod in this direction, where no rule decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub isolating: Vec<Arc<PolicyRef>>,
    /// Those of the candidates that make the difference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Arc<PolicyRef>>,
    /// The rule that came nearest to allowing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestRule>,
    /// What denies it in the other direction as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<String>,
    /// The policies that were in force, by the number of their change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// What would become of a flow if the candidates were in force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateEffect {
    /// It would be denied and is not now.
    WouldBreak,
    /// It would not be denied and is now.
    WouldOpen,
    /// It would be allowed by a rule and is not covered now.
    WouldCover,
    /// It would not be covered and is allowed by a rule now.
    WouldUncover,
}

impl CandidateEffect {
    /// All effects, for metric families that exist from the start.
    pub const ALL: [Self; 4] = [Self::WouldBreak, Self::WouldOpen, Self::WouldCover, Self::WouldUncover];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldBreak => "would-break",
            Self::WouldOpen => "would-open",
            Self::WouldCover => "would-cover",
            Self::WouldUncover => "would-uncover",
        }
    }
}

/// A rule by the place where it stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct RulePlace {
    /// The object.
    pub policy: Arc<PolicyRef>,
    /// The place in the object, as `spec.ingress[0] from[1] ports[0]`.
    pub path: String,
}

impl From<&RuleRef> for RulePlace {
    fn from(rule: &RuleRef) -> Self {
        Self { policy: Arc::clone(&rule.policy), path: rule.path() }
    }
}

/// A rule that almost allowed something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NearestRule {
    /// The rule.
    #[serde(flatten)]
    pub rule: RulePlace,
    /// What fits and what does not, and what differs there, as `peer but not port; ports: wants TCP 80, found TCP 81`.
    pub differs: String,
}
