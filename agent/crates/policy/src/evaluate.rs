//! The verdict.

use std::sync::Arc;

use watchfire_model::{
    Dialect, Direction, ExemptReason, PolicyRef, Protocol, RuleDetail, RuleRef, SideVerdict, UnknownReason,
    Verdict,
};

use crate::address::is_loopback;
use crate::cilium::is_own_node;
use crate::connection::Party;
use crate::decision::{Decided, Decision};
use crate::rule::Trial;
use crate::set::{Entry, policies_of};
use crate::side::Context;
use crate::{Connection, Enforcement, Match, PolicySet, World};

impl PolicySet {
    /// What policy says about a connection. The two directions are judged independently: egress with the client as
    /// the subject, ingress with the server.
    #[must_use]
    pub fn judge(&self, world: &dyn World, connection: &Connection<'_>) -> Verdict {
        if is_to_itself(connection) {
            let exempt = || SideVerdict::Exempt { reason: ExemptReason::SelfTraffic };
            return Verdict::combine(exempt(), exempt());
        }
        let guessed = connection.direction_guessed;
        let side = |direction| self.side(&self.context(world, connection, direction), guessed);
        Verdict::combine(side(Direction::Egress), side(Direction::Ingress))
    }

    pub(crate) fn context<'a>(
        &'a self,
        world: &'a dyn World,
        connection: &Connection<'a>,
        direction: Direction,
    ) -> Context<'a> {
        Context { side: connection.side(direction), world, options: &self.options, groups: &self.groups }
    }

    /// The rules that select the subject, each with how certain that is, in order.
    pub(crate) fn selecting<'a>(
        &'a self,
        context: &'a Context<'a>,
    ) -> impl Iterator<Item = (&'a Entry, Match)> {
        let namespace = match context.side.subject {
            Party::Pod(pod) => Some(&*pod.identity.namespace),
            // In no namespace: what selects anywhere may select it.
            Party::Node(_) => Some(""),
            Party::World | Party::Unresolved => None,
        };
        let runs = namespace.into_iter().flat_map(move |ns| self.directed(context.side.direction).of(ns));
        runs.flat_map(move |entries| {
            let selects = entries.first().map_or(Match::No, |entry| entry.rule.selects(context));
            let entries = if selects.is_possible() { entries } else { &[] };
            entries.iter().map(move |entry| (entry, selects))
        })
    }

    /// Whether nodes have policies of their own.
    fn judges_nodes(&self) -> bool {
        self.dialect == Dialect::Cilium && self.options.host_firewall
    }

    pub(crate) fn side(&self, context: &Context<'_>, direction_guessed: bool) -> SideVerdict {
        self.settled(context).unwrap_or_else(|| {
            let selecting: Vec<_> = self.selecting(context).collect();
            let standing = self.standing(&selecting);
            let isolating = || {
                let entries = selecting.iter().map(|(entry, _)| *entry);
                policies_of(entries.filter(|entry| entry.rule.isolates))
            };
            let decision = self.decide(context, &selecting, standing);
            self.verdict(context, &decision, &isolating, direction_guessed)
        })
    }

    /// What is settled before any rule is asked.
    pub(crate) fn settled(&self, context: &Context<'_>) -> Option<SideVerdict> {
        let side = &context.side;
        match side.subject {
            Party::Pod(_) => {}
            Party::Node(_) if self.judges_nodes() => {
                // What stays on the node does not pass its firewall.
                if matches!(side.peer, Party::Node(peer) if is_own_node(peer, context) == Match::Yes) {
                    return Some(SideVerdict::Exempt { reason: ExemptReason::SelfTraffic });
                }
            }
            Party::Node(_) | Party::World => return Some(SideVerdict::NotCovered),
            // It may be a pod that some policy selects.
            Party::Unresolved if self.directed(side.direction).is_empty() => {
                return Some(SideVerdict::NotCovered);
            }
            Party::Unresolved => return Some(SideVerdict::Unknown { reason: UnknownReason::PeerUnresolved }),
        }
        // "Traffic to and from the node where a Pod is running is always allowed" (NetworkPolicy reference).
        if self.dialect == Dialect::K8s
            && let Party::Node(peer) = side.peer
            && is_own_node(peer, context) == Match::Yes
        {
            return Some(SideVerdict::Exempt { reason: ExemptReason::LocalNode });
        }
        let is_off = self.dialect == Dialect::Cilium && self.options.enforcement == Enforcement::Never;
        is_off.then_some(SideVerdict::NotCovered)
    }

    /// Puts a decision into words. A denial of what was guessed would be a guess as well.
    pub(crate) fn verdict(
        &self,
        context: &Context<'_>,
        decision: &Decision<'_>,
        isolating: &dyn Fn() -> Arc<[Arc<PolicyRef>]>,
        direction_guessed: bool,
    ) -> SideVerdict {
        let unknown = |reason| SideVerdict::Unknown { reason };
        let decided = match decision {
            Decision::Certain(decided) => decided,
            Decision::Open(reason) => return unknown(*reason),
        };
        match decided {
            Decided::Allow(entry, trial) => SideVerdict::Allow { rule: self.rule_ref(entry, trial) },
            Decided::OwnNode => SideVerdict::Exempt { reason: ExemptReason::LocalNode },
            Decided::Nothing => SideVerdict::NotCovered,
            Decided::Isolated => {
                let why = match self.dialect {
                    Dialect::K8s => why_undefined(context),
                    Dialect::Cilium => why_unresolved(context),
                };
                let guessed = direction_guessed.then_some(UnknownReason::DirectionGuessed);
                why.or(guessed).map_or_else(|| SideVerdict::DenyDefault { isolating: isolating() }, unknown)
            }
            Decided::Deny(..) if direction_guessed => unknown(UnknownReason::DirectionGuessed),
            Decided::Deny(entry, trial) => SideVerdict::DenyRule { rule: self.rule_ref(entry, trial) },
        }
    }

    pub(crate) fn rule_ref(&self, entry: &Entry, trial: &Trial) -> RuleRef {
        let rule = &entry.rule;
        RuleRef {
            dialect: self.dialect,
            tier: rule.tier,
            direction: rule.direction,
            policy: entry.policy.reference().clone(),
            rule: rule.place.rule.unwrap_or_default(),
            peer: trial.peer_index.map(|index| u32::try_from(index).unwrap_or(u32::MAX)),
            port: trial.port_at.map(|(port, _)| port),
            detail: RuleDetail {
                spec: rule.place.spec,
                deny_list: rule.place.deny_list,
                peers_field: rule.peers.field(),
                ports_field: rule.ports.field(),
                port_entry: trial.port_at.and_then(|(_, entry)| entry),
                needs_l7: rule.needs_l7,
                needs_auth: rule.needs_auth,
                unresolved_service: trial.unresolved_service,
            },
        }
    }
}

/// Why a subject that is isolated and to which no rule allows the connection is still not said to be denied it.
fn why_undefined(context: &Context<'_>) -> Option<UnknownReason> {
    let side = &context.side;
    if let Some(reason) = why_unresolved(context) {
        return Some(reason);
    }
    // "Deny all" is undefined for all other protocols (NetworkPolicy reference).
    if !matches!(side.protocol, Protocol::Tcp | Protocol::Udp | Protocol::Sctp) {
        return Some(UnknownReason::ProtocolUndefined);
    }
    // A node that connects may be anyone, for its address takes the place of the client's where that is translated. In
    // the other direction only the pod's own node matters, which has been ruled out where both are known.
    if let Party::Node(node) = side.peer
        && (side.direction == Direction::Ingress || is_own_node(node, context) != Match::No)
    {
        return Some(UnknownReason::HostNetwork);
    }
    None
}

/// A peer that is not known may be the pod's own node, or the pod itself.
const fn why_unresolved(context: &Context<'_>) -> Option<UnknownReason> {
    match context.side.peer {
        Party::Unresolved => Some(UnknownReason::PeerUnresolved),
        Party::Pod(_) | Party::Node(_) | Party::World => None,
    }
}

/// Whether a pod talks to its own address or to a loopback address, neither of which leaves it.
pub(crate) fn is_to_itself(connection: &Connection<'_>) -> bool {
    let Party::Pod(client) = connection.client.peer.into() else { return false };
    let address = connection.server.ip.to_canonical();
    if is_loopback(address) {
        return true;
    }
    let Party::Pod(server) = connection.server.peer.into() else { return false };
    client.identity.namespace == server.identity.namespace
        && client.name == server.name
        && client.uid == server.uid
        && client.ips.iter().any(|ip| ip.to_canonical() == address)
}

#[cfg(test)]
mod tests;
