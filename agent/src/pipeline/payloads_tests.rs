//! DNS, TLS and plaintext on their way to records.

use watchfire_model::{Body, DnsRecord, Flow, FlowEnd, FlowRecord, FlowStage, Origin, Payload, PayloadKind};

use super::super::plaintext::{HELD_MAX, LOSSES_TOLD_NS};
use super::super::queries::ANSWER_TIMEOUT_NS;
use super::*;

const MS: u64 = 1_000_000;

fn dns_flow() -> Flow {
    Flow { protocol: Protocol::Udp, server: "192.0.2.53:53".parse().unwrap(), ..flow() }
}

/// A DNS message about `name`, with addresses where it is an answer.
fn dns_message(id: u16, name: &str, answers: Option<&[[u8; 4]]>) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    let count = answers.map_or(0, <[_]>::len) as u8;
    bytes.extend([if answers.is_some() { 0x81 } else { 1 }, 0, 0, 1, 0, count, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    for address in answers.unwrap_or_default() {
        bytes.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04");
        bytes.extend(address);
    }
    bytes
}

fn payload(flow: Flow, kind: PayloadKind, sent: bool, bytes: Vec<u8>) -> Body {
    let whole_bytes = bytes.len() as u32;
    Body::Payload(Box::new(Payload { flow, kind, sent, bytes, whole_bytes, sequence: 0 }))
}

fn take_at(stages: &mut Stages, boot_ns: u64, body: Body) -> Vec<Record> {
    let mut records = Vec::new();
    stages.take(Observation { boot_ns, body }, &mut records);
    records
}

fn tick(stages: &mut Stages, idle_ns: u64) -> Vec<Record> {
    let mut records = Vec::new();
    stages.tick(Duration::from_nanos(idle_ns), &mut records);
    records
}

fn only_dns(mut records: Vec<Record>) -> (u64, DnsRecord) {
    assert_eq!(records.len(), 1, "{records:?}");
    match records.remove(0) {
        Record { boot_ns, body: RecordBody::Dns(dns), .. } => (boot_ns, *dns),
        other => panic!("{other:?}"),
    }
}

fn only_flow(mut records: Vec<Record>) -> FlowRecord {
    assert_eq!(records.len(), 1, "{records:?}");
    match records.remove(0).body {
        RecordBody::Flow(flow) => *flow,
        other => panic!("{other:?}"),
    }
}

fn dns(stages: &mut Stages, boot_ns: u64, sent: bool, bytes: Vec<u8>) -> Vec<Record> {
    take_at(stages, boot_ns, payload(dns_flow(), PayloadKind::Dns, sent, bytes))
}

#[test]
fn a_query_and_its_answer_are_one_record_with_who_asked() {
    let mut stages = stages("");
    take(&mut stages, exec(2, &["/bin/curl"], false));
    assert!(dns(&mut stages, 10 * MS, true, dns_message(7, "db.Example", None)).is_empty());
    assert_eq!(stages.queries.len(), 1);
    let answer = dns_message(7, "DB.example", Some(&[[192, 0, 2, 7]]));
    let (boot_ns, record) = only_dns(dns(&mut stages, 12 * MS, false, answer.clone()));
    assert_eq!((boot_ns, record.latency_us, record.rcode.as_deref()), (12 * MS, Some(2000), Some("NOERROR")));
    assert_eq!((record.id, record.query.as_str(), &*record.query_type), (7, "db.Example", "A"));
    assert_eq!(record.answers[0].data.as_deref(), Some("192.0.2.7"));
    assert_eq!(&*record.client.pod.unwrap().name, "frontend");
    assert_eq!((record.server.kind, record.protocol), ("world", Protocol::Udp));
    assert_eq!(&*record.process.unwrap().binary, "/bin/curl");
    assert_eq!(stages.queries.len(), 0);

    // A second answer has no query any more.
    let (_, again) = only_dns(dns(&mut stages, 13 * MS, false, answer));
    assert_eq!((again.latency_us, again.rcode.as_deref()), (None, Some("NOERROR")));
    assert_eq!(stages.payloads, PayloadCounts::default());
}

#[test]
fn a_query_without_an_answer_is_told_after_a_while_though_nothing_else_happens() {
    let mut stages = stages("");
    dns(&mut stages, 10 * MS, true, dns_message(7, "db.example", None));
    assert!(tick(&mut stages, ANSWER_TIMEOUT_NS - 1).is_empty());
    let (boot_ns, record) = only_dns(tick(&mut stages, ANSWER_TIMEOUT_NS));
    assert_eq!((boot_ns, record.query.as_str()), (10 * MS, "db.example"));
    assert_eq!((record.rcode, record.latency_us, record.answers.len()), (None, None, 0));
    assert!(tick(&mut stages, u64::MAX).is_empty());
}

#[test]
fn over_tcp_several_messages_may_come_at_once() {
    let mut stages = stages("");
    let framed = |name: &str, answers: Option<&[[u8; 4]]>| {
        let message = dns_message(name.len() as u16, name, answers);
        [&(message.len() as u16).to_be_bytes(), &message[..]].concat()
    };
    let flow = Flow { protocol: Protocol::Tcp, ..dns_flow() };
    let queries = [framed("a.example", None), framed("bb.example", None)].concat();
    assert!(take_at(&mut stages, 5, payload(flow, PayloadKind::Dns, true, queries)).is_empty());
    let answers = [framed("bb.example", Some(&[])), framed("a.example", Some(&[]))].concat();
    let records = take_at(&mut stages, 6, payload(flow, PayloadKind::Dns, false, answers));
    let names: Vec<_> = records.into_iter().map(|record| only_dns(vec![record]).1.query).collect();
    assert_eq!(names, ["bb.example", "a.example"]);
}

#[test]
fn an_answer_longer_than_its_copy_says_so() {
    let mut stages = stages("");
    dns(&mut stages, 5, true, dns_message(7, "db.example", None));
    let whole = dns_message(7, "db.example", Some(&[[192, 0, 2, 7], [192, 0, 2, 8]]));
    let (bytes, whole_bytes) = (whole[..whole.len() - 1].to_vec(), whole.len() as u32);
    let cut =
        Payload { flow: dns_flow(), kind: PayloadKind::Dns, sent: false, bytes, whole_bytes, sequence: 0 };
    let (_, record) = only_dns(take_at(&mut stages, 6, Body::Payload(Box::new(cut))));
    assert_eq!((record.truncated, record.answers.len(), record.latency_us), (true, 1, Some(0)));
}

#[test]
fn what_is_no_dns_is_counted_and_what_others_tell_is_left_to_them() {
    let mut stages = stages("");
    for (sent, bytes) in [
        (true, b"hello".to_vec()),
        (true, vec![0; 12]),
        // Each goes the wrong way.
        (true, dns_message(7, "db.example", Some(&[]))),
        (false, dns_message(7, "db.example", None)),
    ] {
        assert!(dns(&mut stages, 5, sent, bytes).is_empty());
    }
    assert_eq!((stages.payloads.malformed_dns, stages.queries.len()), (4, 0));
    let at_server = Flow { side: Side::Server, ..dns_flow() };
    let query = dns_message(7, "db.example", None);
    assert!(take_at(&mut stages, 5, payload(at_server, PayloadKind::Dns, false, query)).is_empty());
    let mut update = dns_message(7, "db.example", None);
    update[2] = 5 << 3;
    assert!(dns(&mut stages, 5, true, update).is_empty());
    assert_eq!((stages.payloads.malformed_dns, stages.queries.len()), (4, 0));
}

#[test]
fn names_that_were_asked_for_stand_at_the_end_that_is_not_observed() {
    let mut stages = stages("");
    let answer = || dns_message(7, "DB.example", Some(&[[10, 1, 0, 3]]));
    // Nobody asked: nothing is learnt from it.
    dns(&mut stages, 5, false, answer());
    assert!(take_flow(&mut stages, Body::FlowOpen(Flow { cookie: 1, ..flow() })).server.names.is_empty());
    dns(&mut stages, 5, true, dns_message(7, "DB.example", None));
    dns(&mut stages, 6, false, answer());
    let open = take_flow(&mut stages, Body::FlowOpen(flow()));
    assert_eq!((open.client.names.len(), open.server.names), (0, vec![Arc::from("db.example")]));
    let close = take_flow(&mut stages, Body::FlowClose(flow(), end(true)));
    assert_eq!(close.server.names, [Arc::from("db.example")]);
    let accepted = Flow { side: Side::Server, ..flow() };
    let open = take_flow(&mut stages, Body::FlowOpen(accepted));
    assert_eq!((open.client.names.len(), open.server.names.len()), (0, 0));
}

#[test]
fn flows_have_a_community_id() {
    let mut stages = stages("");
    let published = Flow {
        client: "128.232.110.120:34855".parse().unwrap(),
        server: "66.35.250.204:80".parse().unwrap(),
        ..flow()
    };
    let record = take_flow(&mut stages, Body::FlowOpen(published));
    assert_eq!(record.community_id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

/// A `ClientHello` without extensions.
fn client_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    [&[22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8][..], &body].concat()
}

fn tls_flow() -> Flow {
    Flow { server: "10.1.0.3:443".parse().unwrap(), opened_boot_ns: 20, ..flow() }
}

fn sent(bytes_sent: u64) -> FlowCounters {
    FlowCounters { bytes_sent, ..FlowCounters::default() }
}

fn closed(counters: FlowCounters) -> FlowEnd {
    FlowEnd { counters, ..end(true) }
}

/// Stages that expect TLS at port 443 and see it since boot time 10.
fn watching() -> Stages {
    let mut stages = stages("").with_tls_ports([443].into());
    stages.client_hellos_watched(10);
    stages
}

#[test]
fn what_a_client_offers_stands_in_the_later_records_of_its_flow() {
    let mut stages = watching();
    let hello = || payload(tls_flow(), PayloadKind::ClientHello, true, client_hello());
    take(&mut stages, Body::FlowOpen(tls_flow()));
    assert!(take_at(&mut stages, 21, hello()).is_empty());
    for body in [Body::FlowUpdate(tls_flow(), sent(9)), Body::FlowClose(tls_flow(), closed(sent(9)))] {
        let record = take_flow(&mut stages, body);
        let tls = record.tls.unwrap();
        assert_eq!((&tls.versions[..], tls.truncated), (&["TLS 1.2".into()][..], false));
        assert_eq!(tls.ja4.as_deref(), Some("t12i010000_0f2cb44170f4_000000000000"));
        assert!(!record.plaintext);
    }
    // Ahead of its opening.
    take_at(&mut stages, 21, hello());
    assert_eq!(take_flow(&mut stages, Body::FlowOpen(tls_flow())).tls, None);
    assert!(take_flow(&mut stages, Body::FlowUpdate(tls_flow(), sent(9))).tls.is_some());
    assert_eq!((stages.payloads.client_hellos, stages.payloads.malformed_client_hellos), (2, 0));
}

#[test]
fn plaintext_is_marked_when_no_loss_can_hide_the_opening_of_tls() {
    let mut stages = watching();
    take(&mut stages, Body::FlowOpen(tls_flow()));
    assert!(take_at(&mut stages, 30, Body::FlowUpdate(tls_flow(), sent(9))).is_empty());
    assert!(take_at(&mut stages, 40, Body::FlowClose(tls_flow(), closed(sent(9)))).is_empty());
    assert!(tick(&mut stages, LOSSES_TOLD_NS - 11).is_empty());
    // Time runs from the latest record, at 40.
    let update = only_flow(tick(&mut stages, LOSSES_TOLD_NS - 10));
    assert_eq!((update.stage, update.plaintext), (FlowStage::Update, true));
    let close = only_flow(tick(&mut stages, LOSSES_TOLD_NS));
    assert_eq!((close.stage, close.plaintext), (FlowStage::Close, true));
    // The server's socket says the same of what it received.
    let accepted = Flow { side: Side::Server, ..tls_flow() };
    take(&mut stages, Body::FlowOpen(accepted));
    let received = FlowCounters { bytes_received: 9, ..FlowCounters::default() };
    assert!(take_at(&mut stages, 40, Body::FlowClose(accepted, closed(received))).is_empty());
    let mut records = Vec::new();
    stages.finish(&mut records);
    assert!(only_flow(records).plaintext);
}

#[test]
fn plaintext_is_not_marked_where_tls_may_have_been_opened() {
    let unmarked = |mut stages: Stages, flow: Flow, counters: FlowCounters| {
        take(&mut stages, Body::FlowOpen(flow));
        let record = take_flow(&mut stages, Body::FlowClose(flow, closed(counters)));
        assert!(!record.plaintext, "{flow:?}");
    };
    let other_port = Flow { server: "10.1.0.3:80".parse().unwrap(), ..tls_flow() };
    unmarked(watching(), other_port, sent(9));
    unmarked(watching(), tls_flow(), sent(0));
    unmarked(watching(), Flow { side: Side::Server, ..tls_flow() }, sent(9));
    unmarked(watching(), Flow { origin: Origin::BeforeStart, ..tls_flow() }, sent(9));
    unmarked(watching(), Flow { protocol: Protocol::Udp, ..tls_flow() }, sent(9));
    unmarked(watching(), Flow { opened_boot_ns: 10, ..tls_flow() }, sent(9));
    unmarked(stages("").with_tls_ports([443].into()), tls_flow(), sent(9));

    // Something that begins like TLS, and a flow that is not in the table.
    let mut stages = watching();
    take(&mut stages, Body::FlowOpen(tls_flow()));
    take_at(&mut stages, 21, payload(tls_flow(), PayloadKind::ClientHello, true, vec![22, 3, 1, 0, 1, 9]));
    assert_eq!(stages.payloads.malformed_client_hellos, 1);
    assert!(!take_flow(&mut stages, Body::FlowClose(tls_flow(), closed(sent(9)))).plaintext);
    assert!(!take_flow(&mut stages, Body::FlowClose(tls_flow(), closed(sent(9)))).plaintext);
    // Never established.
    let failed = FlowEnd { counters: sent(9), ..end(false) };
    take(&mut stages, Body::FlowOpen(tls_flow()));
    assert!(!take_flow(&mut stages, Body::FlowClose(tls_flow(), failed)).plaintext);
}

#[test]
fn a_loss_that_is_told_late_undoes_the_mark() {
    for (lost_ns, plaintext) in [(19, true), (20, false), (35, false)] {
        let mut stages = watching();
        take(&mut stages, Body::FlowOpen(tls_flow()));
        assert!(take_at(&mut stages, 30, Body::FlowClose(tls_flow(), closed(sent(9)))).is_empty());
        stages.plaintext.lost(lost_ns);
        assert_eq!(only_flow(tick(&mut stages, LOSSES_TOLD_NS)).plaintext, plaintext, "{lost_ns}");
        // Of what comes after it, it is known at once.
        take(&mut stages, Body::FlowOpen(tls_flow()));
        let records = take_at(&mut stages, 40, Body::FlowClose(tls_flow(), closed(sent(9))));
        assert_eq!(records.is_empty(), plaintext, "{lost_ns}");
    }
}

#[test]
fn an_opening_of_tls_that_is_told_after_the_end_undoes_the_mark() {
    let mut stages = watching();
    let other = Flow { cookie: 8, ..tls_flow() };
    for flow in [tls_flow(), other] {
        take(&mut stages, Body::FlowOpen(flow));
        assert!(take_at(&mut stages, 30, Body::FlowClose(flow, closed(sent(9)))).is_empty());
    }
    let hello = payload(tls_flow(), PayloadKind::ClientHello, true, client_hello());
    assert!(take_at(&mut stages, 25, hello).is_empty());
    let records = tick(&mut stages, LOSSES_TOLD_NS);
    let told: Vec<_> = records
        .into_iter()
        .map(|record| only_flow(vec![record]))
        .map(|record| (record.cookie, record.tls.is_some(), record.plaintext))
        .collect();
    assert_eq!(told, [(7, true, false), (8, false, true)]);
    // It is over, and not taken for open again.
    assert_eq!(stages.flows.len(), 0);
}

#[test]
fn few_records_wait() {
    let mut stages = watching();
    for cookie in 0..HELD_MAX as u64 {
        let flow = Flow { cookie, ..tls_flow() };
        take(&mut stages, Body::FlowOpen(flow));
        assert!(take_at(&mut stages, 30, Body::FlowUpdate(flow, sent(9))).is_empty());
    }
    let surplus = Flow { cookie: u64::MAX, ..tls_flow() };
    take(&mut stages, Body::FlowOpen(surplus));
    let first = only_flow(take_at(&mut stages, 30, Body::FlowUpdate(surplus, sent(9))));
    assert_eq!((first.cookie, first.plaintext, stages.plaintext.undecided()), (0, false, 1));
    assert_eq!(tick(&mut stages, LOSSES_TOLD_NS).len(), HELD_MAX);
}
