//! From the rules that select a subject to what becomes of the connection.
//!
//! Tiers come one after another, and the levels of each. The first level with a rule that matches decides. Where it cannot
//! be told whether a rule matches, both ways are followed, and a decision is certain if all of them let the connection pass
//! or none does.

use std::sync::Arc;

use watchfire_model::{Dialect, Direction, Tier, UnknownReason};

use crate::cilium::is_own_node;
use crate::connection::Party;
use crate::rule::{Action, Trial};
use crate::set::Entry;
use crate::side::Context;
use crate::{Enforcement, Match, PolicySet};

/// What is decided, or why nothing can be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decision<'a> {
    Certain(Decided<'a>),
    Open(UnknownReason),
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decided<'a> {
    Allow(&'a Entry, Trial),
    Deny(&'a Entry, Trial),
    /// The subject is isolated and nothing allows it.
    Isolated,
    /// Cilium lets a pod's own node reach it.
    OwnNode,
    /// No policy has anything to say.
    Nothing,
}

impl Decided<'_> {
    const fn passes(&self) -> bool {
        matches!(self, Self::Allow(..) | Self::OwnNode | Self::Nothing)
    }
}

/// How a subject stands, whatever the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    pub(crate) isolated: Match,
    /// Whether any rule selects it.
    pub(crate) is_selected: bool,
}

/// What has been found on the way.
struct Progress {
    /// Why something that would have let it pass is not certain.
    may_pass: Option<UnknownReason>,
    /// Why something that would have stopped it is not certain.
    may_stop: Option<UnknownReason>,
}

impl Progress {
    fn note(&mut self, passes: bool, reason: UnknownReason) {
        let noted = if passes { &mut self.may_pass } else { &mut self.may_stop };
        noted.get_or_insert(reason);
    }

    fn end<'a>(&self, decided: Decided<'a>) -> Decision<'a> {
        let otherwise = if decided.passes() { self.may_stop } else { self.may_pass };
        otherwise.map_or(Decision::Certain(decided), Decision::Open)
    }
}

/// A rule that may match.
type Hit<'a> = (&'a Entry, Trial, Match);

/// The rules of one level that may match, the best of each action.
#[derive(Default)]
struct Level<'a> {
    deny: Option<Hit<'a>>,
    allow: Option<Hit<'a>>,
    pass: Option<Hit<'a>>,
}

impl<'a> Level<'a> {
    fn new(context: &Context<'_>, entries: &[(&'a Entry, Match)]) -> Self {
        let mut level = Self::default();
        for (entry, selects) in entries {
            if let Some(trial) = entry.rule.try_to_match(context) {
                level.add((entry, trial, *selects & trial.found()));
            }
        }
        level
    }

    /// Certain matches take the place of others, and of allowing rules those that ask for no more the place of those that do.
    fn add(&mut self, hit: Hit<'a>) {
        let slot = match hit.0.rule.action {
            Action::Deny => &mut self.deny,
            Action::Allow => &mut self.allow,
            Action::Pass => &mut self.pass,
        };
        let rank =
            |(entry, _, found): &Hit<'a>| (*found != Match::Yes, entry.rule.needs_l7, entry.rule.needs_auth);
        if slot.as_ref().is_none_or(|before| rank(&hit) < rank(before)) {
            *slot = Some(hit);
        }
    }

    /// The first hit that is certain; those before it are noted.
    fn decide(&self, progress: &mut Progress, may_leave: &mut Option<UnknownReason>) -> Option<Hit<'a>> {
        for hit in [self.deny, self.allow, self.pass].into_iter().flatten() {
            match (hit.2, hit.0.rule.action) {
                (Match::Unknown(reason), Action::Deny) => progress.note(false, reason),
                (Match::Unknown(reason), Action::Allow) => progress.note(true, reason),
                (Match::Unknown(reason), Action::Pass) => _ = may_leave.get_or_insert(reason),
                (Match::Yes | Match::No, _) => return Some(hit),
            }
        }
        None
    }
}

const TIERS: [Tier; 3] = [Tier::Admin, Tier::Normal, Tier::Baseline];

impl PolicySet {
    /// Decides by the rules that select the subject, of which those may be left out that are not about the peer.
    pub(crate) fn decide<'a>(
        &self,
        context: &Context<'_>,
        selecting: &[(&'a Entry, Match)],
        standing: Standing,
    ) -> Decision<'a> {
        let mut progress = Progress { may_pass: None, may_stop: None };
        let isolated = standing.isolated;
        for tier in TIERS {
            let from = selecting.partition_point(|(entry, _)| entry.rule.tier < tier);
            let to = selecting.partition_point(|(entry, _)| entry.rule.tier <= tier);
            if let Some(decided) = self.tier(context, &selecting[from..to], &mut progress) {
                return progress.end(decided);
            }
            if tier == Tier::Normal && self.dialect == Dialect::K8s {
                match isolated {
                    Match::Yes => return progress.end(Decided::Isolated),
                    Match::Unknown(reason) => progress.note(false, reason),
                    Match::No => {}
                }
            }
        }
        if self.dialect == Dialect::K8s || !isolated.is_possible() {
            return progress.end(Decided::Nothing);
        }
        // Below every rule Cilium puts one that lets the pod's own node in (`computePolicyEnforcementAndRules` of
        // pkg/policy/repository.go).
        if let Party::Node(peer) = context.side.peer
            && context.side.direction == Direction::Ingress
            && self.options.allow_localhost
            && standing.is_selected
        {
            match is_own_node(peer, context) {
                Match::Yes => return progress.end(Decided::OwnNode),
                Match::Unknown(reason) => progress.note(true, reason),
                Match::No => {}
            }
        }
        if let Match::Unknown(reason) = isolated {
            progress.note(true, reason);
        }
        progress.end(Decided::Isolated)
    }

    /// What follows from all rules that select a subject, whatever the peer.
    pub(crate) fn standing(&self, selecting: &[(&Entry, Match)]) -> Standing {
        let isolating = selecting.iter().filter(|(entry, _)| entry.rule.isolates);
        let isolated = isolating.fold(Match::No, |so_far, (_, selects)| !(!so_far & !*selects));
        let always = self.dialect == Dialect::Cilium && self.options.enforcement == Enforcement::Always;
        Standing { isolated: if always { Match::Yes } else { isolated }, is_selected: !selecting.is_empty() }
    }

    /// What the rules of one tier decide; none where they leave it to the next.
    fn tier<'a>(
        &self,
        context: &Context<'_>,
        entries: &[(&'a Entry, Match)],
        progress: &mut Progress,
    ) -> Option<Decided<'a>> {
        let mut may_leave = None;
        for level in entries.chunk_by(|(one, _), (other, _)| one.level == other.level) {
            let Some((entry, trial, _)) = Level::new(context, level).decide(progress, &mut may_leave) else {
                continue;
            };
            if self.is_ambiguous(context, entries, entry) {
                progress.note(true, UnknownReason::PriorityAmbiguous);
                progress.note(false, UnknownReason::PriorityAmbiguous);
            }
            let decided = match entry.rule.action {
                Action::Allow => Decided::Allow(entry, trial),
                Action::Deny => Decided::Deny(entry, trial),
                Action::Pass => return None,
            };
            let Some(reason) = may_leave else { return Some(decided) };
            // On the other way the next tier decides.
            progress.note(decided.passes(), reason);
            return None;
        }
        None
    }

    /// Whether another policy of the same priority says something else. By the API which of them counts is undefined.
    fn is_ambiguous(&self, context: &Context<'_>, entries: &[(&Entry, Match)], decisive: &Entry) -> bool {
        if self.dialect != Dialect::K8s || decisive.rule.tier == Tier::Normal {
            return false;
        }
        let rivals = entries.iter().filter(|(entry, _)| {
            entry.rule.priority == decisive.rule.priority && !Arc::ptr_eq(&entry.policy, &decisive.policy)
        });
        let rivals: Vec<_> = rivals.copied().collect();
        rivals.chunk_by(|(one, _), (other, _)| Arc::ptr_eq(&one.policy, &other.policy)).any(|rules| {
            let first = rules
                .iter()
                .find(|(entry, selects)| (*selects & entry.rule.test(context).found()).is_possible());
            first.is_some_and(|(entry, _)| entry.rule.action != decisive.rule.action)
        })
    }
}
