//! What the policy intent says about a connection.

use std::sync::Arc;
use std::{fmt, mem};

use serde::Serialize;

use crate::{Direction, PolicyRef, RuleRef};

/// Why the API says that policy does not touch a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExemptReason {
    /// From or to the node on which the pod runs.
    LocalNode,
    /// A pod talking to its own address.
    SelfTraffic,
}

/// Why no verdict can be given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReason {
    /// The peer's identity is not known.
    PeerUnresolved,
    /// The protocol is none that the API defines under isolation.
    ProtocolUndefined,
    /// Who opened the connection was guessed, so a denial would be a guess as well.
    DirectionGuessed,
    /// The API leaves host-network pods undefined.
    HostNetwork,
    /// It is not known which of a service's backends the connection led to, and policy says different things of them.
    BackendUnresolved,
    /// A rule names host names, and it is not known which names the address has.
    NamesUnresolved,
    /// A rule names a service, and it is not known which services there are.
    ServiceUnresolved,
    /// A rule tells the pod's own node from others, and it is not known which one this is.
    NodeUnresolved,
    /// A rule names the API server, and it is not known where it is.
    ApiServerUnresolved,
    /// A rule names types of ICMP messages, and the message's is not known.
    IcmpTypeUnknown,
    /// A rule names a group that something outside the cluster resolves.
    GroupUnresolved,
    /// Rules of the same priority say different things, and the API does not say which of them counts.
    PriorityAmbiguous,
    /// The cluster has not told its policies yet.
    PoliciesUnknown,
}

impl UnknownReason {
    /// The reason in a phrase.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PeerUnresolved => "peer not resolved",
            Self::ProtocolUndefined => "protocol undefined by the API under isolation",
            Self::DirectionGuessed => "direction was guessed",
            Self::HostNetwork => "host-network pods are undefined by the API",
            Self::BackendUnresolved => "backend not resolved",
            Self::NamesUnresolved => "names of the address not known",
            Self::ServiceUnresolved => "services not known",
            Self::NodeUnresolved => "node not resolved",
            Self::ApiServerUnresolved => "address of the API server not known",
            Self::IcmpTypeUnknown => "type of the ICMP message not known",
            Self::GroupUnresolved => "external group not resolved",
            Self::PriorityAmbiguous => "rules of one priority disagree",
            Self::PoliciesUnknown => "policies of the cluster not known",
        }
    }
}

/// The answer for one direction of one subject.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum SideVerdict {
    /// A rule allows it.
    Allow {
        /// The first allowing rule in stable order.
        rule: RuleRef,
    },
    /// A rule denies it explicitly.
    DenyRule {
        /// The denying rule.
        rule: RuleRef,
    },
    /// The subject is isolated and nothing allows it.
    DenyDefault {
        /// Every policy that isolates the subject in this direction, in stable order.
        isolating: Arc<[Arc<PolicyRef>]>,
    },
    /// No policy selects the subject in this direction, or the subject is no pod.
    NotCovered,
    /// Policy does not touch it.
    Exempt {
        /// Why.
        reason: ExemptReason,
    },
    /// Cannot be known.
    Unknown {
        /// Why.
        reason: UnknownReason,
    },
}

/// The answer for the connection as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Both directions let it pass and at least one by a rule or an exemption.
    Allowed,
    /// A direction denies it.
    Denied,
    /// No policy says anything about it.
    NotCovered,
    /// Cannot be known.
    Unknown,
}

impl Outcome {
    /// All outcomes, for metric families that exist from the start.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::NotCovered, Self::Unknown];

    /// The name used in records, metrics and filters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::NotCovered => "not-covered",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Both directions of a connection and what follows from them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verdict {
    /// The connection as a whole.
    pub outcome: Outcome,
    /// Egress of the initiator.
    pub egress: SideVerdict,
    /// Ingress of the responder.
    pub ingress: SideVerdict,
}

impl Verdict {
    /// Combines both directions: denied if either denies, unknown if either is unknown, allowed if a rule or an
    /// exemption speaks for it, not covered otherwise.
    #[must_use]
    pub fn combine(egress: SideVerdict, ingress: SideVerdict) -> Self {
        use SideVerdict as V;
        let either = |test: fn(&V) -> bool| test(&egress) || test(&ingress);
        let outcome = if either(|v| matches!(v, V::DenyRule { .. } | V::DenyDefault { .. })) {
            Outcome::Denied
        } else if either(|v| matches!(v, V::Unknown { .. })) {
            Outcome::Unknown
        } else if either(|v| matches!(v, V::Allow { .. } | V::Exempt { .. })) {
            Outcome::Allowed
        } else {
            Outcome::NotCovered
        };
        Self { outcome, egress, ingress }
    }

    /// What can be said of a connection that has one of these verdicts: the first, where all come to the same outcome.
    /// Otherwise it is unknown, by the directions of which they say different things. None where there are none.
    pub fn common(verdicts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut verdicts = verdicts.into_iter();
        let first = verdicts.next()?;
        let (mut egress, mut ingress) = (first.egress.clone(), first.ingress.clone());
        let mut agree = true;
        for verdict in verdicts {
            agree &= verdict.outcome == first.outcome;
            egress = egress.or_unresolved(&verdict.egress);
            ingress = ingress.or_unresolved(&verdict.ingress);
        }
        Some(if agree { first } else { Self::combine(egress, ingress) })
    }

    /// The direction that decides: the one that denies, is unknown or allows, whatever the outcome is; a rule before a
    /// default, and ingress of two that are alike.
    #[must_use]
    pub fn deciding(&self) -> Direction {
        let rank = |side: &SideVerdict| match (self.outcome, side) {
            (Outcome::Denied, SideVerdict::DenyRule { .. }) => 0,
            (Outcome::Denied, SideVerdict::DenyDefault { .. })
            | (Outcome::Unknown, SideVerdict::Unknown { .. }) => 1,
            (Outcome::Allowed, SideVerdict::Allow { .. }) => 2,
            (Outcome::Allowed, SideVerdict::Exempt { .. }) => 3,
            _ => 9,
        };
        if rank(&self.egress) < rank(&self.ingress) { Direction::Egress } else { Direction::Ingress }
    }

    /// What is said of one direction.
    #[must_use]
    pub const fn side(&self, direction: Direction) -> &SideVerdict {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }

    /// The deciding side in one phrase: the rule that allows, the policies that isolate, or the reason for anything
    /// else. Empty where no policy covers the connection.
    #[must_use]
    pub fn because(&self) -> String {
        self.side(self.deciding()).to_string()
    }
}

impl SideVerdict {
    /// Whether it denies.
    #[must_use]
    pub const fn denies(&self) -> bool {
        matches!(self, Self::DenyRule { .. } | Self::DenyDefault { .. })
    }

    /// Itself, where another backend's says the same, though perhaps by another rule.
    fn or_unresolved(self, other: &Self) -> Self {
        if mem::discriminant(&self) == mem::discriminant(other) {
            self
        } else {
            Self::Unknown { reason: UnknownReason::BackendUnresolved }
        }
    }
}

impl fmt::Display for SideVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow { rule } => write!(f, "{rule}"),
            Self::DenyRule { rule } => write!(f, "{rule}"),
            Self::DenyDefault { isolating } => {
                for (i, policy) in isolating.iter().enumerate() {
                    write!(f, "{}{policy}", if i == 0 { "isolated by " } else { ", " })?;
                }
                Ok(())
            }
            Self::NotCovered => Ok(()),
            Self::Exempt { reason } => f.write_str(match reason {
                ExemptReason::LocalNode => "exempt: the pod's own node",
                ExemptReason::SelfTraffic => "exempt: the pod itself",
            }),
            Self::Unknown { reason } => f.write_str(reason.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combining_follows_the_table() {
        use SideVerdict as V;
        let deny = || V::DenyDefault { isolating: Arc::from([]) };
        let unknown = || V::Unknown { reason: UnknownReason::PeerUnresolved };
        let exempt = || V::Exempt { reason: ExemptReason::LocalNode };
        for (egress, ingress, expected) in [
            (deny(), unknown(), Outcome::Denied),
            (unknown(), deny(), Outcome::Denied),
            (unknown(), exempt(), Outcome::Unknown),
            (exempt(), V::NotCovered, Outcome::Allowed),
            (V::NotCovered, V::NotCovered, Outcome::NotCovered),
        ] {
            let text = format!("{egress:?} + {ingress:?}");
            assert_eq!(Verdict::combine(egress, ingress).outcome, expected, "{text}");
        }
    }

    #[test]
    fn backends_that_agree_have_a_verdict_and_others_do_not() {
        use SideVerdict as V;
        let verdict = |egress: &V, ingress: &V| Verdict::combine(egress.clone(), ingress.clone());
        let deny = V::DenyDefault { isolating: Arc::from([]) };
        let exempt = V::Exempt { reason: ExemptReason::LocalNode };
        let none = V::NotCovered;
        let unresolved = V::Unknown { reason: UnknownReason::BackendUnresolved };
        for (first, second, expected) in [
            (verdict(&none, &deny), verdict(&none, &deny), verdict(&none, &deny)),
            // Denied either way, though not by the same direction.
            (verdict(&deny, &none), verdict(&none, &deny), verdict(&deny, &none)),
            (verdict(&exempt, &deny), verdict(&exempt, &none), verdict(&exempt, &unresolved)),
            (verdict(&none, &exempt), verdict(&none, &none), verdict(&none, &unresolved)),
        ] {
            let common = Verdict::common([first, second]).unwrap();
            assert_eq!(common, expected);
            if common.outcome == Outcome::Unknown {
                assert_eq!(common.because(), "backend not resolved");
            }
        }
        assert_eq!(Verdict::common([]), None);
    }
}
