//! Findings for tests, one of each shape that leaves the agent.

use std::net::SocketAddr;

use watchfire_model::{
    CandidateEffect, Direction, Finding, FindingExample, FindingKind, FindingProcess, FindingState,
    NearestRule, Outcome, Party, PartyKind, PolicyFacts, Protocol, Record, RecordBody, RulePlace, Severity,
    WallTime,
};

use crate::common;

pub(crate) fn finding_record(finding: Finding) -> Record {
    common::record(RecordBody::Finding(Box::new(finding)))
}

/// A workload that is denied a connection by default.
pub(crate) fn violation() -> Finding {
    let process = common::process_view();
    let near = RulePlace { policy: common::policy("db"), path: "spec.ingress[0] ports[0]".to_owned() };
    let policy = PolicyFacts {
        direction: Some(Direction::Ingress),
        outcome: Some(Outcome::Denied),
        isolating: vec![common::policy("db"), common::policy("default-deny")],
        nearest: Some(NearestRule { rule: near, differs: "port but not peer".to_owned() }),
        also: Some("egress: isolated by NetworkPolicy/shop/out".to_owned()),
        epoch: Some(3),
        ..PolicyFacts::default()
    };
    Finding {
        id: "0123456789abcdef".to_owned(),
        kind: FindingKind::PolicyViolation,
        severity: Severity::Medium,
        state: FindingState::Ongoing,
        title: "shop/Deployment/frontend → shop/db:5432 TCP: denied by policy intent".to_owned(),
        reason: "isolated by NetworkPolicy/shop/db, NetworkPolicy/shop/default-deny".to_owned(),
        source: Some(Party::from(&common::pod("frontend"))),
        destination: Some(Party {
            kind: PartyKind::Pod,
            namespace: Some("shop".into()),
            workload: None,
            name: Some("db".into()),
        }),
        protocol: Some(Protocol::Tcp),
        port: Some(5432),
        policy: Some(Box::new(policy)),
        count: 500,
        count_new: 499,
        failed: 2,
        bytes: Some(3500),
        first: WallTime(1_700_000_000_000_000_000),
        last: WallTime(1_700_000_060_000_000_000),
        example: Some(Box::new(FindingExample {
            cookie: Some(4711),
            community_id: Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg=".to_owned()),
            client: Some(SocketAddr::from(([10, 0, 0, 1], 40_000))),
            server: Some(SocketAddr::from(([10, 0, 0, 2], 5432))),
            process: Some(FindingProcess {
                exec_id: process.exec_id,
                pid: process.pid,
                binary: process.binary,
                pod: process.pod,
            }),
        })),
        overflow: false,
    }
}

pub(crate) fn every_shape() -> Vec<(&'static str, Record)> {
    let place = RulePlace { policy: common::policy("open-db"), path: "spec.ingress[0] from[0]".to_owned() };
    let candidate = Finding {
        kind: FindingKind::CandidateDifference,
        severity: Severity::Low,
        state: FindingState::New,
        title: "shop/Deployment/frontend → shop/db:5432 TCP: would open with the candidate policies"
            .to_owned(),
        reason: "NetworkPolicy/shop/open-db spec.ingress[0] from[0]".to_owned(),
        policy: Some(Box::new(PolicyFacts {
            direction: Some(Direction::Ingress),
            previous: Some(Outcome::Denied),
            outcome: Some(Outcome::Allowed),
            effect: Some(CandidateEffect::WouldOpen),
            rule: Some(place),
            candidates: vec![common::policy("open-db")],
            ..PolicyFacts::default()
        })),
        count: 1,
        count_new: 1,
        failed: 0,
        bytes: None,
        ..violation()
    };
    let overflow = Finding {
        state: FindingState::Ended,
        title: "more findings of kind policy-violation than there is room for".to_owned(),
        reason: "the table of findings is full, or one source has too many of them".to_owned(),
        source: None,
        destination: None,
        protocol: None,
        port: None,
        policy: None,
        example: None,
        bytes: None,
        overflow: true,
        ..violation()
    };
    vec![
        ("finding-violation", finding_record(violation())),
        ("finding-candidate", finding_record(candidate)),
        ("finding-overflow", finding_record(overflow)),
    ]
}
