//! Verdicts in time: by the policies of the start, by those that come, and by what becomes known.

use std::net::SocketAddr;

use watchfire_inventory::{Change, Object, ObjectKey, PolicyObject, ResourceKind, Source, SourceBatch};
use watchfire_model::{Dialect, DnsAnswer, Flow, FlowEnd, FlowRecord, FlowStage, MeshWord, Origin, TlsView};

use super::*;
use crate::pipeline::open_flows::Hello;
use crate::pipeline::rejudge::CHANGED_AT_ONCE_MAX;

const S: u64 = 1_000_000_000;

fn at(boot_ns: u64) -> Moment {
    Moment { boot_ns, timebase: Timebase { boot_epoch_ns: 0 } }
}

fn object(kind: ResourceKind, name: &str, spec: &str) -> Change {
    let api_version = kind.api_version(kind.versions()[0]);
    let text = format!(
        r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{"name":"{name}","namespace":"shop"}},"spec":{spec}}}"#
    );
    Change::Apply(Box::new(Object::Policy(PolicyObject {
        kind,
        key: key(name),
        value: serde_json::from_str(&text).unwrap(),
    })))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { namespace: "shop".to_owned(), name: name.to_owned(), uid: String::new() }
}

fn deny() -> Change {
    object(ResourceKind::NetworkPolicy, "deny", r#"{"podSelector":{},"policyTypes":["Ingress"]}"#)
}

fn allow() -> Change {
    Change::Delete(ResourceKind::NetworkPolicy, key("deny"))
}

fn tell(stages: &mut Stages, change: Change, boot_ns: u64) {
    stages.knowledge.take(SourceBatch { source: Source::Api, changes: vec![change] }, at(boot_ns));
    stages.knowledge.settle(at(boot_ns));
    assert!(!stages.knowledge.is_unsettled());
}

/// Everything that is told until all flows have been judged again.
fn rejudged(stages: &mut Stages) -> Vec<FlowRecord> {
    let mut records = Vec::new();
    stages.rejudge(later(stages), &mut records);
    while stages.is_unsettled() {
        stages.rejudge(later(stages), &mut records);
    }
    flows_of(records)
}

/// Late enough for the next walk.
fn later(stages: &Stages) -> Instant {
    Instant::now() + Duration::from_secs(3600) * u32::try_from(stages.rejudging.counts().passes).unwrap()
}

fn flows_of(records: Vec<Record>) -> Vec<FlowRecord> {
    let flows = records.into_iter().filter_map(|record| match record.body {
        RecordBody::Flow(flow) => Some(*flow),
        _ => None,
    });
    flows.collect()
}

fn opened(boot_ns: u64) -> Flow {
    Flow { cookie: boot_ns, opened_boot_ns: boot_ns, ..flow() }
}

#[test]
fn an_open_flow_whose_verdict_changes_says_so_and_ends_with_that_of_its_start() {
    let mut stages = stages("");
    let open = take_flow(&mut stages, Body::FlowOpen(opened(S)));
    assert_eq!((open.verdict.outcome, open.judgement.policy_epoch), (Outcome::NotCovered, 1));
    assert!(!open.judgement.stale_window);
    assert_eq!(rejudged(&mut stages), []);

    tell(&mut stages, deny(), 100 * S);
    let [denied] = &rejudged(&mut stages)[..] else { panic!("one flow changed") };
    assert_eq!(
        (denied.stage, denied.verdict.outcome, denied.cookie),
        (FlowStage::VerdictChanged, Outcome::Denied, S)
    );
    assert_eq!(denied.because, "isolated by NetworkPolicy/shop/deny");
    assert_eq!((denied.judgement.policy_epoch, denied.judgement.dialect), (2, Dialect::K8s));
    let previous = denied.judgement.previous.as_deref().unwrap();
    assert_eq!((previous.policy_epoch, previous.verdict.outcome), (1, Outcome::NotCovered));
    assert_eq!((denied.opened, denied.side, denied.netns), (open.opened, open.side, open.netns));
    assert_eq!((&denied.client, &denied.server), (&open.client, &open.server));

    tell(&mut stages, object(ResourceKind::NetworkPolicy, "deny", r#"{"podSelector":{}}"#), 200 * S);
    assert_eq!(rejudged(&mut stages), [], "another policy with the same outcome");
    tell(&mut stages, allow(), 300 * S);
    let [allowed] = &rejudged(&mut stages)[..] else { panic!("one flow changed") };
    let previous = allowed.judgement.previous.as_deref().unwrap();
    assert_eq!((previous.policy_epoch, previous.verdict.outcome), (2, Outcome::Denied));
    tell(&mut stages, deny(), 400 * S);
    assert_eq!(rejudged(&mut stages).len(), 1);

    let close = take_flow(&mut stages, Body::FlowClose(opened(S), end(true)));
    assert_eq!((close.verdict.outcome, close.judgement.policy_epoch), (Outcome::NotCovered, 1));
    let now = close.judgement.verdict_now.unwrap();
    assert_eq!((now.policy_epoch, now.verdict.outcome), (5, Outcome::Denied));
    let counts = stages.rejudging.counts();
    assert_eq!((counts.changed, counts.passes), (3, 5));
}

#[test]
fn a_flow_that_is_told_late_is_judged_by_what_was_in_force_and_then_by_what_is() {
    let mut stages = stages("");
    tell(&mut stages, deny(), 10 * S);
    rejudged(&mut stages);
    let mut records = Vec::new();
    let body = Body::FlowOpen(opened(10 * S - 1));
    stages.take(Observation { boot_ns: 11 * S, body }, &mut records);
    let flows = flows_of(records);
    let told: Vec<_> =
        flows.iter().map(|flow| (flow.stage, flow.verdict.outcome, flow.judgement.policy_epoch)).collect();
    assert_eq!(
        told,
        [(FlowStage::Open, Outcome::NotCovered, 1), (FlowStage::VerdictChanged, Outcome::Denied, 2)]
    );
    assert_eq!(rejudged(&mut stages), [], "it was already");
    let found = Flow { origin: Origin::BeforeStart, ..opened(1) };
    let found = take_flow(&mut stages, Body::FlowOpen(found));
    assert_eq!((found.verdict.outcome, found.judgement.policy_epoch), (Outcome::Denied, 2));
}

#[test]
fn a_flow_that_begins_near_to_a_change_is_marked() {
    let mut stages = stages("");
    tell(&mut stages, deny(), 100 * S);
    for (second, marked) in [(94, false), (95, true), (100, true), (105, true), (106, false)] {
        let mut records = Vec::new();
        let body = Body::FlowOpen(opened(second * S));
        stages.take(Observation { boot_ns: second * S, body }, &mut records);
        let flows = flows_of(records);
        assert!(flows.iter().all(|flow| flow.judgement.stale_window == marked), "{second}");
    }
    // A change that comes after the start marks what is told later.
    tell(&mut stages, allow(), 110 * S);
    rejudged(&mut stages);
    let close = take_flow(&mut stages, Body::FlowClose(opened(106 * S), end(true)));
    assert!(close.judgement.stale_window);
}

#[test]
fn flows_of_others_are_not_judged_again() {
    let mut stages = stages("");
    stages.take(Observation { boot_ns: S, body: Body::FlowOpen(opened(S)) }, &mut Vec::new());
    rejudged(&mut stages);
    let spec = r#"{"podSelector":{},"policyTypes":["Ingress"]}"#;
    let Change::Apply(mut elsewhere) = object(ResourceKind::NetworkPolicy, "deny", spec) else { panic!() };
    if let Object::Policy(policy) = &mut *elsewhere {
        policy.key.namespace = "elsewhere".to_owned();
        policy.value["metadata"]["namespace"] = "elsewhere".into();
    }
    let judged = stages.rejudging.counts().judged;
    tell(&mut stages, Change::Apply(elsewhere), 100 * S);
    assert_eq!(rejudged(&mut stages), []);
    assert_eq!(stages.rejudging.counts().judged, judged);
    tell(&mut stages, deny(), 101 * S);
    assert_eq!(rejudged(&mut stages).len(), 1);
    assert_eq!(stages.rejudging.counts().judged, judged + 1);
}

#[test]
fn many_flows_are_judged_again_in_parts_and_all_of_them() {
    let mut stages = stages("");
    let flows = 2 * CHANGED_AT_ONCE_MAX as u64 + 3;
    for cookie in 1..=flows {
        let flow = Flow { cookie, ..opened(S) };
        stages.take(Observation { boot_ns: S, body: Body::FlowOpen(flow) }, &mut Vec::new());
    }
    rejudged(&mut stages);
    tell(&mut stages, deny(), 100 * S);
    let mut records = Vec::new();
    stages.rejudge(later(&stages), &mut records);
    assert_eq!(flows_of(records).len(), CHANGED_AT_ONCE_MAX);
    assert!(stages.rejudging.is_walking());
    // While the rest waits, policies change back: whoever was told of is told of again, and nobody else.
    tell(&mut stages, allow(), 101 * S);
    let told = rejudged(&mut stages);
    assert_eq!(told.len(), CHANGED_AT_ONCE_MAX);
    assert!(told.iter().all(|flow| flow.verdict.outcome == Outcome::NotCovered));
    let counters = stages.memory.cache().counters();
    assert!(counters.hits > 4 * counters.misses, "{counters:?}");
}

#[test]
fn an_answer_of_dns_decides_whether_a_name_is_meant() {
    let mut stages = stages("");
    let spec = r#"{"endpointSelector":{},"egress":[{"toFQDNs":[{"matchName":"api.example"}]}]}"#;
    tell(&mut stages, object(ResourceKind::CiliumNetworkPolicy, "names", spec), 10 * S);
    let to_world = |second: u64| Flow { server: "198.51.100.7:443".parse().unwrap(), ..opened(second * S) };
    let outcome = |stages: &mut Stages, second| {
        let flow = take_flow(stages, Body::FlowOpen(to_world(second)));
        assert_eq!(flow.judgement.dialect, Dialect::Cilium);
        (flow.verdict.outcome, flow.because)
    };
    assert_eq!(outcome(&mut stages, 20), (Outcome::Unknown, "names of the address not known".to_owned()));
    let learn = |stages: &mut Stages, name: &str| {
        let answer = DnsAnswer {
            name: name.to_owned(),
            record_type: "A".into(),
            ttl: 60,
            data: Some("198.51.100.7".to_owned()),
        };
        stages.names.learn(name, &[answer], 20 * S);
    };
    learn(&mut stages, "other.example");
    assert_eq!(outcome(&mut stages, 21).0, Outcome::Denied);
    learn(&mut stages, "API.example");
    let (allowed, because) = outcome(&mut stages, 22);
    assert_eq!(allowed, Outcome::Allowed);
    assert!(because.starts_with("CiliumNetworkPolicy/shop/names egress[0]"), "{because}");
    assert_eq!(stages.memory.cache().counters().unkept, 3);
}

#[test]
fn the_mesh_has_its_own_say_by_what_is_seen_of_the_connection() {
    let mut stages = stages("").with_tls_ports([5432].into());
    stages.client_hellos_watched(1);
    let take = |stages: &mut Stages, body| {
        let mut records = Vec::new();
        stages.take(Observation { boot_ns: 20 * S, body }, &mut records);
        flows_of(records)
    };
    assert_eq!(take_flow(&mut stages, Body::FlowOpen(opened(S))).judgement.mesh, None);
    tell(&mut stages, object(ResourceKind::PeerAuthentication, "m", r#"{"mtls":{"mode":"STRICT"}}"#), 10 * S);
    let [changed] = &rejudged(&mut stages)[..] else { panic!("one flow changed") };
    assert_eq!(changed.judgement.previous.as_deref().unwrap().mesh, None);
    assert_eq!(changed.judgement.mesh.as_ref().unwrap().verdict, MeshWord::Unknown);

    let word = |flow: &FlowRecord| flow.judgement.mesh.as_ref().map(|mesh| mesh.verdict);
    let tls = |alpn: &str| {
        let view = TlsView { alpn: vec![alpn.to_owned()], ..TlsView::default() };
        Hello::Seen(Arc::new(view))
    };
    let tunnel: SocketAddr = "10.1.0.3:15008".parse().unwrap();
    for (number, (hello, server, expected)) in [
        (Hello::NotSeen, flow().server, Some(MeshWord::Unknown)),
        (tls("h2"), flow().server, Some(MeshWord::Unknown)),
        (tls("istio-peer-exchange"), flow().server, None),
        (Hello::NotSeen, tunnel, None),
    ]
    .into_iter()
    .enumerate()
    {
        let flow = Flow { server, ..opened((20 + number as u64) * S) };
        take(&mut stages, Body::FlowOpen(flow));
        stages.flows.set_hello(&flow, hello);
        let [close] = &take(&mut stages, Body::FlowClose(flow, end(true)))[..] else { panic!() };
        assert_eq!(word(close), expected, "{number}");
        assert_eq!(close.verdict.outcome, Outcome::NotCovered);
    }

    // Plaintext is found out when nothing was lost for long enough.
    let flow = opened(50 * S);
    take(&mut stages, Body::FlowOpen(flow));
    let counters = FlowCounters { bytes_sent: 4, ..FlowCounters::default() };
    assert_eq!(take(&mut stages, Body::FlowClose(flow, FlowEnd { counters, ..end(true) })), []);
    let mut records = Vec::new();
    stages.finish(&mut records);
    let [close] = &flows_of(records)[..] else { panic!() };
    assert_eq!((close.plaintext, word(close)), (true, Some(MeshWord::DenyPlaintext)));
}

/// `cargo test --release -p watchfire all_open_flows -- --nocapture` prints figures of this machine.
#[test]
fn all_open_flows_are_judged_again_in_short_parts() {
    const FLOWS: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    const PODS: u64 = 400;
    const POLICIES: u64 = 200;
    let address = |pod: u64| format!("10.1.{}.{}", 1 + pod / 200, 1 + pod % 200);
    let pod = |pod: u64| {
        let app = pod % 40;
        format!("- {{namespace: shop, name: p{pod}, labels: {{app: a{app}}}, ips: [{}]}}\n", address(pod))
    };
    let pods: String = (0..PODS).map(pod).collect();
    let mut stages = stages_of(&format!("clusterCIDRs: [10.1.0.0/16]\npods:\n{pods}"), "");
    let policy = |number: u64, from: u64| {
        let spec = format!(
            r#"{{"podSelector":{{"matchLabels":{{"app":"a{}"}}}},"ingress":[{{"from":[{{"podSelector":{{"matchLabels":{{"app":"a{from}"}}}}}}],"ports":[{{"port":80}}]}}]}}"#,
            number % 40
        );
        object(ResourceKind::NetworkPolicy, &format!("n{number}"), &spec)
    };
    for number in 0..POLICIES {
        stages.knowledge.take(
            SourceBatch { source: Source::Api, changes: vec![policy(number, (number * 7) % 40)] },
            at(S),
        );
    }
    stages.knowledge.settle(at(S));
    for cookie in 1..=FLOWS {
        let socket = |pod: u64, port| SocketAddr::new(address(pod).parse().unwrap(), port);
        let flow = Flow {
            cookie,
            client: socket((cookie * 13) % PODS, 40_000),
            server: socket((cookie * 31 + 7) % PODS, 80),
            ..opened(100 * S)
        };
        stages.take(Observation { boot_ns: 100 * S, body: Body::FlowOpen(flow) }, &mut Vec::new());
    }
    rejudged(&mut stages);
    let before = stages.rejudging.counts();

    for (what, from) in [("one policy that changes no verdict", 1), ("one policy of 200", 2)] {
        // The first says the same in other words.
        let number = if from == 1 { POLICIES } else { 0 };
        tell(&mut stages, policy(number, if from == 1 { 0 } else { 39 }), (200 + from) * S);
        let (mut parts, mut longest, mut records) = (0, Duration::ZERO, Vec::new());
        let begun = Instant::now();
        loop {
            let part = Instant::now();
            stages.rejudge(later(&stages), &mut records);
            longest = longest.max(part.elapsed());
            parts += 1;
            if !stages.is_unsettled() {
                break;
            }
        }
        let changed = records.len();
        println!(
            "{what}: {FLOWS} flows in {:?}, {parts} parts, the longest {longest:?}, {changed} changed",
            begun.elapsed()
        );
    }
    let after = stages.rejudging.counts();
    assert_eq!((after.judged - before.judged, after.passes - before.passes), (2 * FLOWS, 2));
}

#[test]
fn nothing_is_known_before_the_cluster_has_told_its_policies() {
    let mut stages = stages("");
    stages.knowledge.await_policies();
    let early = take_flow(&mut stages, Body::FlowOpen(opened(S)));
    assert_eq!(early.because, "policies of the cluster not known");
    assert_eq!((early.verdict.outcome, early.judgement.policy_epoch), (Outcome::Unknown, 1));

    // A part of a list is no set, and lists of other kinds say nothing of this one.
    for change in [
        Change::Absent(ResourceKind::AdminNetworkPolicy),
        Change::ListBegins(ResourceKind::NetworkPolicy),
        deny(),
    ] {
        tell(&mut stages, change, 2 * S);
    }
    let unknown = take_flow(&mut stages, Body::FlowOpen(opened(3 * S)));
    assert_eq!(unknown.verdict.outcome, Outcome::Unknown);

    tell(&mut stages, Change::ListEnds(ResourceKind::NetworkPolicy), 4 * S);
    let changed = rejudged(&mut stages);
    assert_eq!(changed.len(), 2);
    for flow in &changed {
        let before = flow.judgement.previous.as_ref().unwrap();
        assert_eq!((before.verdict.outcome, flow.verdict.outcome), (Outcome::Unknown, Outcome::Denied));
        // Nothing has changed but what is known.
        assert!(!flow.judgement.stale_window);
    }
    // Also of a flow that began before, and is told of late.
    for second in [2, 5] {
        let late = take_flow(&mut stages, Body::FlowOpen(opened(second * S)));
        assert_eq!((late.verdict.outcome, late.judgement.stale_window), (Outcome::Denied, false));
    }

    // Lists that are told again take nothing back.
    for change in
        [Change::ListBegins(ResourceKind::NetworkPolicy), Change::Absent(ResourceKind::NetworkPolicy)]
    {
        tell(&mut stages, change, 20 * S);
    }
    let last = take_flow(&mut stages, Body::FlowOpen(opened(40 * S)));
    assert_eq!(last.verdict.outcome, Outcome::NotCovered);
}

#[test]
fn a_cluster_without_policies_is_known_once_it_has_said_so() {
    let mut stages = stages("");
    stages.knowledge.await_policies();
    tell(&mut stages, Change::ListBegins(ResourceKind::NetworkPolicy), S);
    tell(&mut stages, Change::ListEnds(ResourceKind::NetworkPolicy), S);
    let flow = take_flow(&mut stages, Body::FlowOpen(opened(2 * S)));
    assert_eq!((flow.verdict.outcome, flow.judgement.stale_window), (Outcome::NotCovered, false));
}
