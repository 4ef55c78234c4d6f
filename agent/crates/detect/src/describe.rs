//! What findings say.

use std::sync::Arc;

use watchfire_model::{
    Direction, FindingExample, FindingKind, FindingProcess, FlowRecord, PolicyFacts, PolicyRef, Protocol,
    RulePlace, Severity, SideVerdict, Verdict,
};

use crate::detector::Facts;
use crate::key::{Change, Decided, Key};
use crate::party;
use crate::roll_up::Described;

/// What flows are counted under.
pub(crate) fn key(
    kind: FindingKind,
    flow: &FlowRecord,
    direction: Option<Direction>,
    decided: Decided,
) -> Key {
    let backend = flow.server.backend.and_then(|backend| backend.address);
    let port = backend.unwrap_or(flow.server.address).port();
    let has_ports = matches!(flow.protocol, Protocol::Tcp | Protocol::Udp | Protocol::Sctp);
    Key {
        kind,
        source: Some(party::source(&flow.client)),
        destination: Some(party::destination(&flow.server)),
        protocol: Some(flow.protocol),
        port: has_ports.then_some(port),
        direction,
        decided,
        change: Change::None,
    }
}

/// What a finding says of flows that policy denies, or about which it says nothing.
pub(crate) fn describe(key: &Key, flow: &FlowRecord, verdict: &Verdict, facts: &dyn Facts) -> Described {
    let direction = key.direction.unwrap_or(Direction::Ingress);
    let side = verdict.side(direction);
    let (severity, what, reason) = match (side, direction) {
        (SideVerdict::DenyRule { .. }, _) => (Severity::High, "denied by policy intent", phrase(side)),
        (SideVerdict::DenyDefault { .. }, _) => (Severity::Medium, "denied by policy intent", phrase(side)),
        (_, Direction::Ingress) => {
            let reason = "no policy is about ingress of the destination".to_owned();
            (Severity::Info, "no policy covers it", reason)
        }
        (_, Direction::Egress) => {
            (Severity::Info, "no policy covers it", "no policy is about egress of the source".to_owned())
        }
    };
    Described {
        severity,
        title: title(key, what),
        reason,
        policy: Some(Box::new(policy_facts(flow, verdict, key.direction, facts))),
        example: Some(Box::new(example(flow))),
    }
}

/// `shop/frontend → shop/db:5432 TCP: denied by policy intent`.
pub(crate) fn title(key: &Key, what: &str) -> String {
    let party = |party: &Option<_>| party.as_ref().map(ToString::to_string).unwrap_or_default();
    let port = key.port.map(|port| format!(":{port}")).unwrap_or_default();
    let protocol = key.protocol.map(|protocol| format!(" {protocol}")).unwrap_or_default();
    format!("{} → {}{port}{protocol}: {what}", party(&key.source), party(&key.destination))
}

/// What a direction says, with the place of its rule.
pub(crate) fn phrase(side: &SideVerdict) -> String {
    match side {
        SideVerdict::Allow { rule } | SideVerdict::DenyRule { rule } => {
            format!("{} {}", rule.policy, rule.path())
        }
        SideVerdict::NotCovered => "not covered".to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn policy_facts(
    flow: &FlowRecord,
    verdict: &Verdict,
    direction: Option<Direction>,
    facts: &dyn Facts,
) -> PolicyFacts {
    let mut policy = PolicyFacts {
        direction,
        outcome: Some(verdict.outcome),
        epoch: Some(flow.judgement.policy_epoch),
        ..PolicyFacts::default()
    };
    let Some(direction) = direction else { return policy };
    match verdict.side(direction) {
        SideVerdict::Allow { rule } | SideVerdict::DenyRule { rule } => {
            policy.rule = Some(RulePlace::from(rule));
        }
        SideVerdict::DenyDefault { isolating } => {
            policy.isolating = isolating.to_vec();
            policy.nearest = facts.nearest(direction);
        }
        SideVerdict::NotCovered | SideVerdict::Exempt { .. } | SideVerdict::Unknown { .. } => {}
    }
    let other = match direction {
        Direction::Egress => Direction::Ingress,
        Direction::Ingress => Direction::Egress,
    };
    let other_side = verdict.side(other);
    policy.also = other_side.denies().then(|| format!("{other}: {}", phrase(other_side)));
    policy
}

/// The candidates that speak in what a direction says with them; where none does, those that took the place of what
/// spoke without them.
pub(crate) fn candidates_of(
    with: &SideVerdict,
    live: &SideVerdict,
    facts: &dyn Facts,
) -> Vec<Arc<PolicyRef>> {
    let of = |side: &SideVerdict| -> Vec<Arc<PolicyRef>> {
        let policies = match side {
            SideVerdict::Allow { rule } | SideVerdict::DenyRule { rule } => vec![Arc::clone(&rule.policy)],
            SideVerdict::DenyDefault { isolating } => isolating.to_vec(),
            SideVerdict::NotCovered | SideVerdict::Exempt { .. } | SideVerdict::Unknown { .. } => Vec::new(),
        };
        policies.into_iter().filter(|policy| facts.is_candidate(policy)).collect()
    };
    let candidates = of(with);
    if candidates.is_empty() { of(live) } else { candidates }
}

pub(crate) fn example(flow: &FlowRecord) -> FindingExample {
    let process = flow.process.as_ref().map(|process| FindingProcess {
        exec_id: process.exec_id,
        pid: process.pid,
        binary: process.binary.clone(),
        pod: process.pod.clone(),
    });
    FindingExample {
        cookie: Some(flow.cookie),
        community_id: Some(flow.community_id.clone()),
        client: Some(flow.client.address),
        server: Some(flow.server.address),
        process,
    }
}
