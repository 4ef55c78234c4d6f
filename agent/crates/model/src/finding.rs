//! What deserves somebody's attention, rolled up: one finding stands for everything that is alike.

mod example;
mod party;
mod policy;

use std::fmt;

use serde::Serialize;

pub use self::example::{FindingExample, FindingProcess};
pub use self::party::{Party, PartyKind};
pub use self::policy::{CandidateEffect, NearestRule, PolicyFacts, RulePlace};
use crate::{Direction, Protocol, WallTime};

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Flows that policy intent denies.
    PolicyViolation,
    /// Flows about which no policy says anything.
    UncoveredFlow,
    /// Flows in plaintext where policy requires mutual TLS.
    PlaintextWhereMtlsRequired,
    /// Open flows of which policy says something else since it was changed.
    VerdictChanged,
    /// Flows of which policies that are candidates would have policy say something else.
    CandidateDifference,
}

impl FindingKind {
    /// All kinds, for metric families that exist from the start.
    pub const ALL: [Self; 5] = [
        Self::PolicyViolation,
        Self::UncoveredFlow,
        Self::PlaintextWhereMtlsRequired,
        Self::VerdictChanged,
        Self::CandidateDifference,
    ];

    /// The name used in records, metrics and filters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PolicyViolation => "policy-violation",
            Self::UncoveredFlow => "uncovered-flow",
            Self::PlaintextWhereMtlsRequired => "plaintext-where-mtls-required",
            Self::VerdictChanged => "verdict-changed",
            Self::CandidateDifference => "candidate-difference",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much attention a finding deserves, from little to much.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at some time.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at soon.
    High,
}

impl Severity {
    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Which of the records of one finding this is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingState {
    /// The first.
    New,
    /// It goes on.
    Ongoing,
    /// The last: nothing more of it has come for a while, or the agent ends.
    Ended,
}

impl FindingState {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ongoing => "ongoing",
            Self::Ended => "ended",
        }
    }
}

/// A finding as it stands. Its records have one `id`; counts are totals since the first of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// The same for all that is alike, on every node and after a restart: 16 hexadecimal digits.
    pub id: String,
    /// What it is about.
    pub kind: FindingKind,
    /// How much attention it deserves.
    pub severity: Severity,
    /// Which of its records this is.
    pub state: FindingState,
    /// What happened, to be read without the other fields.
    pub title: String,
    /// Why, in one phrase: the rule, the policies, or what differs.
    pub reason: String,
    /// Who did it, or whose flows they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Party>,
    /// To whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Party>,
    /// Protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Port of the destination, where the protocol has ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What policy says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<PolicyFacts>>,
    /// How often it happened so far; of findings about flows their number. A connection of which both ends are on this
    /// node is one.
    pub count: u64,
    /// How often since the finding's record before this one.
    pub count_new: u64,
    /// How many of them were attempts at a connection that never was established.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Payload, both ways, of those of its flows that have ended so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it happened first.
    pub first: WallTime,
    /// When it happened last.
    pub last: WallTime,
    /// The first of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Box<FindingExample>>,
    /// It stands for everything of its kind that had no room as a finding of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overflow: bool,
}

impl Finding {
    /// The namespace whose policies it is about, or that it happened in: that of the pod which policy selects, else that
    /// of either end. Empty where neither has one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        let (source, destination) = (self.source.as_ref(), self.destination.as_ref());
        let ends = match self.policy.as_ref().and_then(|policy| policy.direction) {
            Some(Direction::Egress) => [source, destination],
            Some(Direction::Ingress) | None => [destination, source],
        };
        ends.into_iter().flatten().find_map(|party| party.namespace.as_deref()).unwrap_or_default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
