//! What each view shows, sorts and finds.

use std::sync::Arc;

use ratatui::crossterm::event::KeyCode;
use ratatui::style::Color;
use watchfire_model::{
    BackendView, CloseReason, FlowDrop, FlowRecord, FlowStage, Protocol, RecordKind, ServiceView, Side,
};

use super::fixture::{Bench, denied, dns, end, exec, flow, loss, process, tcp, tls, wall};
use crate::top::input::After;

/// Three flows: an allowed one with traffic, a denied attempt, and a question of DNS.
fn three() -> Bench {
    let mut bench = Bench::new(140, 24);
    bench.flow(0, flow(1));
    bench.flow(
        10,
        FlowRecord { stage: FlowStage::Update, counters: tcp(20_480, 1024), tls: tls(), ..flow(1) },
    );
    let (verdict, because) = denied();
    bench.flow(
        11,
        FlowRecord {
            stage: FlowStage::Failed,
            verdict,
            because,
            close_reason: Some(CloseReason::Refused),
            server: end("world", "192.0.2.9:443"),
            process: Some(process(9, "/usr/bin/wget")),
            ..flow(2)
        },
    );
    let mut named = end("world", "192.0.2.53:53");
    named.names = vec![Arc::from("ns.example")];
    bench.flow(12, FlowRecord { server: named, protocol: Protocol::Udp, process: None, ..flow(3) });
    bench
}

fn line_with<'a>(lines: &'a [String], part: &str) -> &'a str {
    lines.iter().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in {lines:#?}"))
}

#[test]
fn flows_stand_with_all_their_columns() {
    let mut bench = three();
    let screen = bench.screen(15);
    assert!(
        screen[0].starts_with(" 1 flows  2 talkers  3 verdicts  4 processes  5 drops  6 loss"),
        "{screen:#?}"
    );
    assert!(screen[0].ends_with("live"));
    assert!(screen[1].starts_with("2 live, 1 ended, at most 4096 sockets kept"), "{}", screen[1]);
    let row = line_with(&screen, "shop/db:5432");
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "shop/frontend",
            "shop/db:5432",
            "curl[4001]",
            "TCP",
            "allowed",
            "20K",
            "1.0K",
            "2.1K/s",
            "1.2ms",
            "3",
            "15s",
            "live",
            "db.shop.example"
        ]
    );
    let denied = line_with(&screen, "wget[9]");
    assert!(denied.contains("192.0.2.9:443") && denied.contains("refused"), "{denied}");
    assert_eq!(bench.colour_of(15, "denied"), Color::Red);
    assert_eq!(bench.colour_of(15, "allowed"), Color::Green);
    // A name that DNS gave stands for the address.
    assert!(line_with(&screen, "UDP").contains("ns.example:53"));
}

#[test]
fn sorting_goes_through_the_columns_and_turns() {
    let mut bench = three();
    // By rate from the greatest; the column after it is the round-trip time.
    assert!(bench.rows(15)[0].contains("curl[4001]"));
    bench.keys("S");
    assert!(bench.rows(15)[2].contains("curl[4001]"));
    for _ in 0..7 {
        bench.keys("s");
    }
    let by_server: Vec<_> = bench.rows(15);
    assert!(bench.screen(15)[1].ends_with("by SERVER↑"), "{}", bench.screen(15)[1]);
    let servers = ["192.0.2.9:443", "ns.example:53", "shop/db:5432"];
    for (row, server) in by_server.iter().zip(servers) {
        assert!(row.contains(server), "{by_server:#?}");
    }
    bench.keys("S");
    assert!(bench.rows(15)[0].contains("shop/db:5432"));
    // The arrow has room where the column's name has just its own.
    bench.keys("ssss");
    assert!(bench.screen(15)[2].contains(" →BYTE↓ ←BYTES "), "{}", bench.screen(15)[2]);
}

#[test]
fn a_filter_finds_any_column_and_escape_clears_it() {
    let mut bench = three();
    // The address behind a name, the SNI, the deciding policy and the program's path stand in no narrow column.
    for (text, found) in [
        ("192.0.2.53", "UDP"),
        ("DB.SHOP", "curl[4001]"),
        ("default-deny", "wget[9]"),
        ("bin/wget", "refused"),
    ] {
        bench.keys("/");
        bench.keys(text);
        assert!(bench.screen(15)[23].starts_with(&format!("/{text}▏")));
        bench.key(KeyCode::Enter);
        let rows = bench.rows(15);
        assert!(rows.len() == 1 && rows[0].contains(found), "{text}: {rows:#?}");
        bench.key(KeyCode::Esc);
        assert_eq!(bench.rows(15).len(), 3);
    }
    bench.keys("/no such");
    bench.key(KeyCode::Backspace);
    assert_eq!(bench.rows(15), [" nothing has this text"]);
    // Letters are text while one types.
    assert_eq!(bench.key(KeyCode::Char('q')), After::Draw);
}

#[test]
fn one_flow_is_told_whole() {
    let mut bench = Bench::new(100, 60);
    let shell = process(50, "/bin/bash");
    bench.tell(0, exec(50, "/bin/bash", Some(process(1, "/usr/sbin/sshd"))));
    bench.tell(0, exec(4001, "/usr/bin/curl", Some(shell)));
    bench.tell(1, dns("db.shop.example", "10.0.0.2"));
    let mut server = end("shop/db", "10.0.0.2:5432");
    server.names = vec![Arc::from("db.shop.example")];
    server.service = Some(ServiceView { namespace: "shop".into(), name: "db".into() });
    server.backend = Some(BackendView { address: Some("10.0.0.9:5432".parse().unwrap()), by: "conntrack" });
    bench.flow(2, FlowRecord { server, ..flow(1) });
    // The other end, and an end of the flow that tells less than what was known.
    bench.flow(
        2,
        FlowRecord { side: Side::Server, process: Some(process(8, "/usr/bin/postgres")), ..flow(9) },
    );
    let same = FlowRecord { client: flow(1).client, side: Side::Server, ..flow(9) };
    bench.flow(2, FlowRecord { process: Some(process(8, "/usr/bin/postgres")), ..same });
    bench.flow(5, FlowRecord { stage: FlowStage::Update, counters: tcp(1000, 50), tls: tls(), ..flow(1) });
    let drop = Some(FlowDrop { reason: "NO_SOCKET".to_owned(), packets: 4 });
    bench.flow(6, FlowRecord { stage: FlowStage::Dropped, drop, ..flow(1) });
    bench.keys("/10.0.0.1:40001");
    bench.key(KeyCode::Enter);
    bench.keys("sssssss");
    let rows = bench.rows(7);
    let at = rows.iter().position(|row| row.contains("curl[4001]")).unwrap();
    for _ in 0..at {
        bench.key(KeyCode::Down);
    }
    bench.screen(7);
    bench.key(KeyCode::Enter);
    let screen = bench.screen(7);
    for expected in [
        "flow       shop/frontend → shop/db:5432 TCP",
        "state      live, opened 22:13:20.000 UTC, 7s ago",
        "server     10.0.0.2:5432 pod shop/db",
        "  service  shop/db → 10.0.0.9:5432, by conntrack",
        "  names    db.shop.example",
        "  dns      db.shop.example A, asked of 10.96.0.10 by curl[4001], ttl 30 s, 6s ago",
        "traffic    1000 bytes → 50 bytes ←, 200/s → 10/s ←",
        "segments sent 10, received 9, retransmitted 3",
        "rtt        smoothed 1.2ms, minimum 340µs, handshake 950µs",
        "dropped    4 packets, NO_SOCKET",
        "tls        db.shop.example, alpn h2, offers TLS 1.3, ja4 t13d1516h2_8daaf6152771_b186095e22b6",
        "verdict    allowed: NetworkPolicy/shop/api-to-db ingress[0]",
        "  egress   not-covered",
        "  ingress  allow: NetworkPolicy/shop/api-to-db ingress[0] from[1]",
        "process    curl[4001] /usr/bin/curl, uid 1000, in /srv: --quiet",
        "  cgroup   /kubepods.slice/pod1",
        "  parents  bash[50] ‹ sshd[1]",
        "other end  postgres[8] /usr/bin/postgres",
        "community  1:abc=",
        "records    3",
        "22:13:25.000 update, 1.0K → 50 ←, 3 retransmitted",
        "22:13:26.000 dropped NO_SOCKET, 4 packets",
    ] {
        line_with(&screen, expected);
    }
    bench.key(KeyCode::Esc);
    line_with(&bench.screen(7), "CLIENT");
}

#[test]
fn everything_has_room_in_80_by_24() {
    let mut bench = three();
    bench.resize(80, 24);
    let screen = bench.screen(15);
    assert_eq!(screen.len(), 24);
    assert!(screen[0].contains("6 loss") && screen[0].ends_with("live"), "{}", screen[0]);
    let header: Vec<_> = screen[2].split_whitespace().collect();
    assert_eq!(header, ["CLIENT", "→", "SERVER", "PROCESS", "PROTO", "VERDICT", "→BYTES", "←BYTES", "AGE"]);
    let row = line_with(&screen, "shop/db:5432");
    assert!(row.contains("shop/frontend") && row.contains("allowed") && row.ends_with("15s"), "{row}");
    assert!(screen[23].contains("q quit"), "{}", screen[23]);
    // Looked at closely, what has no room is scrolled to, and no further.
    bench.key(KeyCode::Enter);
    bench.screen(15);
    bench.key(KeyCode::End);
    line_with(&bench.screen(15), "22:13:30.000 update");
    bench.key(KeyCode::Home);
    line_with(&bench.screen(15), "flow       shop/frontend");
    for (width, height) in [(1, 1), (19, 5), (20, 4), (40, 5), (300, 80)] {
        bench.resize(width, height);
        assert_eq!(bench.screen(15).len(), usize::from(height));
        bench.key(KeyCode::Esc);
        bench.screen(15);
    }
}

#[test]
fn talkers_count_a_flow_with_both_ends_once() {
    let mut bench = Bench::new(140, 24);
    let server = |stage, counters| FlowRecord {
        cookie: 2,
        side: Side::Server,
        process: Some(process(8, "/usr/bin/postgres")),
        stage,
        counters,
        ..flow(1)
    };
    bench.flow(0, flow(1));
    bench.flow(0, server(FlowStage::Open, None));
    bench.flow(5, FlowRecord { stage: FlowStage::Update, counters: tcp(300, 20), ..flow(1) });
    bench.flow(5, server(FlowStage::Update, tcp(20, 300)));
    bench.keys("2");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows = bench.rows(6);
    assert_eq!(words(line_with(&rows, "shop/frontend")), ["shop/frontend", "1", "320", "300", "20", "1s"]);
    assert_eq!(words(line_with(&rows, "shop/db")), ["shop/db", "1", "320", "20", "300", "1s"]);
    bench.keys("1");
    let rows = bench.rows(6);
    assert!(rows.len() == 1 && rows[0].contains("curl[4001] › postgres[8]"), "{rows:#?}");
    // Each program has its own end.
    bench.keys("4");
    let rows = bench.rows(6);
    assert_eq!(words(line_with(&rows, "curl")), ["/usr/bin/curl", "1", "320", "300", "20", "1s"]);
    assert_eq!(words(line_with(&rows, "postgres")), ["/usr/bin/postgres", "1", "320", "20", "300", "1s"]);
}

#[test]
fn the_other_views_tell_verdicts_execs_drops_and_losses() {
    let mut bench = three();
    let drop = |packets| Some(FlowDrop { reason: "NO_SOCKET".to_owned(), packets });
    bench.flow(13, FlowRecord { stage: FlowStage::Dropped, drop: drop(3), ..flow(4) });
    bench.flow(14, FlowRecord { stage: FlowStage::Dropped, drop: drop(5), ..flow(4) });
    for second in 10..14 {
        bench.tell(second, exec(60, "/bin/dash", None));
    }
    bench.tell(14, loss(RecordKind::File, "/a.slice", 9, 2));
    bench.app.line("{\"type\":\"observer-loss\",\"lost\":17}");
    bench.app.line("no JSON");

    bench.keys("3");
    let screen = bench.screen(15);
    assert!(
        screen[1].starts_with("flows: allowed 3 · denied 1 · not-covered 0 · unknown 0"),
        "{}",
        screen[1]
    );
    line_with(&screen, "isolated by NetworkPolicy/shop/default-deny");
    for (state, count_new) in [("new", 1), ("ongoing", 499), ("ended", 0)] {
        bench.app.line(&format!(
            "{{\"type\":\"finding\",\"time\":\"2023-11-14T22:13:40Z\",\"boot_ns\":1015000000000,\
             \"kind\":\"policy-violation\",\"state\":\"{state}\",\"count_new\":{count_new}}}"
        ));
    }
    let screen = bench.screen(15);
    assert!(screen[1].contains(" · findings: 1 policy-violation (500)"), "{}", screen[1]);
    bench.keys("4");
    let dash = line_with(&bench.screen(15), "/bin/dash").to_owned();
    assert!(dash.contains(" 4 ") && dash.contains("0.4"), "{dash}");
    bench.keys("5");
    let screen = bench.screen(15);
    assert!(screen[1].starts_with("5 packets dropped · 1 attempts failed"), "{}", screen[1]);
    let words: Vec<_> = line_with(&screen, "NO_SOCKET").split_whitespace().collect();
    assert_eq!(words, ["dropped", "NO_SOCKET", "shop/db:5432", "5", "1s", "/usr/bin/curl"]);
    let words: Vec<_> = line_with(&screen, "refused").split_whitespace().collect();
    assert_eq!(words, ["failed", "refused", "192.0.2.9:443", "1", "4s", "/usr/bin/wget"]);
    bench.keys("6");
    let screen = bench.screen(15);
    assert!(screen[0].contains("6 loss!"), "{}", screen[0]);
    assert!(
        screen[1].starts_with("kernel: 9 lost, 2 held back by rates · not read in time 17"),
        "{}",
        screen[1]
    );
    let words: Vec<_> = line_with(&screen, "/a.slice").split_whitespace().collect();
    assert_eq!(words, ["kernel", "file", "/a.slice", "9", "2", "13s", "14s"]);
    assert!(line_with(&screen, "records not read in time  ").contains("17"));
    assert!(line_with(&screen, "lines not understood").contains('1'));
}

#[test]
fn enter_on_a_talker_shows_its_flows() {
    let mut bench = three();
    bench.keys("2/192.0.2.9");
    bench.key(KeyCode::Enter);
    bench.screen(15);
    bench.key(KeyCode::Enter);
    let rows = bench.rows(15);
    assert!(rows.len() == 1 && rows[0].contains("wget[9]"), "{rows:#?}");
}

#[test]
fn ended_flows_go_after_a_while_and_one_that_is_looked_at_stays() {
    let mut bench = three();
    bench.flow(20, FlowRecord { stage: FlowStage::Close, close_reason: Some(CloseReason::Fin), ..flow(1) });
    assert!(line_with(&bench.screen(21), "shop/db").contains("fin"));
    assert_eq!(bench.colour_of(21, "shop/db"), Color::DarkGray);
    bench.keys("/shop/db");
    bench.key(KeyCode::Enter);
    bench.screen(21);
    bench.key(KeyCode::Enter);
    line_with(&bench.screen(90), "state      fin");
    // Back, and without the filter.
    bench.key(KeyCode::Esc);
    bench.key(KeyCode::Esc);
    // The question of DNS goes on.
    assert_eq!(bench.rows(90).len(), 1);
    assert_eq!(wall(90).0 - wall(0).0, 90_000_000_000);
}
