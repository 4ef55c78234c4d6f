//! Filters of flow and DNS records, over lines as the agent writes them.

use std::sync::Arc;

use watchfire_export::{Encoder, FlowField, FlowFilter, FlowTerm};
use watchfire_model::{
    BackendView, CloseReason, DnsRecord, EndpointView, FlowDrop, FlowRecord, FlowStage, Icmp, PodView,
    Protocol, Record, RecordBody, ServiceView, SideVerdict, TlsView, Verdict, WallTime,
};

use crate::common::{deny, flow, flow_record, numbered, process_view, record};

/// When all records of this file happened, and its neighbours.
const TIME: WallTime = WallTime(1_700_000_000_123_456_789);
const BEFORE: WallTime = WallTime(TIME.0 - 1);
const AFTER: WallTime = WallTime(TIME.0 + 1);

fn end(address: &str) -> EndpointView {
    EndpointView {
        api_server: false,
        address: address.parse().unwrap(),
        pod: None,
        kind: "world",
        detail: None,
        names: Vec::new(),
        service: None,
        backend: None,
    }
}

/// shop/frontend to the node that is `db.example`, refused and denied.
fn denied() -> Record {
    let verdict = Verdict::combine(SideVerdict::NotCovered, deny(&["default-deny"]));
    let failed = flow(FlowStage::Failed, verdict);
    flow_record(FlowRecord { close_reason: Some(CloseReason::Refused), ..failed })
}

/// From the world to a service whose backend is pay/api, with TLS.
fn to_service() -> Record {
    let verdict = Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered);
    let service = ServiceView { namespace: "pay".into(), name: "api".into() };
    let backend = BackendView { address: Some("10.0.2.9:8443".parse().unwrap()), by: "conntrack" };
    let server = EndpointView { service: Some(service), backend: Some(backend), ..end("10.96.0.10:443") };
    let tls = TlsView { sni: Some("pay.example.org".into()), ..TlsView::default() };
    flow_record(FlowRecord {
        client: end("203.0.113.9:50000"),
        server,
        process: None,
        tls: Some(Arc::new(tls)),
        ..flow(FlowStage::Close, verdict)
    })
}

/// An echo that the kernel dropped.
fn dropped() -> Record {
    let verdict = Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered);
    flow_record(FlowRecord {
        protocol: Protocol::Icmp,
        icmp: Some(Icmp { icmp_type: 8, code: 0, id: 7 }),
        client: end("10.0.1.5:0"),
        server: end("10.0.1.6:0"),
        drop: Some(FlowDrop { reason: "NETFILTER_DROP".into(), packets: 3 }),
        ..flow(FlowStage::Dropped, verdict)
    })
}

fn dns() -> Record {
    let pod = PodView::named("shop", "worker-1");
    record(RecordBody::Dns(Box::new(DnsRecord {
        client: EndpointView { pod: Some(pod), kind: "pod", ..end("10.0.1.7:41000") },
        server: end("10.96.0.53:53"),
        protocol: Protocol::Udp,
        process: Some(process_view()),
        process_unknown: None,
        netns: 0,
        id: 1,
        query: "Api.Example.com".into(),
        query_type: "A".into(),
        rcode: Some("NXDOMAIN".into()),
        answers: Vec::new(),
        latency_us: Some(100),
        truncated: false,
    })))
}

fn term(text: &str) -> FlowTerm {
    serde_json::from_value(text.into()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn filter(terms: &[&str]) -> FlowFilter {
    FlowFilter::new(None, None, terms.iter().map(|text| term(text)).collect())
}

/// The records that a filter admits, by name.
fn admitted(filter: &FlowFilter) -> String {
    let mut encoder = Encoder::new();
    let records = [("denied", denied()), ("service", to_service()), ("dropped", dropped()), ("dns", dns())];
    let names = records.into_iter().filter(|(name, record)| {
        let line = encoder.encode(record).line;
        filter.matches(&line).unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    names.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_field_finds_its_records() {
    for (text, expected) in [
        ("pod=shop/frontend", "denied"),
        ("pod=shop/front", "denied"),
        ("pod=shop/", "denied dns"),
        ("pod=/front", "denied"),
        ("pod=worker", "dns"),
        ("pod=sho/frontend", ""),
        ("pod=rontend", ""),
        ("from-pod=shop/frontend", "denied"),
        ("to-pod=shop/frontend", ""),
        ("namespace=shop", "denied dns"),
        ("namespace=sho", ""),
        ("from-namespace=pay", ""),
        ("to-namespace=pay", "service"),
        ("service=pay/ap", "service"),
        ("service=api", "service"),
        ("from-service=api", ""),
        ("to-service=pay/", "service"),
        ("ip=10.0.1.5", "denied dropped"),
        ("ip=::ffff:10.0.1.5", "denied dropped"),
        ("ip=10.0.0.0/16", "denied service dropped dns"),
        ("from-ip=10.0.1.9/24", "denied dropped dns"),
        ("to-ip=2001:db8::/32", "denied"),
        ("to-ip=10.0.2.9", "service"),
        ("port=41000", "dns"),
        ("from-port=5432", ""),
        ("to-port=5432", "denied"),
        ("to-port=443", "service"),
        ("to-port=8443", "service"),
        ("fqdn=DB.example.", "denied"),
        ("fqdn=*.example", "denied"),
        ("fqdn=*.example.*", "service dns"),
        ("fqdn=p*.ex*.org", "service"),
        ("fqdn=example.com", ""),
        ("fqdn=api.example.com", "dns"),
        ("to-fqdn=db.*", "denied"),
        ("from-fqdn=*", ""),
        ("to-fqdn=*", "denied service dns"),
        ("protocol=tcp", "denied service"),
        ("protocol=UDP", "dns"),
        ("protocol=icmp", "dropped"),
        ("protocol=1", "dropped"),
        ("protocol=icmpv6", ""),
        ("protocol=sctp", ""),
        ("protocol=dns", "dns"),
        ("protocol=tls", "service"),
        ("verdict=Denied", "denied"),
        ("verdict=NOT_COVERED", "service dropped"),
        ("verdict=allowed", ""),
        ("verdict=unknown", ""),
        ("process=bin/curl", "denied dropped dns"),
        ("process=curl --head", "denied dropped dns"),
        ("process=4242", "denied dropped dns"),
        ("process=424", ""),
        ("stage=failed", "denied"),
        ("stage=Close", "service"),
        ("stage=dropped", "dropped"),
        ("reason=refused", "denied"),
        ("reason=netfilter-drop", "dropped"),
        ("reason=NETFILTER_DROP", "dropped"),
        ("reason=NXDomain", "dns"),
    ] {
        assert_eq!(admitted(&filter(&[text])), expected, "{text}");
    }
}

#[test]
fn one_field_is_or_fields_are_and_and_each_negated_term_excludes() {
    for (terms, expected) in [
        (&[][..], "denied service dropped dns"),
        (&["pod=frontend", "pod=worker"], "denied dns"),
        (&["pod=frontend", "protocol=dns", "pod=worker"], "dns"),
        (&["pod=frontend", "protocol=dns"], ""),
        (&["!protocol=dns"], "denied service dropped"),
        (&["!protocol=dns", "!verdict=denied"], "service dropped"),
        (&["!pod=frontend", "!pod=worker"], "service dropped"),
        (&["namespace=shop", "!pod=frontend"], "dns"),
        (&["!namespace=shop", "protocol=tcp", "protocol=udp"], "service"),
        (&["from-ip=10.0.1.5", "to-ip=10.0.1.6"], "dropped"),
        (&["ip=10.0.1.5", "!ip=10.0.1.6"], "denied"),
    ] {
        assert_eq!(admitted(&filter(terms)), expected, "{terms:?}");
    }
}

#[test]
fn times_bound_on_both_sides_and_include_their_moment() {
    for (since, until, expected) in [
        (Some(TIME), Some(TIME), "denied service dropped dns"),
        (Some(BEFORE), None, "denied service dropped dns"),
        (Some(AFTER), None, ""),
        (None, Some(BEFORE), ""),
        (None, Some(AFTER), "denied service dropped dns"),
    ] {
        assert_eq!(admitted(&FlowFilter::new(since, until, Vec::new())), expected, "{since:?} {until:?}");
    }
}

#[test]
fn records_of_other_types_never_match_and_what_is_no_record_is_an_error() {
    let everything = filter(&[]);
    assert!(!everything.matches(&numbered(1, 1)[0].line).unwrap());
    for (name, record) in crate::common::every_shape() {
        let matches = filter(&["!port=1"]).matches(&Encoder::new().encode(&record).line);
        let is_flow_or_dns = matches!(record.body, RecordBody::Flow(_) | RecordBody::Dns(_));
        assert_eq!(matches.unwrap(), is_flow_or_dns, "{name}");
    }
    for line in ["", "{", "{}", "[]", "{\"time\":\"now\",\"type\":\"flow\"}", "{\"type\":\"flow\"}"] {
        assert!(everything.matches(line.as_bytes()).is_err(), "{line}");
    }
    let no_ends = b"{\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"flow\"}";
    assert!(everything.matches(no_ends).is_err());
}

#[test]
fn a_wrong_value_is_told_what_was_expected() {
    let bad = [
        ("pod", "", "expected NAMESPACE/NAME"),
        ("pod", "/", "expected NAMESPACE/NAME"),
        ("pod", "a/b/c", "expected NAMESPACE/NAME"),
        ("namespace", "a/b", "expected the name of a namespace"),
        ("ip", "10.0.0", "expected an address or CIDR"),
        ("to-ip", "10.0.0.0/33", "expected an address or CIDR"),
        ("port", "65536", "expected a port from 0 to 65535"),
        ("port", "http", "expected a port from 0 to 65535"),
        ("fqdn", "", "expected a name"),
        ("fqdn", "a b", "expected a name"),
        ("protocol", "http", "expected tcp, udp, icmp"),
        ("verdict", "forwarded", "expected allowed, denied"),
        ("process", "", "expected a part of the path"),
        ("stage", "opened", "expected open, close"),
        ("reason", "", "expected a reason"),
    ];
    for (name, text, expected) in bad {
        let field = FlowField::named(name).unwrap();
        let error = FlowTerm::new(field, text, false).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}={text}: {error}");
    }
    for field in FlowField::ALL {
        assert!(
            bad.iter().any(|(name, ..)| field.as_str().ends_with(name)) || field.as_str().contains("service")
        );
        assert_eq!(FlowField::named(field.as_str()), Some(field));
    }
}
