//! What findings have in common that are one.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use watchfire_model::{
    CandidateEffect, Direction, FindingKind, Outcome, Party, PolicyRef, Protocol, RuleRef, SideVerdict,
};

/// Between the parts of what an id is made of: in no name.
const SEPARATOR: char = '\u{1f}';
/// Bytes of the hash that an id shows.
const ID_BYTES: usize = 8;

/// Everything that is alike is one finding.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) kind: FindingKind,
    pub(crate) source: Option<Party>,
    pub(crate) destination: Option<Party>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) port: Option<u16>,
    pub(crate) direction: Option<Direction>,
    pub(crate) decided: Decided,
    pub(crate) change: Change,
}

/// What decided.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Decided {
    /// Nothing.
    Nothing,
    /// A rule: its policy, `specs`, the list of denials, and its place in its list.
    Rule(Arc<PolicyRef>, Option<u32>, bool, u32),
    /// Policies that isolate.
    Isolated(Arc<[Arc<PolicyRef>]>),
}

/// What changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Change {
    None,
    Verdict(Outcome, Outcome),
    Candidate(CandidateEffect),
}

impl Key {
    /// What stands for everything of a kind that has no room.
    pub(crate) const fn overflow(kind: FindingKind) -> Self {
        Self {
            kind,
            source: None,
            destination: None,
            protocol: None,
            port: None,
            direction: None,
            decided: Decided::Nothing,
            change: Change::None,
        }
    }

    /// The same for equal keys, on every node and after a restart.
    pub(crate) fn id(&self) -> String {
        // Exhaustive, so that no new part is forgotten.
        let Self { kind, source, destination, protocol, port, direction, decided, change } = self;
        let mut text = kind.as_str().to_owned();
        let mut add = |part: &str| {
            text.push(SEPARATOR);
            text.push_str(part);
        };
        for party in [source, destination] {
            add(&party.as_ref().map(ToString::to_string).unwrap_or_default());
        }
        add(&protocol.map(|protocol| protocol.to_string()).unwrap_or_default());
        add(&port.map(|port| port.to_string()).unwrap_or_default());
        add(&direction.map(|direction| direction.to_string()).unwrap_or_default());
        match decided {
            Decided::Nothing => add(""),
            Decided::Rule(policy, spec, deny_list, rule) => {
                add(&policy.to_string());
                add(&format!("{spec:?} {deny_list} {rule}"));
            }
            Decided::Isolated(policies) => policies.iter().for_each(|policy| add(&policy.to_string())),
        }
        match change {
            Change::None => add(""),
            Change::Verdict(before, now) => add(&format!("{before} {now}")),
            Change::Candidate(effect) => add(effect.as_str()),
        }
        let hash = Sha256::digest(text.as_bytes());
        hash.iter().take(ID_BYTES).fold(String::with_capacity(2 * ID_BYTES), |mut id, byte| {
            write!(id, "{byte:02x}").expect("a String takes every write");
            id
        })
    }
}

impl From<&RuleRef> for Decided {
    fn from(rule: &RuleRef) -> Self {
        Self::Rule(Arc::clone(&rule.policy), rule.detail.spec, rule.detail.deny_list, rule.rule)
    }
}

impl From<&SideVerdict> for Decided {
    fn from(side: &SideVerdict) -> Self {
        match side {
            SideVerdict::Allow { rule } | SideVerdict::DenyRule { rule } => Self::from(rule),
            SideVerdict::DenyDefault { isolating } => Self::Isolated(Arc::clone(isolating)),
            SideVerdict::NotCovered | SideVerdict::Exempt { .. } | SideVerdict::Unknown { .. } => {
                Self::Nothing
            }
        }
    }
}
