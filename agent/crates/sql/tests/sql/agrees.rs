//! The same rows as a search finds.

use std::path::Path;

use watchfire_ledger::{BundleQuery, Families, Retention, SearchQuery, export};
use watchfire_model::WallTime;
use watchfire_sql::{Options, Session, TABLES};

use crate::common::{EVERYTHING, close, fill, folder, found, ledger, open, rows, session, value};
use crate::made::{Dice, START_NS};

/// Conditions that some records meet, as filters have them and as SQL does. The first are of all tables.
const CONDITIONS: [(&str, &[(&str, &str)]); 7] = [
    (
        "",
        &[
            ("time >= 2026-01-01T00:00:01Z", "time >= '2026-01-01T00:00:01Z'"),
            ("time < 2026-01-01T00:00:00.5Z", "time < TIMESTAMP '2026-01-01T00:00:00.5Z'"),
            ("node = node-1", "node = 'node-1'"),
            ("cluster exists", "cluster IS NOT NULL"),
            ("process.pod = bank/web-7", "process_pod = 'bank/web-7'"),
            ("process.namespace in (bank, none)", "process_namespace IN ('bank', 'none')"),
        ],
    ),
    (
        "processes",
        &[
            ("action = exec", "action = 'exec'"),
            ("process.exec_id = 3f2a91bc-1042-80234", "process_exec_id = '3f2a91bc-1042-80234'"),
            ("exec_id = 3f2a91bc-1-12", "'3f2a91bc-1-12' IN (process_exec_id, parent_exec_id)"),
            ("process.args contains miner", "process_args LIKE '%miner%'"),
        ],
    ),
    (
        "flows",
        &[
            ("verdict = denied", "verdict = 'denied'"),
            ("dst.port in (5432, 6379)", "dst_port IN (5432, 6379)"),
            ("dst.port > 400", "dst_port > 400"),
            ("src.ip = 10.0.2.17", "src_ip = '10.0.2.17'"),
            ("dst.pod exists", "dst_pod IS NOT NULL"),
            ("bytes_sent > 50000", "bytes_sent > 50000"),
            ("stage = close", "stage = 'close'"),
            ("process.binary startswith \"/tmp/\"", "process_binary LIKE '/tmp/%'"),
        ],
    ),
    (
        "dns",
        &[
            ("dns.query = evil.example", "dns_query = 'evil.example'"),
            ("dns.rcode = NXDOMAIN", "dns_rcode = 'NXDOMAIN'"),
            ("process.uid = 500", "process_uid = 500"),
        ],
    ),
    (
        "events",
        &[
            ("result < 0", "result < 0"),
            ("file.path endswith shadow", "file_path LIKE '%shadow'"),
            ("process.binary = /bin/sh", "process_binary = '/bin/sh'"),
        ],
    ),
    ("findings", &[("finding.kind exists", "finding_kind IS NOT NULL"), ("dst.port = 80", "dst_port = 80")]),
    ("losses", &[("loss.lost >= 4", "loss_lost >= 4"), ("loss.suppressed = 0", "loss_suppressed = 0")]),
];

/// A condition put together at random, in both languages. What a filter negates is met where a field is absent.
fn condition(dice: &mut Dice, table: &str, depth: u32) -> (String, String) {
    let part = |dice: &mut Dice| condition(dice, table, depth - 1);
    match dice.below(if depth == 0 { 1 } else { 4 }) {
        1 => {
            let ((filter, sql), (other_filter, other_sql)) = (part(dice), part(dice));
            (format!("({filter} and {other_filter})"), format!("({sql} AND {other_sql})"))
        }
        2 => {
            let ((filter, sql), (other_filter, other_sql)) = (part(dice), part(dice));
            (format!("({filter} or {other_filter})"), format!("({sql} OR {other_sql})"))
        }
        3 => {
            let (filter, sql) = part(dice);
            (format!("not {filter}"), format!("(({sql}) IS NOT TRUE)"))
        }
        _ => {
            let of_table = CONDITIONS.iter().filter(|(of, _)| of.is_empty() || *of == table);
            let all: Vec<(&str, &str)> = of_table.flat_map(|(_, all)| all.iter().copied()).collect();
            let (filter, sql) = all[dice.below(all.len() as u64) as usize];
            (filter.to_owned(), sql.to_owned())
        }
    }
}

/// Asks both ways, so many times; says how many records matched.
fn check(dir: &Path, dice: &mut Dice, rounds: u32) -> usize {
    let session = session(dir);
    let mut matched = 0;
    for round in 0..rounds {
        let table = &TABLES[round as usize % TABLES.len()];
        let families = Families::of(&[table.family]);
        let name = table.names[dice.below(2) as usize];
        let (filter, sql) = condition(dice, table.names[0], 3);
        let expected = found(dir, families, &filter);
        let query = format!("SELECT record FROM {name} WHERE {sql} ORDER BY time, seq");
        let answer = rows(&session, &query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let answer: Vec<String> = answer.into_iter().flatten().collect();
        assert_eq!(answer.len(), expected.len(), "{filter} / {query}");
        assert!(answer == expected, "{filter} / {query}: the same number, but others");
        let count = value(&session, &format!("SELECT count(*) FROM {name} WHERE {sql}"));
        assert_eq!(count, expected.len().to_string(), "{query}");
        matched += expected.len();
    }
    matched
}

#[test]
fn rows_are_those_of_searches_sealed_and_not() {
    let dir = ledger(11, 1500, 256 * 1024);
    let matched = check(dir.path(), &mut Dice::new(21), 90);
    assert!(matched > 3_000, "{matched}");
    let session = session(dir.path());
    let (segments, logs) = (value(&session, "SELECT count(*) FROM flows"), session.account().rows());
    assert!(segments.parse::<u64>().unwrap() > logs, "some rows come out of the log");
}

#[test]
fn every_record_is_in_one_table() {
    let dir = ledger(12, 1500, 200 * 1024);
    let session = session(dir.path());
    let union: Vec<String> =
        TABLES.iter().map(|table| format!("SELECT seq FROM {}", table.names[0])).collect();
    let sql = format!(
        "SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM ({})",
        union.join(" UNION ALL ")
    );
    assert_eq!(rows(&session, &sql).unwrap(), [["1500", "1500", "1", "1500"]]);
}

#[test]
fn what_retention_left_is_what_there_is() {
    let dir = folder();
    let mut writing = open(dir.path(), 200 * 1024, EVERYTHING);
    fill(&mut writing, &mut Dice::new(13), 0, 3000);
    close(writing);
    let thinned = Retention { age_max: Some(std::time::Duration::ZERO), ..EVERYTHING };
    let ledger = open(dir.path(), 200 * 1024, thinned);
    let is_done = |_: &u32| ledger.stats().thinned.get() > 3;
    let waited = (0..6000).find(|round| {
        std::thread::park_timeout(std::time::Duration::from_millis(10));
        is_done(round)
    });
    assert!(waited.is_some(), "{:?}", ledger.stats());
    close(ledger);
    check(dir.path(), &mut Dice::new(23), 30);
    let session = session(dir.path());
    let left: Vec<u64> = ["findings", "flows"]
        .map(|table| value(&session, &format!("SELECT count(*) FROM {table}")).parse().unwrap())
        .to_vec();
    assert!(left[0] > 20 && left[1] < 500, "{left:?}");
}

#[test]
fn a_bundle_answers_as_the_ledger_did() {
    let (dir, away) = (ledger(14, 1200, 150 * 1024), folder());
    let bundle = away.path().join("bundle");
    let query = BundleQuery { search: SearchQuery::default(), agent_version: "test".to_owned(), key: None };
    export(dir.path(), &bundle, &query).unwrap();
    assert!(check(&bundle, &mut Dice::new(24), 30) > 500);
    let sql = "SELECT dst_port, verdict, count(*), sum(bytes_sent) FROM flows GROUP BY 1, 2 ORDER BY 1, 2";
    assert_eq!(rows(&session(&bundle), sql).unwrap(), rows(&session(dir.path()), sql).unwrap());
}

#[test]
fn times_bound_what_is_there_and_skip_what_is_not() {
    let dir = ledger(15, 1500, 150 * 1024);
    let at = |n: i64| WallTime(START_NS + n * 1_000_000);
    let (since, until) = (at(900), at(1000));
    let options = Options { since: Some(since), until: Some(until), ..Options::default() };
    let session = Session::open(dir.path(), &options).unwrap();
    let expected = found(dir.path(), Families::ALL, &format!("time >= {since} and time <= {until}"));
    let union: Vec<String> =
        TABLES.iter().map(|table| format!("SELECT time, seq, record FROM {}", table.names[0])).collect();
    let sql = format!("SELECT record FROM ({}) ORDER BY time, seq", union.join(" UNION ALL "));
    let answer: Vec<String> = rows(&session, &sql).unwrap().into_iter().flatten().collect();
    assert!(answer.len() > 90 && answer == expected, "{} and {}", answer.len(), expected.len());
    let (read, skipped) = session.account().pieces();
    assert!(skipped > 10, "{read} read, {skipped} skipped");
}

#[test]
fn a_session_sees_one_moment_while_the_ledger_grows() {
    let dir = folder();
    let mut dice = Dice::new(16);
    let mut writing = open(dir.path(), 100 * 1024, EVERYTHING);
    fill(&mut writing, &mut dice, 0, 500);
    let before = session(dir.path());
    fill(&mut writing, &mut dice, 500, 1500);
    close(writing);
    let count = |session: &Session| {
        let union: Vec<String> =
            TABLES.iter().map(|table| format!("SELECT seq FROM {}", table.names[0])).collect();
        value(session, &format!("SELECT count(DISTINCT seq) FROM ({})", union.join(" UNION ALL ")))
    };
    assert_eq!(count(&before), "500");
    assert_eq!(count(&session(dir.path())), "1500");
}
