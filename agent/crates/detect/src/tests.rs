mod counts;
mod mesh_and_changes;

use std::sync::Arc;

use watchfire_model::{
    CandidateEffect, CloseReason, Dialect, Direction, EndpointView, Finding, FindingKind, FindingState,
    FlowCounters, FlowRecord, FlowStage, Judgement, MeshView, MeshWord, NearestRule, Origin, Outcome,
    OwnerUnknown, PodView, PolicyRef, Protocol, RuleDetail, RulePlace, RuleRef, Severity, Side, SideVerdict,
    Tier, UnknownReason, Verdict, VerdictAt, WallTime, WorkloadRef,
};

use crate::{At, Detector, Facts, PAIRING_NS, ROLL_UPS_OF_SOURCE_MAX, Settings, When};

const SECOND: u64 = 1_000_000_000;

struct World;

impl Facts for World {
    fn nearest(&self, direction: Direction) -> Option<NearestRule> {
        let rule = RulePlace { policy: policy("near"), path: format!("spec.{direction}[0]") };
        Some(NearestRule { rule, differs: "port but not peer".to_owned() })
    }

    fn has_subject(&self, _: Direction) -> bool {
        true
    }

    fn has_policies(&self, namespace: &str) -> bool {
        namespace == "shop"
    }

    fn is_candidate(&self, policy: &PolicyRef) -> bool {
        policy.name.starts_with("candidate")
    }
}

fn policy(name: &str) -> Arc<PolicyRef> {
    Arc::new(PolicyRef { kind: "NetworkPolicy", namespace: "shop".to_owned(), name: name.to_owned() })
}

fn at(seconds: u64) -> At {
    At { boot_ns: seconds * SECOND, wall: WallTime((seconds * SECOND).cast_signed()) }
}

fn rule(name: &str) -> RuleRef {
    RuleRef {
        dialect: Dialect::K8s,
        tier: Tier::Normal,
        direction: Direction::Ingress,
        policy: policy(name),
        rule: 0,
        peer: Some(1),
        port: None,
        detail: RuleDetail { peers_field: "from", ..RuleDetail::default() },
    }
}

fn denied_by(names: &[&str]) -> Verdict {
    let isolating = names.iter().map(|name| policy(name)).collect();
    Verdict::combine(SideVerdict::NotCovered, SideVerdict::DenyDefault { isolating })
}

fn allowed_by(name: &str) -> Verdict {
    Verdict::combine(SideVerdict::NotCovered, SideVerdict::Allow { rule: rule(name) })
}

fn not_covered() -> Verdict {
    Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered)
}

fn unknown() -> Verdict {
    let unknown = SideVerdict::Unknown { reason: UnknownReason::PeerUnresolved };
    Verdict::combine(SideVerdict::NotCovered, unknown)
}

fn end(address: &str, pod: &str) -> EndpointView {
    let (namespace, name) = pod.split_once('/').unwrap();
    let workload = Some(WorkloadRef { kind: "Deployment".into(), name: name.into() });
    let pod = PodView { workload, ..PodView::named(namespace, &format!("{name}-x7d")) };
    EndpointView {
        address: address.parse().unwrap(),
        pod: Some(pod),
        kind: "pod",
        detail: None,
        api_server: false,
        names: Vec::new(),
        service: None,
        backend: None,
    }
}

/// From shop/api to shop/db, as the client's socket shows it.
fn flow(client_port: u16, verdict: Verdict) -> FlowRecord {
    FlowRecord {
        stage: FlowStage::Open,
        cookie: u64::from(client_port),
        protocol: Protocol::Tcp,
        icmp: None,
        community_id: "1:x".to_owned(),
        side: Side::Client,
        direction_guessed: false,
        client: end(&format!("10.0.0.1:{client_port}"), "shop/api"),
        server: end("10.0.0.2:5432", "shop/db"),
        process: None,
        process_unknown: Some(OwnerUnknown::NoStorage),
        netns: 0,
        origin: Origin::Observed,
        opened: WallTime(0),
        because: verdict.because(),
        verdict,
        judgement: Judgement { policy_epoch: 3, ..Judgement::default() },
        close_reason: None,
        duration_ns: None,
        handshake_us: None,
        counters: None,
        tls: None,
        plaintext: false,
        drop: None,
    }
}

fn closed(flow: FlowRecord, sent: u64, received: u64) -> FlowRecord {
    let counters = FlowCounters { bytes_sent: sent, bytes_received: received, ..FlowCounters::default() };
    FlowRecord {
        stage: FlowStage::Close,
        close_reason: Some(CloseReason::Fin),
        counters: Some(counters),
        ..flow
    }
}

fn detector() -> Detector {
    Detector::new(Settings::default())
}

/// Counts and states of what was told, in order.
fn told(findings: &[Finding]) -> Vec<(FindingState, u64, u64)> {
    findings.iter().map(|finding| (finding.state, finding.count, finding.count_new)).collect()
}

#[test]
fn five_hundred_denied_flows_are_one_finding() {
    let mut detector = detector();
    let mut all = Vec::new();
    for n in 0..500 {
        all.extend(detector.flow(&flow(1000 + n, denied_by(&["db", "deny"])), at(1), &World));
        let end = closed(flow(1000 + n, denied_by(&["db", "deny"])), 3, 4);
        assert_eq!(detector.flow(&end, at(2), &World), None);
    }
    assert_eq!(told(&all), [(FindingState::New, 1, 1)]);
    all.extend(detector.expire(60 * SECOND));
    all.extend(detector.expire(61 * SECOND));
    all.extend(detector.expire(3600 * SECOND));
    all.extend(detector.expire(3601 * SECOND));
    assert_eq!(
        told(&all),
        [(FindingState::New, 1, 1), (FindingState::Ongoing, 500, 499), (FindingState::Ended, 500, 0)]
    );
    let last = all.last().unwrap();
    assert_eq!(last.title, "shop/Deployment/api → shop/Deployment/db:5432 TCP: denied by policy intent");
    assert_eq!(last.reason, "isolated by NetworkPolicy/shop/db, NetworkPolicy/shop/deny");
    assert_eq!((last.bytes, last.failed, last.namespace()), (Some(3500), 0, "shop"));
    let policy = last.policy.as_ref().unwrap();
    assert_eq!((policy.direction, policy.isolating.len()), (Some(Direction::Ingress), 2));
    assert_eq!(policy.nearest.as_ref().unwrap().differs, "port but not peer");
    assert_eq!(last.example.as_ref().unwrap().cookie, Some(1000));
    assert_eq!((last.first, last.last), (at(1).wall, at(1).wall));
    assert_eq!(detector.open(), 0);
}

#[test]
fn what_goes_on_is_told_ever_more_rarely() {
    let mut detector = detector();
    let mut told_at = Vec::new();
    for second in 0..100_000 {
        let first = detector.flow(&flow(1, denied_by(&["deny"])), at(second), &World);
        if first.is_some() || !detector.expire(second * SECOND).is_empty() {
            told_at.push(second);
        }
    }
    assert_eq!(told_at[..7], [0, 60, 180, 420, 900, 1860, 3780]);
    let gaps: Vec<_> = told_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.iter().max(), Some(&3600));
    let last = detector.finish();
    assert_eq!((last.len(), last[0].count), (1, 100_000));
}

#[test]
fn both_ends_of_a_connection_are_one_flow() {
    let mut detector = detector();
    let client = flow(1, denied_by(&["deny"]));
    let server = FlowRecord { side: Side::Server, ..client.clone() };
    for (record, second) in [
        (&client, 1),
        (&server, 1),
        // The same again: the port is used for another connection, whose server is told of first.
        (&server, 2),
        (&client, 2),
        // Two whose ends come one after the other.
        (&client, 3),
        (&client, 3),
        (&server, 3),
        (&server, 3),
        // One without its other end, and later the other end of another one.
        (&client, 4),
        (&server, 4 + PAIRING_NS / SECOND),
    ] {
        detector.flow(record, at(second), &World);
        detector.flow(&closed(record.clone(), 1, 1), at(second), &World);
    }
    let last = detector.finish();
    assert_eq!(told(&last), [(FindingState::Ended, 6, 5)]);
    assert_eq!(last[0].bytes, Some(12));
}

#[test]
fn what_is_not_certain_makes_no_finding() {
    let mut detector = detector();
    for record in [
        flow(1, unknown()),
        flow(2, allowed_by("db")),
        FlowRecord { stage: FlowStage::Found, origin: Origin::BeforeStart, ..flow(3, denied_by(&["deny"])) },
        FlowRecord { direction_guessed: true, ..flow(4, denied_by(&["deny"])) },
        FlowRecord {
            judgement: Judgement { stale_window: true, ..Judgement::default() },
            ..flow(7, denied_by(&["deny"]))
        },
        FlowRecord { stage: FlowStage::Update, ..flow(5, denied_by(&["deny"])) },
        FlowRecord { stage: FlowStage::Dropped, ..flow(6, denied_by(&["deny"])) },
    ] {
        assert_eq!(detector.flow(&record, at(1), &World), None, "{record:?}");
        assert_eq!(detector.candidate(&record, &unknown(), at(1), &World), None, "{record:?}");
    }
    assert_eq!(detector.finish(), []);
    let withheld = detector.withheld();
    assert_eq!((withheld.before_start, withheld.direction_guessed, withheld.stale_window), (1, 1, 1));
}

#[test]
fn gaps_in_coverage_are_told_where_somebody_has_begun() {
    let elsewhere = |namespace: &str| FlowRecord {
        client: end("10.0.0.9:1", &format!("{namespace}/x")),
        server: end("10.0.0.8:80", &format!("{namespace}/y")),
        ..flow(1, not_covered())
    };
    let outward = FlowRecord {
        server: EndpointView { pod: None, kind: "world", ..end("203.0.113.9:443", "a/b") },
        ..flow(2, not_covered())
    };
    let told = |settings: Settings, record: &FlowRecord| {
        Detector::new(settings).flow(record, at(1), &World).map(|finding| {
            assert_eq!(finding.kind, FindingKind::UncoveredFlow);
            finding.policy.unwrap().direction.unwrap()
        })
    };
    let of = |namespace: &str, when| Settings {
        uncovered_flow_of: [(namespace.to_owned(), when)].into(),
        ..Settings::default()
    };
    for (settings, record, expected) in [
        (Settings::default(), flow(1, not_covered()), Some(Direction::Ingress)),
        (Settings::default(), outward.clone(), Some(Direction::Egress)),
        (Settings::default(), elsewhere("other"), None),
        (of("other", When::Always), elsewhere("other"), Some(Direction::Ingress)),
        (of("shop", When::Never), flow(1, not_covered()), None),
        (Settings { uncovered_flow: When::Never, ..Settings::default() }, flow(1, not_covered()), None),
        (
            Settings { uncovered_flow: When::Always, ..Settings::default() },
            elsewhere("other"),
            Some(Direction::Ingress),
        ),
    ] {
        assert_eq!(told(settings, &record), expected, "{record:?}");
    }
    let title = Detector::new(Settings::default()).flow(&outward, at(1), &World).unwrap().title;
    assert_eq!(title, "shop/Deployment/api → world 203.0.113.0/24:443 TCP: no policy covers it");
}

#[test]
fn a_scan_by_one_source_leaves_room_for_others() {
    let mut detector = detector();
    let ports = 2 * ROLL_UPS_OF_SOURCE_MAX as u16;
    let mut first = Vec::new();
    for port in 1..=ports {
        let server = end(&format!("10.0.0.2:{port}"), "shop/db");
        let record = FlowRecord { server, stage: FlowStage::Failed, ..flow(port, denied_by(&["deny"])) };
        first.extend(detector.flow(&record, at(1), &World));
    }
    assert_eq!(first.len(), ROLL_UPS_OF_SOURCE_MAX + 1);
    let overflow = first.last().unwrap();
    assert!(overflow.overflow && overflow.source.is_none(), "{overflow:?}");
    let other = FlowRecord { client: end("10.0.0.7:1", "shop/other"), ..flow(1, denied_by(&["deny"])) };
    assert!(!detector.flow(&other, at(1), &World).unwrap().overflow);
    let all = detector.finish();
    assert_eq!(all.iter().map(|finding| finding.count).sum::<u64>(), u64::from(ports) + 1);
    assert_eq!(all.iter().map(|finding| finding.failed).sum::<u64>(), u64::from(ports));
    assert_eq!(detector.overflowed(), ROLL_UPS_OF_SOURCE_MAX as u64);
}

#[test]
fn ids_are_the_same_in_another_agent_and_differ_by_what_differs() {
    let id = |record: &FlowRecord| detector().flow(record, at(1), &World).unwrap().id;
    let base = flow(1, denied_by(&["deny"]));
    assert_eq!(id(&base), id(&flow(2, denied_by(&["deny"]))));
    assert_eq!(id(&base).len(), 16);
    let others = [
        flow(1, denied_by(&["deny", "db"])),
        flow(1, Verdict::combine(SideVerdict::NotCovered, SideVerdict::DenyRule { rule: rule("deny") })),
        flow(1, not_covered()),
        FlowRecord { protocol: Protocol::Udp, ..base.clone() },
        FlowRecord { client: end("10.0.0.1:1", "shop/web"), ..base.clone() },
        FlowRecord { server: end("10.0.0.2:80", "shop/db"), ..base.clone() },
    ];
    let ids: std::collections::BTreeSet<_> = others.iter().chain([&base]).map(id).collect();
    assert_eq!(ids.len(), others.len() + 1);
}

#[test]
fn a_rule_that_denies_is_named_with_its_place() {
    let rule = rule("deny");
    let verdict = Verdict::combine(
        SideVerdict::DenyDefault { isolating: Arc::from([policy("out")]) },
        SideVerdict::DenyRule { rule },
    );
    let finding = detector().flow(&flow(1, verdict), at(1), &World).unwrap();
    assert_eq!(finding.reason, "NetworkPolicy/shop/deny spec.ingress[0] from[1]");
    let policy = finding.policy.unwrap();
    assert_eq!(policy.rule.unwrap().path, "spec.ingress[0] from[1]");
    assert_eq!((policy.nearest, policy.isolating), (None, Vec::new()));
    assert_eq!(policy.also.as_deref(), Some("egress: isolated by NetworkPolicy/shop/out"));
}

#[test]
fn candidates_are_compared_with_what_is_in_force() {
    let mut detector = detector();
    detector.candidates_changed(at(0).wall, vec![policy("candidate-deny")]);
    let verdicts = [
        (allowed_by("db"), denied_by(&["candidate-deny", "db"]), Some(CandidateEffect::WouldBreak)),
        (not_covered(), denied_by(&["candidate-deny"]), Some(CandidateEffect::WouldBreak)),
        (denied_by(&["deny"]), allowed_by("candidate-open"), Some(CandidateEffect::WouldOpen)),
        (not_covered(), allowed_by("candidate-open"), Some(CandidateEffect::WouldCover)),
        (allowed_by("db"), not_covered(), Some(CandidateEffect::WouldUncover)),
        (denied_by(&["deny"]), denied_by(&["candidate-deny", "deny"]), None),
        (allowed_by("db"), allowed_by("candidate-open"), None),
        (unknown(), denied_by(&["candidate-deny"]), None),
        (allowed_by("db"), unknown(), None),
    ];
    for (port, (live, with, effect)) in (1..).zip(verdicts) {
        let client = flow(port, live);
        let server = FlowRecord { side: Side::Server, ..client.clone() };
        let finding = detector.candidate(&client, &with, at(1), &World);
        assert_eq!(detector.candidate(&server, &with, at(1), &World), None);
        let policy = finding.map(|finding| finding.policy.unwrap());
        assert_eq!(policy.as_ref().and_then(|policy| policy.effect), effect, "{with:?}");
        if let Some(policy) = policy {
            assert_eq!((policy.previous, policy.outcome), (Some(client.verdict.outcome), Some(with.outcome)));
            let is_named = policy.candidates.iter().all(|policy| policy.name.starts_with("candidate"));
            assert!(is_named, "{policy:?}");
        }
    }
    let report = detector.candidate_report();
    assert_eq!((report.would_break, report.would_open), (2, 1));
    assert_eq!((report.would_cover, report.would_uncover), (1, 1));
    assert_eq!((report.unchanged, report.unknown, report.not_told), (2, 2, 0));
    let differences = report.differences();
    assert_eq!(differences.len(), 5);
    assert_eq!(differences[0].effect, CandidateEffect::WouldBreak);
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["differences"].as_array().unwrap().len(), 5, "{json}");
    detector.candidates_changed(at(2).wall, Vec::new());
    assert_eq!(detector.candidate_report().would_break, 0);
}
