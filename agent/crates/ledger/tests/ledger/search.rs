//! Searches agree with reading everything.

use serde_json::Value;
use watchfire_ledger::{Families, Family, Filter, Numbers, Search, SearchQuery};
use watchfire_model::WallTime;

use crate::common::{close, fill, folder, found, open};
use crate::made::{Dice, START_NS};

const RECORDS: u64 = 1500;

fn time(line: &str) -> WallTime {
    let record: Value = serde_json::from_str(line).unwrap();
    record["time"].as_str().unwrap().parse().unwrap()
}

fn family(line: &str) -> Family {
    let record: Value = serde_json::from_str(line).unwrap();
    Family::of_type(record["type"].as_str().unwrap())
}

/// What a search has to find, by going through all lines.
fn naive(lines: &[String], query: &SearchQuery) -> Vec<String> {
    let is_wanted = |(number, line): &(u64, &String)| {
        let time = time(line);
        query.numbers.after < *number
            && *number <= query.numbers.through
            && query.families.contains(family(line))
            && query.since.is_none_or(|since| since <= time)
            && query.until.is_none_or(|until| time <= until)
            && query.filter.matches(&serde_json::from_str(line).unwrap())
    };
    let mut wanted: Vec<String> = (1..).zip(lines).filter(is_wanted).map(|(_, line)| line.clone()).collect();
    wanted.sort_by_key(|line| time(line));
    wanted
}

/// All numbers, or some.
fn numbers(dice: &mut Dice) -> Numbers {
    if dice.below(3) > 0 {
        return Numbers::default();
    }
    let after = dice.below(RECORDS);
    Numbers { after, through: after + dice.below(RECORDS) }
}

/// Filters put together at random, out of conditions that some records meet.
fn random_filter(dice: &mut Dice, depth: u32) -> String {
    let part = |dice: &mut Dice| random_filter(dice, depth - 1);
    match dice.below(if depth == 0 { 1 } else { 4 }) {
        1 => format!("({} and {})", part(dice), part(dice)),
        2 => format!("({} or {})", part(dice), part(dice)),
        3 => format!("not {}", part(dice)),
        _ => dice
            .of(&[
                "verdict = denied",
                "verdict != allowed",
                "dst.port in (5432, 6379)",
                "dst.port not in (443)",
                "dst.port > 400",
                "port = 80",
                "src.ip = 10.0.1.0/24",
                "src.ip = 10.0.2.17",
                "ip = 10.1.0.9",
                "pod = shop/web-3",
                "pod = bank/web-7",
                "namespace = bank",
                "process.binary startswith \"/tmp/\"",
                "process.binary = /bin/sh",
                "process.binary contains sbin",
                "process.pid < 1100",
                "process.exec_id = 3f2a91bc-1042-80234",
                "exec_id = 3f2a91bc-1-12",
                "process.uid = 500",
                "type = dns",
                "type in (file, loss)",
                "dns.query = evil.example",
                "dns.rcode exists",
                "file.path endswith shadow",
                "result < 0",
                "action = exec",
                "loss.lost >= 4",
                "finding.kind exists",
                "bytes_sent > 50000",
                "time >= 2026-01-01T00:00:01Z",
                "stage = close",
                "tls.sni exists",
            ])
            .to_owned(),
    }
}

#[test]
fn searches_agree_with_a_naive_scan() {
    let dir = folder();
    let mut dice = Dice::new(7);
    let mut ledger = open(dir.path(), 256 * 1024);
    let lines = fill(&mut ledger, &mut dice, 0, RECORDS);
    close(ledger);
    let (mut skipped, mut matched) = (0, 0);
    for round in 0..80 {
        let text = if round == 0 { String::new() } else { random_filter(&mut dice, 3) };
        let bound = |dice: &mut Dice| {
            let at = WallTime(START_NS + dice.below(RECORDS) as i64 * 1_000_000);
            (dice.below(3) == 0).then_some(at)
        };
        let families = match dice.below(3) {
            0 => Families::of(&[Family::Flow, Family::Dns]),
            1 => Families::of(&[Family::Event, Family::Finding, Family::Loss, Family::Process]),
            _ => Families::ALL,
        };
        let filter = Filter::parse(&text).unwrap();
        let numbers = numbers(&mut dice);
        let query =
            SearchQuery { families, filter, since: bound(&mut dice), until: bound(&mut dice), numbers };
        let expected = naive(&lines, &query);
        let mut search = Search::open(dir.path(), query).unwrap();
        let found: Vec<String> =
            search.by_ref().map(|found| String::from_utf8(found.unwrap().line.to_vec()).unwrap()).collect();
        assert_eq!(found.len(), expected.len(), "{text}");
        assert!(found == expected, "{text}: the same number, but others");
        let explanation = search.explanation();
        assert!(explanation.segments > 3 && explanation.log_files == 1, "{explanation}");
        skipped += explanation.tables_skipped + explanation.groups_skipped;
        matched += found.len();
    }
    assert!(skipped > 100 && matched > 5_000, "{skipped} skipped, {matched} matched");
}

#[test]
fn an_id_that_is_nowhere_is_ruled_out_without_reading_rows() {
    let dir = folder();
    let mut ledger = open(dir.path(), 512 * 1024);
    fill(&mut ledger, &mut Dice::new(1), 0, 2000);
    ledger.rotate().unwrap();
    close(ledger);
    // Within the range of what is there, so that only the Bloom filters can tell.
    let filter = Filter::parse("process.exec_id = 3f2a91bc-1042-99999").unwrap();
    let mut search = Search::open(dir.path(), SearchQuery { filter, ..SearchQuery::default() }).unwrap();
    assert_eq!(search.by_ref().count(), 0);
    let explanation = search.explanation();
    assert!(explanation.groups_skipped > 0, "{explanation}");
    assert!(explanation.rows_read < 200, "{explanation}");
}

#[test]
fn what_is_no_record_is_kept_and_found() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    let strange =
        ["not json", "{}", "[1]", r#"{"type":"new-type","time":"2026-01-01T00:00:00Z","x":"\u0007"}"#, ""];
    let (appended, result) = ledger.append(&strange);
    result.unwrap();
    assert_eq!(appended, strange.len());
    let in_log = found(dir.path(), SearchQuery::default());
    ledger.rotate().unwrap();
    close(ledger);
    let sealed = found(dir.path(), SearchQuery::default());
    assert_eq!(in_log, sealed);
    let mut sorted = sealed;
    sorted.sort();
    let mut expected = strange.map(str::to_owned);
    expected.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn a_search_sees_everything_while_segments_are_sealed() {
    let dir = folder();
    let mut dice = Dice::new(3);
    let mut ledger = open(dir.path(), 64 * 1024);
    let mut written = 0;
    for _ in 0..30 {
        written += fill(&mut ledger, &mut dice, written, written + 60).len() as u64;
        let mut seen: Vec<u64> = found(dir.path(), SearchQuery::default())
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap())
            .collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..written), "after {written} records");
    }
    close(ledger);
}
