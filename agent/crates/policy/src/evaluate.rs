//! The verdict.

use watchfire_model::{Direction, ExemptReason, Pod, Protocol, RuleRef, SideVerdict, UnknownReason, Verdict};

use crate::address::is_loopback;
use crate::connection::Party;
use crate::policy::{Side, Trial};
use crate::{Connection, Match, Policy, PolicySet, World};

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
        Verdict::combine(
            self.side(world, &connection.side(Direction::Egress), guessed),
            self.side(world, &connection.side(Direction::Ingress), guessed),
        )
    }

    fn side(&self, world: &dyn World, side: &Side<'_>, direction_guessed: bool) -> SideVerdict {
        let subject = match side.subject {
            Party::Pod(pod) => pod,
            Party::Node(_) | Party::World => return SideVerdict::NotCovered,
            // It may be a pod that some policy isolates.
            Party::Unresolved if self.isolates_anyone(side.direction) => {
                return SideVerdict::Unknown { reason: UnknownReason::PeerUnresolved };
            }
            Party::Unresolved => return SideVerdict::NotCovered,
        };
        // "Traffic to and from the node where a Pod is running is always allowed" (NetworkPolicy reference).
        if let (Party::Node(Some(peer)), Some(own)) = (side.peer, &subject.node)
            && peer == own.as_str()
        {
            return SideVerdict::Exempt { reason: ExemptReason::LocalNode };
        }
        let Some(directed) = self.directed(&subject.identity.namespace, side.direction) else {
            return SideVerdict::NotCovered;
        };
        let mut isolated = false;
        let mut undecided = false;
        for policy in directed.selecting(subject) {
            isolated = true;
            for (index, rule) in policy.rules(side.direction).unwrap_or_default().iter().enumerate() {
                let trial = rule.test(&policy.reference().namespace, world, side);
                match trial.peer & trial.port {
                    Match::Yes => {
                        return SideVerdict::Allow {
                            rule: self.rule_ref(policy, side.direction, index, &trial),
                        };
                    }
                    Match::Unknown => undecided = true,
                    Match::No => {}
                }
            }
        }
        if !isolated {
            return SideVerdict::NotCovered;
        }
        match why_unknown(side, subject, undecided, direction_guessed) {
            Some(reason) => SideVerdict::Unknown { reason },
            None => SideVerdict::DenyDefault { isolating: directed.isolating(subject) },
        }
    }

    pub(crate) fn rule_ref(
        &self,
        policy: &Policy,
        direction: Direction,
        rule: usize,
        trial: &Trial,
    ) -> RuleRef {
        RuleRef {
            dialect: self.dialect,
            tier: policy.tier,
            direction,
            policy: policy.reference().clone(),
            rule: position(rule),
            peer: trial.peer_index.map(position),
            port: trial.port_index.map(position),
        }
    }
}

/// Why an isolated subject to which no rule allows the connection is still not said to be denied it.
fn why_unknown(side: &Side<'_>, subject: &Pod, undecided: bool, guessed: bool) -> Option<UnknownReason> {
    if undecided || matches!(side.peer, Party::Unresolved) {
        return Some(UnknownReason::PeerUnresolved);
    }
    // "Deny all" is undefined for all other protocols (NetworkPolicy reference).
    if !matches!(side.protocol, Protocol::Tcp | Protocol::Udp | Protocol::Sctp) {
        return Some(UnknownReason::ProtocolUndefined);
    }
    if let Party::Node(node) = side.peer {
        // Source translation puts a node's address in the place of the client's, so a node that connects may be
        // anyone. In the other direction only the pod's own node matters, which has been ruled out where both are known.
        let may_be_own = node.is_none() || subject.node.is_none();
        if side.direction == Direction::Ingress || may_be_own {
            return Some(UnknownReason::HostNetwork);
        }
    }
    guessed.then_some(UnknownReason::DirectionGuessed)
}

/// Whether a pod talks to its own address or to a loopback address, neither of which leaves it.
fn is_to_itself(connection: &Connection<'_>) -> bool {
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

impl<'a> Connection<'a> {
    pub(crate) fn side(&self, direction: Direction) -> Side<'a> {
        let (client, server) = (Party::from(self.client.peer), Party::from(self.server.peer));
        let (subject, peer, peer_ip) = match direction {
            Direction::Egress => (client, server, self.server.ip),
            Direction::Ingress => (server, client, self.client.ip),
        };
        Side {
            direction,
            subject,
            peer,
            peer_ip,
            destination: server,
            protocol: self.protocol,
            port: self.server_port,
        }
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
