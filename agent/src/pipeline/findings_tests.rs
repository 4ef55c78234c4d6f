use watchfire_export::{Ask, StateOf};
use watchfire_model::{CandidateEffect, Finding, FindingKind, FindingState, Flow};

use super::*;

const NEARLY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: frontend}}}]
    ports: [{port: 6379}]
";

/// All that leaves the agent because of an observation.
fn records(stages: &mut Stages, boot_ns: u64, body: Body) -> Vec<RecordBody> {
    let mut records = Vec::new();
    stages.take(Observation { boot_ns, body }, &mut records);
    records.into_iter().map(|record| record.body).collect()
}

fn finding(body: &RecordBody) -> &Finding {
    match body {
        RecordBody::Finding(finding) => finding,
        other => panic!("{other:?}"),
    }
}

fn finished(stages: &mut Stages) -> Vec<Finding> {
    let mut records = Vec::new();
    stages.finish(&mut records);
    records.iter().map(|record| finding(&record.body).clone()).collect()
}

#[test]
fn a_finding_follows_the_flow_that_it_begins_with() {
    let mut stages = stages(NEARLY);
    take(&mut stages, exec(2, &["/bin/curl"], false));
    let first = records(&mut stages, 5, Body::FlowOpen(flow()));
    assert!(matches!(&first[0], RecordBody::Flow(_)) && first.len() == 2, "{first:?}");
    let found = finding(&first[1]);
    assert_eq!((found.kind, found.state), (FindingKind::PolicyViolation, FindingState::New));
    let policy = found.policy.as_ref().unwrap();
    let nearest = policy.nearest.as_ref().unwrap();
    assert_eq!(nearest.rule.path, "spec.ingress[0] from[0]");
    assert_eq!(nearest.differs, "peer but not port; ports: wants TCP 6379, found TCP 5432");
    let process = found.example.as_ref().unwrap().process.as_ref().unwrap();
    assert_eq!((process.exec_id, &*process.binary), (id(2), "/bin/curl"));

    // The same again, from the other end, and as an attempt that fails.
    let server = Flow { side: Side::Server, ..flow() };
    let again = Flow { cookie: 8, client: "10.1.0.1:40001".parse().unwrap(), ..flow() };
    for body in [Body::FlowOpen(server), Body::FlowOpen(again), Body::FlowClose(again, end(true))] {
        assert_eq!(records(&mut stages, 6, body).len(), 1);
    }
    let failed = Flow { cookie: 9, client: "10.1.0.1:40002".parse().unwrap(), ..flow() };
    assert_eq!(records(&mut stages, 7, Body::FlowClose(failed, end(false))).len(), 1);
    let last = finished(&mut stages);
    assert_eq!(last.len(), 1);
    assert_eq!((last[0].state, last[0].count, last[0].failed), (FindingState::Ended, 3, 1));
    assert_eq!(last[0].id, found.id);
}

#[test]
fn time_tells_what_goes_on() {
    const S: u64 = 1_000_000_000;
    let mut stages = stages(NEARLY);
    for cookie in 0..3 {
        let client = format!("10.1.0.1:{}", 40_000 + cookie).parse().unwrap();
        records(&mut stages, S, Body::FlowOpen(Flow { cookie, client, opened_boot_ns: S, ..flow() }));
    }
    let mut told = Vec::new();
    stages.tick(Duration::from_secs(59), &mut told);
    assert_eq!(told, []);
    stages.tick(Duration::from_secs(60), &mut told);
    let found = finding(&told[0].body);
    assert_eq!((found.state, found.count, found.count_new), (FindingState::Ongoing, 3, 2));
    assert_eq!(told[0].boot_ns, 61 * S);
}

/// Stages with candidates beside the policies.
fn with_candidates(policies: &str, candidates: &str, more: &str) -> Stages {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let text = format!(
        "{{nodeName: node-a, inventory: {:?}, policies: {:?}, policy: {{candidates: {:?}, {more}}}}}",
        file("inventory.yaml", INVENTORY),
        file("policies.yaml", policies),
        file("candidates.yaml", candidates)
    );
    let config: Config = watchfire_inventory::parse_yaml(std::path::Path::new("x"), &text).unwrap();
    let loaded = Loaded::read(&config).unwrap();
    let mut stages = stages("");
    stages.knowledge = Knowledge::new(loaded, moment(Timebase { boot_epoch_ns: 0 }));
    stages
}

/// The effects of candidates that are found of the flow between the pods.
fn effects(stages: &mut Stages) -> Vec<CandidateEffect> {
    let told = records(stages, 5, Body::FlowOpen(flow()));
    let found = told.iter().filter_map(|body| match body {
        RecordBody::Finding(finding) => finding.policy.as_ref()?.effect,
        _ => None,
    });
    found.collect()
}

#[test]
fn candidates_are_judged_beside_what_is_in_force_and_change_no_verdict() {
    let opening = NEARLY.replace("port: 6379", "port: 5432").replace("name: db", "name: open");
    let mut stages = with_candidates(NEARLY, &opening, "");
    assert_eq!(effects(&mut stages), [CandidateEffect::WouldOpen]);
    let open = stages.flows.get(&flow()).unwrap();
    assert_eq!(open.said.judged.verdict.outcome, Outcome::Denied);

    let mut stages = with_candidates("", NEARLY, "");
    assert_eq!(effects(&mut stages), [CandidateEffect::WouldBreak]);
    let report = stages.answer(&Ask::State(StateOf::Candidates), 7).next().unwrap();
    assert_eq!((&report["would_break"], &report["would_open"]), (&1.into(), &0.into()));
    assert_eq!(report["policies"][0]["name"], "db");
    assert_eq!(report["differences"][0]["flows"], 1);

    // A candidate takes the place of what has its name.
    let mut stages = with_candidates(NEARLY, &NEARLY.replace("port: 6379", "port: 5432"), "");
    assert_eq!(effects(&mut stages), [CandidateEffect::WouldOpen]);
}

#[test]
fn a_namespace_may_be_watched_and_nothing_else() {
    for (more, expected) in [
        ("mode: watch", &[][..]),
        ("modes: {shop: watch}", &[]),
        ("modes: {other: watch}", &[CandidateEffect::WouldBreak]),
        ("mode: watch, modes: {shop: candidate}", &[CandidateEffect::WouldBreak]),
    ] {
        assert_eq!(effects(&mut with_candidates("", NEARLY, more)), expected, "{more}");
    }
}

#[test]
fn policies_are_missing_where_they_could_be() {
    let inventory = INVENTORY.replace("labels: {app: db},", "labels: {app: db}, hostNetwork: true,");
    for (inventory, expected) in [(INVENTORY, Some("10.1.0.3")), (inventory.as_str(), None)] {
        // A policy of the namespace about neither of the two.
        let policies = DENY.replace("podSelector: {}", "podSelector: {matchLabels: {app: x}}");
        let mut stages = stages_of(inventory, &policies);
        let outside = Flow { client: "192.0.2.77:1".parse().unwrap(), ..flow() };
        let told = records(&mut stages, 5, Body::FlowOpen(outside));
        let found = told.get(1).map(|body| finding(body).kind);
        assert_eq!(found, expected.map(|_| FindingKind::UncoveredFlow), "{told:?}");
    }
}
