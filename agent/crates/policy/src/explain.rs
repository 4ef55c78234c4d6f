//! Everything that was considered for a verdict: the slow walk behind `judge`.

use std::fmt;
use std::sync::Arc;

use watchfire_model::{Direction, PolicyRef, SideVerdict, Verdict};

use crate::connection::Party;
use crate::{Connection, Match, PolicySet, World};

/// A verdict with all policies that select its subjects.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The same verdict that `judge` gives.
    pub verdict: Verdict,
    /// Policies that isolate the client in egress, in stable order.
    pub egress: Vec<Considered>,
    /// Policies that isolate the server in ingress, in stable order.
    pub ingress: Vec<Considered>,
}

/// One policy that isolates the subject.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Considered {
    /// The object.
    pub policy: Arc<PolicyRef>,
    /// How each of its rules of the direction fared.
    pub rules: Vec<RuleTrial>,
}

/// How one rule fared. One that matches in one part alone is a near miss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleTrial {
    /// Whether the peer is one the rule names.
    pub peer: Match,
    /// Whether the port is one the rule names.
    pub port: Match,
}

impl PolicySet {
    /// Judges a connection and lists every rule that had a say.
    #[must_use]
    pub fn explain(&self, world: &dyn World, connection: &Connection<'_>) -> Explanation {
        Explanation {
            verdict: self.judge(world, connection),
            egress: self.considered(world, connection, Direction::Egress),
            ingress: self.considered(world, connection, Direction::Ingress),
        }
    }

    fn considered(
        &self,
        world: &dyn World,
        connection: &Connection<'_>,
        direction: Direction,
    ) -> Vec<Considered> {
        let side = connection.side(direction);
        let Party::Pod(subject) = side.subject else { return Vec::new() };
        let Some(directed) = self.directed(&subject.identity.namespace, direction) else { return Vec::new() };
        directed
            .selecting(subject)
            .map(|policy| Considered {
                policy: Arc::clone(policy.reference()),
                rules: policy
                    .rules(direction)
                    .unwrap_or_default()
                    .iter()
                    .map(|rule| {
                        let trial = rule.test(&policy.reference().namespace, world, &side);
                        RuleTrial { peer: trial.peer, port: trial.port }
                    })
                    .collect(),
            })
            .collect()
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
            for policy in considered {
                write!(f, "\n  {}", policy.policy)?;
                for (index, rule) in policy.rules.iter().enumerate() {
                    write!(f, "\n    {direction}[{index}]: {rule}")?;
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
        f.write_str(match (self.peer, self.port) {
            (Match::Yes, Match::Yes) => "allows",
            (Match::No, Match::No) => "neither peer nor port",
            (Match::No, _) => "port but not peer",
            (_, Match::No) => "peer but not port",
            (Match::Unknown, _) => "peer cannot be told",
            (_, Match::Unknown) => "named port cannot be told",
        })
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
