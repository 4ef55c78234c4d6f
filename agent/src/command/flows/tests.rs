//! Each way of showing records, over what the agent really writes, and the sources.

use std::io::Write as _;
use std::sync::Arc;

use clap::Parser as _;
use watchfire_model::{
    BackendView, CloseReason, DnsAnswer, DnsRecord, EndpointView, ExecId, FlowCounters, FlowDrop, FlowRecord,
    FlowStage, Icmp, Judgement, Namespaces, Origin, OwnerUnknown, Packets, PodView, ProcessOrigin,
    ProcessView, Protocol, Record, RecordBody, ServiceView, Side, SideVerdict, TlsView, UnknownReason,
    Verdict, WallTime,
};

use super::*;

fn end(kind: &'static str, address: &str) -> EndpointView {
    EndpointView {
        address: address.parse().unwrap(),
        pod: None,
        kind,
        detail: None,
        api_server: false,
        names: Vec::new(),
        service: None,
        backend: None,
    }
}

fn pod(name: &str, address: &str) -> EndpointView {
    let pod = PodView::named("shop", name);
    EndpointView { pod: Some(pod), ..end("pod", address) }
}

fn process() -> ProcessView {
    ProcessView {
        exec_id: ExecId { boot: 1, pid: 42, start_ticks: 7 },
        pid: 42,
        ns_pid: 0,
        binary: "/usr/bin/curl".into(),
        args: ["curl", "a,b\u{1b}[2J"].map(str::to_owned).into(),
        args_truncated: false,
        cwd: "/".into(),
        uid: 0,
        euid: 0,
        gid: 0,
        cgroup_id: 1,
        cgroup: None,
        namespaces: Namespaces { net: 1, mnt: 2, pid: 3, user: 4 },
        origin: ProcessOrigin::Observed,
        pod: None,
        container: None,
        unit: None,
    }
}

fn line(body: RecordBody) -> String {
    let time = WallTime(1_700_000_000_123_456_789);
    let record =
        Record { time, boot_ns: 5, cluster: None, node: Arc::from("node-1"), enrichment: None, body };
    serde_json::to_string(&record).unwrap()
}

fn flow(stage: FlowStage, side: SideVerdict) -> FlowRecord {
    let verdict = Verdict::combine(SideVerdict::NotCovered, side);
    FlowRecord {
        stage,
        cookie: 1,
        protocol: Protocol::Tcp,
        icmp: None,
        community_id: "1:x".into(),
        side: Side::Client,
        direction_guessed: false,
        client: pod("frontend", "10.0.1.5:40112"),
        server: end("world", "203.0.113.9:443"),
        process: Some(process()),
        process_unknown: None,
        netns: 1,
        origin: Origin::Observed,
        opened: WallTime(1_700_000_000_000_000_000),
        because: verdict.because(),
        verdict,
        judgement: Judgement::default(),
        close_reason: None,
        duration_ns: None,
        handshake_us: None,
        counters: None,
        tls: None,
        plaintext: false,
        drop: None,
    }
}

/// A TLS connection to a name, at its end.
fn closed() -> String {
    let segments = Packets::Segments {
        segments_sent: 12,
        segments_received: 22,
        retransmits: 1,
        srtt_us: 350,
        min_rtt_us: 120,
    };
    let tls = TlsView {
        sni: Some("www.example.org".into()),
        alpn: vec!["h2".into(), "http/1.1".into()],
        versions: vec!["TLS 1.3".into()],
        ja4: Some("t13d".into()),
        truncated: false,
    };
    let names = vec![Arc::from("www.example.org"), Arc::from("edge.example.net")];
    line(RecordBody::Flow(Box::new(FlowRecord {
        server: EndpointView { names, ..end("world", "203.0.113.9:443") },
        close_reason: Some(CloseReason::Fin),
        duration_ns: Some(1_500_000_000),
        handshake_us: Some(4321),
        counters: Some(FlowCounters { bytes_sent: 1000, bytes_received: 20_000, packets: segments }),
        tls: Some(Arc::new(tls)),
        ..flow(FlowStage::Close, SideVerdict::DenyDefault { isolating: Arc::from([]) })
    })))
}

/// Datagrams to a service, still going on.
fn update() -> String {
    let service = ServiceView { namespace: "shop".into(), name: "stats".into() };
    let backend = BackendView { address: Some("10.0.2.9:8125".parse().unwrap()), by: "conntrack" };
    let server = end("world", "10.96.0.10:8125");
    let packets = Packets::Datagrams { datagrams_sent: 9, datagrams_received: 0 };
    line(RecordBody::Flow(Box::new(FlowRecord {
        protocol: Protocol::Udp,
        server: EndpointView { service: Some(service), backend: Some(backend), ..server },
        counters: Some(FlowCounters { bytes_sent: 900, bytes_received: 0, packets }),
        ..flow(FlowStage::Update, SideVerdict::NotCovered)
    })))
}

/// An echo that the kernel dropped, of which the direction was guessed.
fn dropped() -> String {
    line(RecordBody::Flow(Box::new(FlowRecord {
        protocol: Protocol::Icmpv6,
        icmp: Some(Icmp { icmp_type: 128, code: 0, id: 7 }),
        direction_guessed: true,
        client: end("unresolved", "[fd00::1]:0"),
        server: EndpointView { detail: Some("node-2".into()), ..end("node", "[fd00::2]:0") },
        process: None,
        process_unknown: Some(OwnerUnknown::BeforeStart),
        drop: Some(FlowDrop { reason: "NETFILTER_DROP".into(), packets: 3 }),
        ..flow(FlowStage::Dropped, SideVerdict::Unknown { reason: UnknownReason::DirectionGuessed })
    })))
}

fn dns(rcode: Option<&'static str>) -> String {
    let answer = |kind: &'static str, data: &str| DnsAnswer {
        name: "www.example.org".into(),
        record_type: kind.into(),
        ttl: 60,
        data: Some(data.into()),
    };
    let answers = vec![answer("CNAME", "edge\u{9b}.example.net"), answer("A", "203.0.113.9")];
    line(RecordBody::Dns(Box::new(DnsRecord {
        client: pod("frontend", "10.0.1.5:40112"),
        server: end("world", "10.96.0.53:53"),
        protocol: Protocol::Udp,
        process: Some(process()),
        process_unknown: None,
        netns: 1,
        id: 1,
        query: "www.example.org".into(),
        query_type: "A".into(),
        rcode: rcode.map(Into::into),
        answers: if rcode.is_some() { answers } else { Vec::new() },
        latency_us: rcode.map(|_| 12_345),
        truncated: false,
    })))
}

fn shown(format: Format, color: bool, lines: &[String]) -> String {
    let mut out = Vec::new();
    let mut printer = Printer::begin(&mut out, format, color).unwrap();
    for line in lines {
        printer.show(line).unwrap();
    }
    printer.end().unwrap();
    String::from_utf8(out).unwrap()
}

fn all() -> [String; 5] {
    [closed(), update(), dropped(), dns(Some("NOERROR")), dns(None)]
}

#[test]
fn compact_is_one_line_a_record() {
    let expected = "\
2023-11-14 22:13:20.123: shop/frontend:40112 → www.example.org:443 (world) denied TCP close fin (1000 bytes sent, 20000 received, 12/22 segments, 1 retransmitted, srtt 350µs, TLS www.example.org h2,http/1.1, handshake 4.321ms, duration 1.500s, curl[42])
2023-11-14 22:13:20.123: shop/frontend:40112 → shop/stats:8125 (service → 10.0.2.9:8125) not-covered UDP update (900 bytes sent, 0 received, 9/0 datagrams, curl[42])
2023-11-14 22:13:20.123: [fd00::1] (unresolved) →? [fd00::2] (node node-2) unknown ICMPv6 dropped NETFILTER_DROP (echo request id 7, 3 packets dropped, direction was guessed, ? (before-start))
2023-11-14 22:13:20.123: shop/frontend:40112 → 10.96.0.53:53 (world) NOERROR UDP dns A www.example.org → CNAME edge\\u{9b}.example.net, 203.0.113.9 (latency 12.345ms, curl[42])
2023-11-14 22:13:20.123: shop/frontend:40112 → 10.96.0.53:53 (world) no-answer UDP dns A www.example.org (curl[42])
";
    assert_eq!(shown(Format::Compact, false, &all()), expected);
}

#[test]
fn colors_are_put_around_what_is_shown_and_never_come_from_it() {
    let plain = shown(Format::Compact, false, &all());
    let colored = shown(Format::Compact, true, &all());
    assert!(colored.contains("\u{1b}[36mshop/frontend:40112\u{1b}[0m → "), "{colored}");
    assert!(colored.contains(" \u{1b}[31mdenied\u{1b}[0m TCP"), "{colored}");
    let codes = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m", "\u{1b}[0m"];
    let stripped = codes.iter().fold(colored, |text, code| text.replace(code, ""));
    assert_eq!(stripped, plain);
}

#[test]
fn table_has_its_columns_under_their_names() {
    let table = shown(Format::Table, false, &all());
    let lines: Vec<_> = table.lines().collect();
    let at = |line: &str, part: &str| {
        let (before, _) = line.split_once(part).unwrap_or_else(|| panic!("{part} in {line}"));
        before.chars().count()
    };
    for (line, parts) in [
        (lines[1], ["www.example.org:443 (world)", "TCP", "denied", "close fin", "1000 bytes sent"]),
        (lines[3], ["[fd00::2] (node node-2)", "ICMPv6", "unknown", "dropped N", ""]),
        (lines[4], ["10.96.0.53:53 (world)", "UDP", "NOERROR", "dns", "A www.example.org → CNAME"]),
        (lines[5], ["10.96.0.53:53 (world)", "UDP", "no-answer", "dns", "A www.example.org, curl[42]"]),
    ] {
        for (part, name) in parts.into_iter().zip(["SERVER", "PROTOCOL", "VERDICT", "EVENT", "DETAILS"]) {
            assert!(part.is_empty() || at(line, part) == at(lines[0], name), "{name}: {line}");
        }
    }
    assert!(lines[3].contains("  [fd00::1] (unresolved) →?  "), "{}", lines[3]);
    assert!(lines[2].contains("  shop/stats:8125 (service → 10.0.2.9:8125)  "), "{}", lines[2]);
}

#[test]
fn json_is_the_line_with_nothing_that_steers_a_terminal() {
    let lines = all();
    let first = shown(Format::Json, false, &lines[..1]);
    assert_eq!(first, format!("{}\n", lines[0]));
    let shown = shown(Format::Json, false, &lines);
    assert!(!shown.contains('\u{9b}') && lines[3].contains('\u{9b}'));
    for (shown, line) in shown.lines().zip(&lines) {
        let [shown, line]: [serde_json::Value; 2] =
            [shown, line].map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(shown, line);
    }
}

#[test]
fn dict_tells_everything() {
    let expected = "              TIME: 2023-11-14T22:13:20.123456789Z
              NODE: node-1
              TYPE: flow
             STAGE: close
          PROTOCOL: TCP
            CLIENT: shop/frontend:40112
    CLIENT ADDRESS: 10.0.1.5:40112
            SERVER: www.example.org:443 (world)
    SERVER ADDRESS: 203.0.113.9:443
      SERVER NAMES: www.example.org, edge.example.net
       OBSERVED AT: client
           VERDICT: denied
            EGRESS: not-covered
           INGRESS: deny-default
      CLOSE REASON: fin
            OPENED: 2023-11-14T22:13:20.000000000Z
            ORIGIN: observed
         HANDSHAKE: 4.321ms
          DURATION: 1.500s
        BYTES SENT: 1000
    BYTES RECEIVED: 20000
     SEGMENTS SENT: 12
 SEGMENTS RECEIVED: 22
       RETRANSMITS: 1
      SMOOTHED RTT: 350µs
       MINIMUM RTT: 120µs
   TLS SERVER NAME: www.example.org
          TLS ALPN: h2, http/1.1
      TLS VERSIONS: TLS 1.3
           TLS JA4: t13d
           PROCESS: curl[42]
        EXECUTABLE: /usr/bin/curl
      COMMAND LINE: curl a,b\\u{1b}[2J
      COMMUNITY ID: 1:x
------------
";
    assert_eq!(shown(Format::Dict, false, &[closed()]), expected);
    let rest = shown(Format::Dict, false, &[update(), dropped(), dns(Some("NOERROR")), dns(None)]);
    for part in [
        "    SERVER SERVICE: shop/stats\n    SERVER BACKEND: 10.0.2.9:8125 (by conntrack)\n",
        "    DATAGRAMS SENT: 9\n",
        "              ICMP: echo request id 7\n",
        "         DIRECTION: guessed\n",
        "           INGRESS: unknown: direction-guessed\n           BECAUSE: direction was guessed\n",
        "       DROP REASON: NETFILTER_DROP\n   PACKETS DROPPED: 3\n",
        "             QUERY: www.example.org\n        QUERY TYPE: A\n            ANSWER: NOERROR\n",
        "           ANSWERS: CNAME edge\\u{9b}.example.net, 203.0.113.9\n           LATENCY: 12.345ms\n",
        "            ANSWER: no-answer\n",
    ] {
        assert!(rest.contains(part), "{part} in {rest}");
    }
}

#[test]
fn a_gap_is_shown_in_every_format() {
    let notice = ["{\"type\":\"observer-loss\",\"lost\":3}".to_owned()];
    for format in [Format::Compact, Format::Table, Format::Dict] {
        assert!(shown(format, false, &notice).contains("3 records are lost here"), "{format:?}");
    }
    assert!(shown(Format::Json, false, &notice).contains("\"lost\":3"));
}

#[derive(clap::Parser, Debug)]
struct Alone {
    #[command(flatten)]
    args: FlowsArgs,
}

fn parse(args: &[&str]) -> Result<FlowsArgs, String> {
    let all = ["flows"].iter().chain(args);
    Alone::try_parse_from(all).map(|alone| alone.args).map_err(|error| error.to_string())
}

#[test]
fn not_is_for_the_next_filter_alone() {
    for (args, expected) in [
        (&["--pod", "a", "--not", "--pod", "b", "--pod", "c"][..], "pod=a !pod=b pod=c"),
        (&["--not", "--last", "5", "--to-port=80", "--verdict", "DENIED"], "!to-port=80 verdict=DENIED"),
        (&["--port", "1", "--not", "--protocol", "dns", "--port", "2"], "port=1 !protocol=dns port=2"),
        (&["-n", "shop", "-f"], "namespace=shop"),
        (&[], ""),
    ] {
        let terms: Vec<_> = parse(args).unwrap().filters.terms.iter().map(ToString::to_string).collect();
        assert_eq!(terms.join(" "), expected, "{args:?}");
    }
}

#[test]
fn a_wrong_flag_is_named_with_what_was_expected() {
    for (args, flag, expected) in [
        (&["--not"][..], "--not", "no filter follows it"),
        (&["--not", "--last", "3"], "--not", "no filter follows it"),
        (&["--not", "--not", "--pod", "x"], "--not", "another --not follows it"),
        (&["--to-port", "http"], "--to-port", "expected a port from 0 to 65535"),
        (&["--ip", "10.0.0.0/40"], "--ip", "expected an address or CIDR"),
        (&["--verdict", "forwarded"], "--verdict", "expected allowed, denied"),
        (&["--stage", "x"], "--stage", "expected open, close"),
        (&["--protocol", "http"], "--protocol", "expected tcp, udp"),
        (&["--pod", ""], "--pod", "expected NAMESPACE/NAME"),
        (&["--since", "soon"], "--since", "expected an RFC 3339 time"),
        (&["--until", "-5m"], "--until", "expected an RFC 3339 time"),
        (&["--port", "-1"], "--port", "expected a port from 0 to 65535"),
        (&["--last", "many"], "--last", "invalid digit"),
        (&["--until", "1m", "--follow"], "--until", "--follow"),
        (&["--file", "x", "--follow"], "--file", "--follow"),
        (&["-o", "yaml"], "--output", "possible values: compact, table, json, dict"),
    ] {
        let error = parse(args).unwrap_err();
        assert!(error.contains(flag) && error.contains(expected), "{args:?}: {error}");
    }
    let error = parse(&["--since", "1m", "--until", "5m"]).unwrap().filter().unwrap_err().to_string();
    assert!(error.starts_with("--since ") && error.contains(" is after --until "), "{error}");
}

#[test]
fn how_many_depends_on_what_else_bounds() {
    for (args, expected) in [
        (&[][..], Some(20)),
        (&["--last", "3"], Some(3)),
        (&["--follow"], Some(0)),
        (&["--follow", "--last", "3"], Some(3)),
        (&["--follow", "--since", "1m"], None),
        (&["--since", "1m"], None),
        (&["--until", "1m"], None),
        (&["--since", "1m", "--last", "3"], Some(3)),
        (&["--file", "x"], Some(20)),
        (&["--file", "-"], None),
        (&["--file", "-", "--last", "3"], Some(3)),
    ] {
        assert_eq!(parse(args).unwrap().last(), expected, "{args:?}");
    }
}

#[test]
fn files_are_read_from_the_oldest_rotated_one_and_malformed_lines_are_skipped() {
    let dir = tempfile::TempDir::new().unwrap();
    let log = dir.path().join("events.jsonl");
    let loss = "{\"time\":\"2023-11-14T22:13:20Z\",\"type\":\"loss\",\"protocol\":6}";
    let too_long = "x".repeat(5 << 20);
    for (name, lines) in [
        ("events.jsonl.2", vec![dns(None), "torn {".to_owned(), "{}".to_owned()]),
        ("events.jsonl.1", vec![loss.to_owned(), closed(), too_long, String::new(), update()]),
        ("events.jsonl.4", vec![closed()]),
        ("events.jsonl", vec![dropped()]),
    ] {
        let mut file = std::fs::File::create(dir.path().join(name)).unwrap();
        file.write_all(b"\xff\n").unwrap();
        for line in lines {
            writeln!(file, "{line}").unwrap();
        }
        write!(file, "{{\"time\":").unwrap();
    }
    let read = |files: &[PathBuf], last, terms: &[&str]| {
        let args = parse(terms).unwrap();
        let mut out = Vec::new();
        let mut printer = Printer::begin(&mut out, Format::Json, false).unwrap();
        files::show(files, &args.filter().unwrap(), last, &mut printer).unwrap();
        printer.end().unwrap();
        String::from_utf8(out).unwrap()
    };
    let expect = |lines: &[String]| {
        lines.iter().map(|line| format!("{}\n", line::printable_json(line))).collect::<String>()
    };
    let one = [log.clone()];
    assert_eq!(read(&one, None, &[]), expect(&[dns(None), closed(), update(), dropped()]));
    assert_eq!(read(&one, Some(2), &[]), expect(&[update(), dropped()]));
    assert_eq!(read(&one, Some(1), &["--stage", "close"]), expect(&[closed()]));
    assert_eq!(read(&one, Some(0), &[]), "");
    let again = [log.clone(), dir.path().join("events.jsonl.1")];
    assert_eq!(read(&again, None, &["--protocol", "udp"]), expect(&[dns(None), update()]), "each once");

    let missing = dir.path().join("missing");
    let mut printer = Printer::begin(Vec::new(), Format::Json, false).unwrap();
    let error = files::show(&[missing], &FlowFilter::default(), None, &mut printer).unwrap_err();
    assert!(error.to_string().starts_with("--file: cannot open "), "{error}");
    let error =
        files::show(&[dir.path().to_owned()], &FlowFilter::default(), None, &mut printer).unwrap_err();
    assert!(error.to_string().starts_with("--file: cannot read "), "{error}");
}
