//! Everything that was considered for a verdict: the slow walk behind `judge`.

use std::fmt;
use std::sync::Arc;

use watchfire_model::{Direction, PolicyRef, RuleRef, SideVerdict, Verdict};

use crate::differ::Difference;
use crate::rule::Action;
use crate::side::Context;
use crate::{Connection, Match, PolicySet, World};

/// A verdict with all policies that select its subjects.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The same verdict that `judge` gives.
    pub verdict: Verdict,
    /// Policies that select the client in egress, in the order in which they are asked.
    pub egress: Vec<Considered>,
    /// Policies that select the server in ingress, in the order in which they are asked.
    pub ingress: Vec<Considered>,
}

/// One policy that selects the subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Considered {
    /// The object.
    pub policy: Arc<PolicyRef>,
    /// How each of its rules of the direction fared.
    pub rules: Vec<RuleTrial>,
}

/// How one rule fared. One that matches in one part alone is a near miss.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleTrial {
    /// The rule, with the entries that speak for it.
    pub rule: RuleRef,
    /// What it does with what it matches.
    pub verb: Verb,
    /// Whether the peer is one the rule names.
    pub peer: Match,
    /// Whether the port is one the rule names.
    pub port: Match,
    /// What differs where it does not match; empty where that was not asked for.
    pub differences: Vec<Difference>,
}

/// What a rule does with what it matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// It may pass.
    Allows,
    /// It may not.
    Denies,
    /// The next tier decides.
    Passes,
}

impl PolicySet {
    /// Judges a connection and lists every rule that had a say.
    #[must_use]
    pub fn explain(&self, world: &dyn World, connection: &Connection<'_>) -> Explanation {
        self.walk(world, connection, true)
    }

    /// As [`Self::explain`], without what differs where rules do not match: many times as fast.
    #[must_use]
    pub fn trials(&self, world: &dyn World, connection: &Connection<'_>) -> Explanation {
        self.walk(world, connection, false)
    }

    fn walk(&self, world: &dyn World, connection: &Connection<'_>, tells: bool) -> Explanation {
        let considered = |direction| self.considered(&self.context(world, connection, direction), tells);
        Explanation {
            verdict: self.judge(world, connection),
            egress: considered(Direction::Egress),
            ingress: considered(Direction::Ingress),
        }
    }

    fn considered(&self, context: &Context<'_>, tells: bool) -> Vec<Considered> {
        let mut found: Vec<Considered> = Vec::new();
        for (entry, _) in self.selecting(context) {
            let policy = entry.policy.reference();
            let considered = match found.iter_mut().position(|known| known.policy == *policy) {
                Some(index) => &mut found[index],
                None => {
                    found.push(Considered { policy: Arc::clone(policy), rules: Vec::new() });
                    let last = found.len() - 1;
                    &mut found[last]
                }
            };
            if entry.rule.place.rule.is_some() {
                let trial = entry.rule.test(context);
                let verb = match entry.rule.action {
                    Action::Allow => Verb::Allows,
                    Action::Deny => Verb::Denies,
                    Action::Pass => Verb::Passes,
                };
                let rule = self.rule_ref(entry, &trial);
                let differences = if tells { entry.rule.differences(context) } else { Vec::new() };
                let (peer, port) = (trial.peer, trial.port);
                considered.rules.push(RuleTrial { rule, verb, peer, port, differences });
            }
        }
        found
    }
}

impl Explanation {
    /// Where a direction denies by default, the rule that came nearest to allowing the connection: one whose peer fits before
    /// one whose port does.
    #[must_use]
    pub fn nearest(&self, direction: Direction) -> Option<&RuleTrial> {
        let (considered, side) = match direction {
            Direction::Ingress => (&self.ingress, &self.verdict.ingress),
            Direction::Egress => (&self.egress, &self.verdict.egress),
        };
        if !matches!(side, SideVerdict::DenyDefault { .. }) {
            return None;
        }
        let allowing =
            considered.iter().flat_map(|policy| &policy.rules).filter(|rule| rule.verb == Verb::Allows);
        let near = |rule: &&RuleTrial| (rule.peer != Match::No, rule.port != Match::No) != (false, false);
        // The first of equals.
        allowing.filter(near).min_by_key(|rule| rule.peer == Match::No)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict.outcome)?;
        for (direction, considered, side) in [
            (Direction::Egress, &self.egress, &self.verdict.egress),
            (Direction::Ingress, &self.ingress, &self.verdict.ingress),
        ] {
            write!(f, "\n{direction}: {}", Named(side))?;
            if let Some(near) = self.nearest(direction) {
                write!(f, "\n  nearest: {} {}: {near}", near.rule.policy, near.rule.path())?;
            }
            for policy in considered {
                write!(f, "\n  {}", policy.policy)?;
                for rule in &policy.rules {
                    let place = rule.rule.path();
                    write!(f, "\n    {}: {rule}", place.strip_prefix("spec.").unwrap_or(&place))?;
                }
                if policy.rules.is_empty() {
                    write!(f, "\n    no {direction} rules")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for RuleTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.peer, self.port) {
            (Match::Yes, Match::Yes) => f.write_str(match self.verb {
                Verb::Allows => "allows",
                Verb::Denies => "denies",
                Verb::Passes => "passes to the next tier",
            }),
            (Match::No, Match::No) => f.write_str("neither peer nor port"),
            (Match::No, _) => f.write_str("port but not peer"),
            (_, Match::No) => f.write_str("peer but not port"),
            (Match::Unknown(reason), _) | (_, Match::Unknown(reason)) => f.write_str(reason.as_str()),
        }
    }
}

/// A side's verdict that is never empty.
struct Named<'a>(&'a SideVerdict);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SideVerdict::NotCovered => f.write_str("not covered"),
            side => write!(f, "{side}"),
        }
    }
}
