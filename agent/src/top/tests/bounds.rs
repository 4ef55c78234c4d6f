//! Limits, pauses, and an agent that goes away.

use ratatui::crossterm::event::KeyCode;
use watchfire_model::{CloseReason, FlowRecord, FlowStage, RecordKind, Side};

use super::fixture::{Bench, end, exec, flow, loss, tcp, wall};
use crate::top::state::{FLOWS_MAX, RECORDS_PER_FLOW_MAX, TALKERS_MAX};

/// A flow of a client of its own.
fn nth(n: u32) -> FlowRecord {
    let client = end("world", &format!("10.{}.{}.{}:999", 1 + (n >> 16), (n >> 8) & 0xff, n & 0xff));
    FlowRecord { client, ..flow(u64::from(n)) }
}

#[test]
fn flows_and_talkers_are_bounded_and_what_goes_is_told() {
    let mut bench = Bench::new(100, 24);
    // The first ended: of those that must go it is the first.
    bench.flow(0, FlowRecord { stage: FlowStage::Close, close_reason: Some(CloseReason::Fin), ..nth(1) });
    let heavy = FlowRecord { stage: FlowStage::Update, counters: tcp(5000, 0), ..nth(2) };
    bench.flow(3, heavy);
    for n in 3..=FLOWS_MAX as u32 + 1 {
        bench.flow(1, nth(n));
    }
    assert!(bench.app.live.flows.len() <= FLOWS_MAX);
    let evicted = bench.app.live.flows.evicted();
    assert_eq!(bench.app.live.flows.len() as u64 + evicted, FLOWS_MAX as u64 + 1);
    let screen = bench.screen(4);
    assert!(screen[1].contains(&format!(", {evicted} evicted")), "{}", screen[1]);
    bench.keys("/10.1.0.");
    bench.key(KeyCode::Enter);
    let rows = bench.rows(4);
    assert!(!rows.iter().any(|row| row.starts_with("10.1.0.1 ")), "{rows:#?}");
    assert!(rows[0].starts_with("10.1.0.2 "), "{rows:#?}");

    bench.key(KeyCode::Esc);
    bench.keys("2");
    let talkers = &bench.app.live.talkers;
    assert!(talkers.len() <= TALKERS_MAX && talkers.evicted() > 0);
    let told = format!("{} evicted", talkers.evicted());
    let screen = bench.screen(4);
    assert!(screen[1].contains(&told), "{}", screen[1]);
    // Those with bytes were not among them.
    assert!(screen.iter().any(|line| line.starts_with("10.1.0.2 ")), "{screen:#?}");
    bench.keys("6");
    let screen = bench.screen(4);
    let line = screen.iter().find(|line| line.contains("flows evicted")).unwrap();
    assert!(line.contains(&evicted.to_string()), "{line}");
    // What is forgotten by design is no alarm.
    assert!(screen[0].contains("6 loss ") && !screen[0].contains("6 loss!"), "{}", screen[0]);
}

#[test]
fn records_of_a_flow_are_bounded_and_counted() {
    let mut bench = Bench::new(100, 60);
    bench.flow(0, flow(1));
    for second in 1..=40 {
        let counters = tcp(second as u64, 0);
        bench.flow(second, FlowRecord { stage: FlowStage::Update, counters, ..flow(1) });
    }
    bench.screen(41);
    bench.key(KeyCode::Enter);
    let screen = bench.screen(41);
    let of = |part: &str| screen.iter().filter(|line| line.contains(part)).count();
    assert_eq!(of("records    41, the last 16"), 1, "{screen:#?}");
    assert_eq!((of(" update, "), of("000 open")), (RECORDS_PER_FLOW_MAX, 0));
}

#[test]
fn a_pause_stops_the_screen_and_loses_nothing() {
    let mut bench = Bench::new(100, 24);
    bench.flow(0, nth(1));
    bench.screen(1);
    bench.keys("p");
    let paused = bench.screen(1);
    assert!(paused[0].ends_with("paused"));
    bench.flow(2, nth(2));
    assert_eq!(bench.screen(9), paused);
    bench.keys("p");
    assert_eq!(bench.rows(9).len(), 2);
}

#[test]
fn an_agent_that_goes_away_is_told_and_its_flows_are_doubted() {
    let mut bench = Bench::new(140, 24);
    bench.flow(0, nth(1));
    bench.flow(1, nth(2));
    bench.tell(1, loss(RecordKind::File, "/a", 4, 0));
    bench.screen(2);
    bench.app.broken("no agent listens on /x".to_owned(), wall(7).0);
    let screen = bench.screen(3);
    assert!(screen[0].ends_with("no agent"), "{}", screen[0]);
    assert_eq!(screen[1], "the agent is gone, trying again in 4s: no agent listens on /x");
    assert_eq!(screen.iter().filter(|line| line.contains("unsure")).count(), 2);

    // While nobody can tell, nothing is taken for ended.
    bench.app.tick(wall(500).0);
    bench.app.connected();
    // What the agent tells again is not counted again, and the first flow goes on.
    bench.tell(1, loss(RecordKind::File, "/a", 4, 0));
    bench.flow(501, FlowRecord { stage: FlowStage::Found, ..nth(1) });
    let screen = bench.screen(502);
    assert!(screen[0].ends_with("live"), "{}", screen[0]);
    assert!(screen.iter().any(|line| line.starts_with("10.1.0.1 ") && line.contains("live")), "{screen:#?}");
    assert!(screen.iter().any(|line| line.starts_with("10.1.0.2 ") && line.contains("unsure")));
    // An agent that says nothing of a flow for a while knows nothing of it.
    let rows = bench.rows(570);
    assert!(rows.len() == 1 && rows[0].starts_with("10.1.0.1 "), "{rows:#?}");
    bench.keys("6");
    let screen = bench.screen(570);
    assert!(screen[1].starts_with("kernel: 4 lost"), "{}", screen[1]);
    assert!(screen.iter().any(|line| line.contains("times the agent was gone")), "{screen:#?}");
}

#[test]
fn the_selected_row_stays_selected_when_others_come() {
    let mut bench = Bench::new(120, 10);
    for n in 1..=20 {
        let counters = tcp(u64::from(n) * 100, 0);
        bench.flow(10, FlowRecord { stage: FlowStage::Update, counters, ..nth(n) });
    }
    let top = bench.rows(11);
    assert!(top.len() == 6 && top[0].starts_with("10.1.0.20 "), "{top:#?}");
    for _ in 0..9 {
        bench.key(KeyCode::Down);
    }
    // The tenth from the top is the last of what is seen now.
    assert!(bench.rows(11)[5].starts_with("10.1.0.11 "));
    let counters = tcp(100_000, 0);
    bench.flow(12, FlowRecord { stage: FlowStage::Update, counters, side: Side::Client, ..nth(99) });
    assert!(bench.rows(12)[5].starts_with("10.1.0.11 "), "{:#?}", bench.rows(12));
    bench.key(KeyCode::Enter);
    assert!(bench.screen(12)[2].starts_with("flow       10.1.0.11 → "), "{:#?}", bench.screen(12));
    bench.key(KeyCode::Esc);
    bench.key(KeyCode::Home);
    assert!(bench.rows(12)[0].starts_with("10.1.0.99 "));
}

#[test]
fn what_watched_processes_write_does_not_reach_the_terminal() {
    let mut bench = Bench::new(120, 24);
    bench.tell(0, exec(5, "/tmp/\u{1b}[2Jx", None));
    bench.keys("4");
    let rows = bench.rows(1);
    assert!(rows[0].starts_with("/tmp/\\u{1b}[2Jx"), "{rows:#?}");
}
