//! Which flows make findings.

use std::sync::Arc;

use watchfire_model::{
    CandidateEffect, Direction, Finding, FindingKind, FlowRecord, FlowStage, MeshWord, NearestRule, Origin,
    Outcome, PolicyFacts, PolicyRef, Severity, Side, Verdict, WallTime,
};

use crate::candidates::CandidateReport;
use crate::describe::{candidates_of, describe, example, key, phrase, policy_facts, title};
use crate::key::{Change, Decided, Key};
use crate::once::Once;
use crate::pairing::Pairing;
use crate::roll_up::{At, Described, RollUps};
use crate::settings::Settings;

/// What is known beside the record of a flow. Asked only where a finding turns on it.
pub trait Facts {
    /// The rule that came nearest to allowing the flow in this direction, which is denied by default.
    fn nearest(&self, direction: Direction) -> Option<NearestRule>;

    /// Whether there is a pod at the end that policy selects in this direction, and policies can be about it: pods on
    /// their node's network are not.
    fn has_subject(&self, direction: Direction) -> bool;

    /// Whether policies of a namespace are in force.
    fn has_policies(&self, namespace: &str) -> bool;

    /// Whether a policy is a candidate.
    fn is_candidate(&self, policy: &PolicyRef) -> bool;
}

/// Flows that would have made a finding, were what is known of them certain.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Withheld {
    /// They are older than the agent, and so are the policies that were in force when they began.
    pub before_start: u64,
    /// Who opened them was guessed.
    pub direction_guessed: u64,
    /// Policies or identities changed so near to their start that a data plane may have followed the others.
    pub stale_window: u64,
}

/// Takes flow records in the order in which they leave the pipeline, and makes findings of them.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    roll_ups: RollUps,
    pairing: Pairing,
    once: Once,
    withheld: Withheld,
    candidates: CandidateReport,
    effects: [u64; CandidateEffect::ALL.len()],
    unchanged: u64,
    unknown: u64,
}

impl Detector {
    /// Without anything seen.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let roll_ups = RollUps::new(settings.interval_ns, settings.quiet_ns, settings.roll_ups_max);
        Self {
            settings,
            roll_ups,
            pairing: Pairing::default(),
            once: Once::default(),
            withheld: Withheld::default(),
            candidates: CandidateReport::default(),
            effects: [0; CandidateEffect::ALL.len()],
            unchanged: 0,
            unknown: 0,
        }
    }

    /// Takes in the record of a flow. Answers the finding that begins with it.
    pub fn flow(&mut self, flow: &FlowRecord, at: At, facts: &dyn Facts) -> Option<Finding> {
        match flow.stage {
            FlowStage::Open | FlowStage::Found | FlowStage::Failed => {
                let key = self.key(flow, facts)?;
                self.count(key, flow, &flow.verdict, at, facts)
            }
            FlowStage::Close => {
                self.add_bytes(flow, at, facts);
                None
            }
            FlowStage::VerdictChanged => self.changed(flow, at, facts),
            FlowStage::Update | FlowStage::Dropped => None,
        }
    }

    /// Takes in the record of a flow of which it was found out what it carries. Answers the finding that begins with it: of
    /// plaintext where the mesh wants mutual TLS. It has to be seen at the server's end, since what a client's own socket
    /// shows may be encrypted by a proxy beside it.
    pub fn carried(&mut self, flow: &FlowRecord, at: At) -> Option<Finding> {
        let mesh = flow.judgement.mesh.as_ref().filter(|mesh| mesh.verdict == MeshWord::DenyPlaintext)?;
        let kind = FindingKind::PlaintextWhereMtlsRequired;
        let is_seen = flow.side == Side::Server && !is_within_a_pod(flow);
        if !is_seen || !self.settings.wants(kind) || self.is_withheld(flow) {
            return None;
        }
        if !self.once.is_first(flow) {
            return None;
        }
        let direction = Some(Direction::Ingress);
        let key = key(kind, flow, direction, Decided::Isolated(mesh.policies.iter().cloned().collect()));
        let title = title(&key, "plaintext where mutual TLS is required");
        let policies: Vec<_> = mesh.policies.iter().map(ToString::to_string).collect();
        let describe = || Described {
            severity: Severity::High,
            title,
            reason: format!("mutual TLS is required by {}", policies.join(", ")),
            policy: Some(Box::new(PolicyFacts {
                direction,
                outcome: Some(mesh.outcome),
                isolating: mesh.policies.clone(),
                epoch: Some(flow.judgement.policy_epoch),
                ..PolicyFacts::default()
            })),
            example: Some(Box::new(example(flow))),
        };
        self.roll_ups.add(key, at, false, describe)
    }

    /// Policy says something else of an open flow.
    fn changed(&mut self, flow: &FlowRecord, at: At, facts: &dyn Facts) -> Option<Finding> {
        let before = flow.judgement.previous.as_ref()?.verdict.outcome;
        let now = flow.verdict.outcome;
        let is_known = before != Outcome::Unknown && now != Outcome::Unknown;
        // Where both are the same it is the mesh's own policies that say something else.
        if before == now || !is_known || !self.settings.wants(FindingKind::VerdictChanged) {
            return None;
        }
        if self.is_withheld(flow) || self.pairing.is_second(flow, COUNTED_AS_CHANGED + now as u8, at.boot_ns)
        {
            return None;
        }
        let direction = match now {
            Outcome::NotCovered => flow.judgement.previous.as_ref()?.verdict.deciding(),
            _ => flow.verdict.deciding(),
        };
        let side = flow.verdict.side(direction);
        let key = Key {
            change: Change::Verdict(before, now),
            ..key(FindingKind::VerdictChanged, flow, Some(direction), side.into())
        };
        let severity = if now == Outcome::Denied { Severity::Medium } else { Severity::Info };
        let title = title(&key, &format!("was {before}, is {now} since policies changed"));
        let describe = || Described {
            severity,
            title,
            reason: phrase(side),
            policy: Some(Box::new(PolicyFacts {
                previous: Some(before),
                ..policy_facts(flow, &flow.verdict, Some(direction), facts)
            })),
            example: Some(Box::new(example(flow))),
        };
        self.roll_ups.add(key, at, false, describe)
    }

    /// Takes in what policy would say of a flow with the candidates in force; `flow` has what it says without them.
    /// Answers the finding that begins with it.
    pub fn candidate(
        &mut self,
        flow: &FlowRecord,
        combined: &Verdict,
        at: At,
        facts: &dyn Facts,
    ) -> Option<Finding> {
        if !self.settings.wants(FindingKind::CandidateDifference) || is_uncertain(flow) {
            return None;
        }
        let (live, with) = (flow.verdict.outcome, combined.outcome);
        let effect = effect(live, with);
        let class = match effect {
            _ if live == Outcome::Unknown || with == Outcome::Unknown => COUNTED_AS_UNKNOWN,
            None => COUNTED_AS_SAME,
            Some(effect) => COUNTED_AS_EFFECT + effect as u8,
        };
        if self.pairing.is_second(flow, class, at.boot_ns) {
            return None;
        }
        let effect = match (class, effect) {
            (COUNTED_AS_UNKNOWN, _) => {
                self.candidates.unknown += 1;
                self.unknown += 1;
                return None;
            }
            (_, None) => {
                self.candidates.unchanged += 1;
                self.unchanged += 1;
                return None;
            }
            (_, Some(effect)) => effect,
        };
        // Where a denial goes, the direction is that which denied; else that which decides.
        let direction = match effect {
            CandidateEffect::WouldOpen | CandidateEffect::WouldUncover => flow.verdict.deciding(),
            CandidateEffect::WouldBreak | CandidateEffect::WouldCover => combined.deciding(),
        };
        let side = combined.side(direction);
        let key = Key {
            change: Change::Candidate(effect),
            ..key(FindingKind::CandidateDifference, flow, Some(direction), side.into())
        };
        let policy = || PolicyFacts {
            previous: Some(live),
            effect: Some(effect),
            candidates: candidates_of(side, flow.verdict.side(direction), facts),
            ..policy_facts(flow, combined, Some(direction), facts)
        };
        self.effects[effect as usize] += 1;
        self.candidates.add(&key, effect, at, policy);
        let (severity, what) = match effect {
            CandidateEffect::WouldBreak => (Severity::Medium, "would break with the candidate policies"),
            CandidateEffect::WouldOpen => (Severity::Low, "would open with the candidate policies"),
            CandidateEffect::WouldCover => (Severity::Info, "would be covered by the candidate policies"),
            CandidateEffect::WouldUncover => {
                (Severity::Info, "would not be covered any longer with the candidate policies")
            }
        };
        let title = title(&key, what);
        let describe = || Described {
            severity,
            title,
            reason: phrase(side),
            policy: Some(Box::new(policy())),
            example: Some(Box::new(example(flow))),
        };
        self.roll_ups.add(key, at, flow.stage == FlowStage::Failed, describe)
    }

    /// The candidates are others now: what they would change is counted anew.
    pub fn candidates_changed(&mut self, since: WallTime, policies: Vec<Arc<PolicyRef>>) {
        self.candidates = CandidateReport::new(since, policies);
    }

    /// What the candidates would change, since they are what they are.
    #[must_use]
    pub const fn candidate_report(&self) -> &CandidateReport {
        &self.candidates
    }

    /// Flows by what candidates would do to them, whichever those were: in the order of [`CandidateEffect::ALL`], nothing, and
    /// what cannot be known.
    #[must_use]
    pub const fn candidate_totals(&self) -> ([u64; CandidateEffect::ALL.len()], u64, u64) {
        (self.effects, self.unchanged, self.unknown)
    }

    /// What has to be told because time has passed.
    pub fn expire(&mut self, now_ns: u64) -> Vec<Finding> {
        self.roll_ups.expire(now_ns)
    }

    /// The last record of everything.
    pub fn finish(&mut self) -> Vec<Finding> {
        self.roll_ups.finish()
    }

    /// How many findings go on.
    #[must_use]
    pub fn open(&self) -> usize {
        self.roll_ups.len()
    }

    /// How much was counted in findings that stand for what had no room.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.roll_ups.overflowed()
    }

    /// How many ends of connections stopped waiting for the other one because of the limit.
    #[must_use]
    pub const fn pairs_evicted(&self) -> u64 {
        self.pairing.evicted()
    }

    /// Flows that would have made a finding, were what is known of them certain.
    #[must_use]
    pub const fn withheld(&self) -> Withheld {
        self.withheld
    }

    fn count(
        &mut self,
        key: Key,
        flow: &FlowRecord,
        verdict: &Verdict,
        at: At,
        facts: &dyn Facts,
    ) -> Option<Finding> {
        if self.is_withheld(flow) || self.pairing.is_second(flow, key.kind as u8, at.boot_ns) {
            return None;
        }
        let describe = {
            let key = key.clone();
            move || describe(&key, flow, verdict, facts)
        };
        self.roll_ups.add(key, at, flow.stage == FlowStage::Failed, describe)
    }

    fn is_withheld(&mut self, flow: &FlowRecord) -> bool {
        if flow.origin == Origin::BeforeStart {
            self.withheld.before_start += 1;
        } else if flow.direction_guessed {
            self.withheld.direction_guessed += 1;
        } else if flow.judgement.stale_window {
            self.withheld.stale_window += 1;
        } else {
            return false;
        }
        true
    }

    /// What a flow is counted under; none where it makes no finding.
    fn key(&self, flow: &FlowRecord, facts: &dyn Facts) -> Option<Key> {
        let (kind, direction) = match flow.verdict.outcome {
            Outcome::Denied => (FindingKind::PolicyViolation, flow.verdict.deciding()),
            Outcome::NotCovered => (FindingKind::UncoveredFlow, self.uncovered(flow, facts)?),
            Outcome::Allowed | Outcome::Unknown => return None,
        };
        self.settings
            .wants(kind)
            .then(|| key(kind, flow, Some(direction), flow.verdict.side(direction).into()))
    }

    /// The direction in which a policy is missing, where that is to be told: at the pod that is reached before the pod that
    /// reaches out.
    fn uncovered(&self, flow: &FlowRecord, facts: &dyn Facts) -> Option<Direction> {
        let ends = [(Direction::Ingress, &flow.server), (Direction::Egress, &flow.client)];
        let (direction, _) = ends.into_iter().find(|(direction, end)| {
            end.pod.as_ref().is_some_and(|pod| {
                facts.has_subject(*direction)
                    && self.settings.wants_uncovered(&pod.namespace, || facts.has_policies(&pod.namespace))
            })
        })?;
        Some(direction)
    }

    /// The payload of a flow that has ended goes to the finding that it was counted in.
    fn add_bytes(&mut self, flow: &FlowRecord, at: At, facts: &dyn Facts) {
        let (Some(counters), Some(key)) = (flow.counters, self.key(flow, facts)) else { return };
        if is_uncertain(flow) || self.pairing.is_second(flow, COUNTED_AS_ENDED, at.boot_ns) {
            return;
        }
        self.roll_ups.add_bytes(&key, counters.bytes_sent.saturating_add(counters.bytes_received));
    }
}

/// What both ends of a connection are counted as, beside the kinds of findings.
const COUNTED_AS_ENDED: u8 = 100;
const COUNTED_AS_UNKNOWN: u8 = 101;
const COUNTED_AS_SAME: u8 = 102;
const COUNTED_AS_EFFECT: u8 = 110;
const COUNTED_AS_CHANGED: u8 = 120;

/// Whether nothing may be said of a flow, whatever its verdict is.
fn is_uncertain(flow: &FlowRecord) -> bool {
    flow.origin == Origin::BeforeStart || flow.direction_guessed || flow.judgement.stale_window
}

/// Whether a flow does not leave its pod: so a proxy beside the server hands on what it has decrypted.
fn is_within_a_pod(flow: &FlowRecord) -> bool {
    let [client, server] = [&flow.client, &flow.server].map(|end| end.address.ip().to_canonical());
    let is_same_pod = flow.client.pod.is_some() && flow.client.pod == flow.server.pod;
    client.is_loopback() || client == server || is_same_pod
}

/// What candidates would do; none where nothing changes.
const fn effect(live: Outcome, with: Outcome) -> Option<CandidateEffect> {
    match (live, with) {
        (Outcome::Denied, Outcome::Denied) => None,
        (_, Outcome::Denied) => Some(CandidateEffect::WouldBreak),
        (Outcome::Denied, _) => Some(CandidateEffect::WouldOpen),
        (Outcome::NotCovered, Outcome::Allowed) => Some(CandidateEffect::WouldCover),
        (Outcome::Allowed, Outcome::NotCovered) => Some(CandidateEffect::WouldUncover),
        _ => None,
    }
}
