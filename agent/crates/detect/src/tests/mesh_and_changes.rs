//! Verdicts that change, and what flows carry.

use super::*;

#[test]
fn a_verdict_that_changes_is_told_with_both() {
    let changed = |port: u16, before: Verdict, now: Verdict| {
        let because = before.because();
        let previous = VerdictAt { policy_epoch: 2, verdict: before, because, mesh: None };
        FlowRecord {
            stage: FlowStage::VerdictChanged,
            judgement: Judgement { previous: Some(Box::new(previous)), ..Judgement::default() },
            ..flow(port, now)
        }
    };
    let mut detector = detector();
    let denied = changed(1, allowed_by("db"), denied_by(&["deny"]));
    let found = detector.flow(&denied, at(1), &World).unwrap();
    assert_eq!((found.kind, found.severity), (FindingKind::VerdictChanged, Severity::Medium));
    assert!(found.title.ends_with(": was allowed, is denied since policies changed"));
    let policy = found.policy.unwrap();
    assert_eq!((policy.previous, policy.outcome), (Some(Outcome::Allowed), Some(Outcome::Denied)));
    assert_eq!(policy.isolating.len(), 1);
    // Its other end, another one, and what has nothing to tell.
    let server = FlowRecord { side: Side::Server, ..denied };
    assert_eq!(detector.flow(&server, at(1), &World), None);
    assert_eq!(detector.flow(&changed(2, allowed_by("db"), denied_by(&["deny"])), at(2), &World), None);
    for (before, now) in [(unknown(), denied_by(&["deny"])), (denied_by(&["deny"]), denied_by(&["db"]))] {
        assert_eq!(detector.flow(&changed(3, before, now), at(2), &World), None);
    }
    let last = detector.finish();
    assert_eq!(told(&last), [(FindingState::Ended, 2, 1)]);
}

#[test]
fn plaintext_counts_once_for_each_flow_and_at_the_server_alone() {
    let mesh = MeshView {
        outcome: Outcome::Denied,
        verdict: MeshWord::DenyPlaintext,
        policies: vec![policy("strict")],
        rule: None,
        reason: None,
    };
    let plain = |port: u16, stage, side| FlowRecord {
        stage,
        side,
        judgement: Judgement { mesh: Some(mesh.clone()), ..Judgement::default() },
        ..flow(port, not_covered())
    };
    let mut detector = detector();
    assert_eq!(detector.carried(&plain(1, FlowStage::Close, Side::Client), at(1)), None);
    // A proxy beside the server hands on what it has decrypted.
    for client in [end("127.0.0.6:9", "shop/x"), end("10.0.0.2:9", "shop/x"), end("10.0.0.9:9", "shop/db")] {
        let handed_on = FlowRecord { client, ..plain(9, FlowStage::Close, Side::Server) };
        assert_eq!(detector.carried(&handed_on, at(1)), None, "{:?}", handed_on.client);
    }
    assert_eq!(detector.carried(&flow(1, not_covered()), at(1)), None);
    let found = detector.carried(&plain(1, FlowStage::Update, Side::Server), at(1)).unwrap();
    assert_eq!((found.kind, found.severity), (FindingKind::PlaintextWhereMtlsRequired, Severity::High));
    assert_eq!(found.reason, "mutual TLS is required by NetworkPolicy/shop/strict");
    for (port, stage) in [(1, FlowStage::Update), (1, FlowStage::Close), (2, FlowStage::Close)] {
        assert_eq!(detector.carried(&plain(port, stage, Side::Server), at(2)), None);
    }
    assert_eq!(told(&detector.finish()), [(FindingState::Ended, 2, 1)]);
}
