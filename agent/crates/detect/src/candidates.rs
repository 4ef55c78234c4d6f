//! What policies that are candidates would change, from the moment that they are what they are.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use watchfire_model::{
    CandidateEffect, Direction, Party, PolicyFacts, PolicyRef, Protocol, RulePlace, WallTime,
};

use crate::key::Key;
use crate::roll_up::At;

/// Most differences that are told one by one; those beyond are counted.
pub const DIFFERENCES_MAX: usize = 4096;

/// What the candidates would change, and what they would not.
#[derive(Clone, Default, Debug, Serialize)]
pub struct CandidateReport {
    /// Since when they are what they are.
    pub since: Option<WallTime>,
    /// The candidates.
    pub policies: Vec<Arc<PolicyRef>>,
    /// Flows that would be denied and are not.
    pub would_break: u64,
    /// Flows that would not be denied and are.
    pub would_open: u64,
    /// Flows that would be allowed by a rule and are not covered.
    pub would_cover: u64,
    /// Flows that would not be covered and are allowed by a rule.
    pub would_uncover: u64,
    /// Flows of which policy says the same.
    pub unchanged: u64,
    /// Flows of which it cannot be known.
    pub unknown: u64,
    /// Flows whose difference is counted above and not told below, because of the limit.
    pub not_told: u64,
    /// The differences, those with most flows first.
    #[serde(serialize_with = "most_first")]
    differences: HashMap<Key, Difference>,
}

/// Flows alike of which policy would say something else.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// What would become of them.
    pub effect: CandidateEffect,
    /// Who opens them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Party>,
    /// Who they go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Party>,
    /// Protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Port of the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The direction that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The candidates that make the difference.
    pub policies: Vec<Arc<PolicyRef>>,
    /// The rule that would decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RulePlace>,
    /// How many flows.
    pub flows: u64,
    /// The first of them.
    pub first: WallTime,
    /// The last of them.
    pub last: WallTime,
}

impl CandidateReport {
    /// The differences, those with most flows first.
    #[must_use]
    pub fn differences(&self) -> Vec<&Difference> {
        sorted(&self.differences)
    }

    pub(crate) fn new(since: WallTime, policies: Vec<Arc<PolicyRef>>) -> Self {
        Self { since: Some(since), policies, ..Self::default() }
    }

    pub(crate) fn add(
        &mut self,
        key: &Key,
        effect: CandidateEffect,
        at: At,
        policy: impl FnOnce() -> PolicyFacts,
    ) {
        match effect {
            CandidateEffect::WouldBreak => self.would_break += 1,
            CandidateEffect::WouldOpen => self.would_open += 1,
            CandidateEffect::WouldCover => self.would_cover += 1,
            CandidateEffect::WouldUncover => self.would_uncover += 1,
        }
        if let Some(difference) = self.differences.get_mut(key) {
            difference.flows += 1;
            difference.last = difference.last.max(at.wall);
            return;
        }
        if self.differences.len() >= DIFFERENCES_MAX {
            self.not_told += 1;
            return;
        }
        let PolicyFacts { candidates, rule, .. } = policy();
        let difference = Difference {
            effect,
            source: key.source.clone(),
            destination: key.destination.clone(),
            protocol: key.protocol,
            port: key.port,
            direction: key.direction,
            policies: candidates,
            rule,
            flows: 1,
            first: at.wall,
            last: at.wall,
        };
        self.differences.insert(key.clone(), difference);
    }
}

fn sorted(differences: &HashMap<Key, Difference>) -> Vec<&Difference> {
    let mut all: Vec<_> = differences.values().collect();
    let order = |difference: &Difference| {
        let ends = (difference.source.clone(), difference.destination.clone());
        (difference.effect, std::cmp::Reverse(difference.flows), ends, difference.port, difference.first)
    };
    all.sort_by_cached_key(|difference| order(difference));
    all
}

fn most_first<S: Serializer>(
    differences: &HashMap<Key, Difference>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(sorted(differences))
}
