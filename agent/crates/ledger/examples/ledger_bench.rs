//! How fast records go into a ledger and are found again, and how many bytes they take.
//!
//! `cargo run --release -p watchfire-ledger --example ledger_bench -- RECORDS [DIR]`
#![forbid(unsafe_code)]

#[path = "../tests/ledger/made.rs"]
mod made;

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use watchfire_ledger::{Filter, Ledger, LedgerConfig, Retention, Search, SearchQuery, verify};

use made::{Dice, line};

/// Lines that are made before the clock runs, and appended again and again with other numbers.
const BATCH: usize = 200;

fn main() {
    let mut arguments = env::args().skip(1);
    let records: u64 =
        arguments.next().map_or(1_000_000, |count| count.parse().expect("a number of records"));
    let made_here = tempfile::tempdir().expect("a folder for the ledger");
    let dir = arguments.next().map_or_else(|| made_here.path().to_owned(), PathBuf::from);
    let mut config = LedgerConfig::new(&dir, "node-1", "bench");
    config.retention =
        Retention { bytes_max: None, age_max: None, findings_age_max: None, free_bytes_min: None };
    let (mut ledger, _) = Ledger::open(config).expect("a ledger");
    let mut dice = Dice::new(1);
    let mut in_append = Duration::ZERO;
    let begun = Instant::now();
    let mut n = 0;
    while n < records {
        let lines: Vec<String> = (n..n + BATCH as u64).map(|n| line(&mut dice, n)).collect();
        let before = Instant::now();
        ledger.append(&lines).1.expect("the disk takes it");
        ledger.tick().expect("the disk takes it");
        in_append += before.elapsed();
        n += lines.len() as u64;
    }
    let stats = std::sync::Arc::clone(ledger.stats());
    let waited = Instant::now();
    assert!(ledger.close(Duration::from_secs(3600)).expect("the disk takes it"), "not all is sealed");
    let per_record = |bytes: u64| bytes as f64 / n as f64;
    println!(
        "{n} records in {:.1} s, of which {:.1} s in the ledger: {:.0} records/s appended",
        begun.elapsed().as_secs_f64(),
        in_append.as_secs_f64(),
        n as f64 / in_append.as_secs_f64()
    );
    println!("sealing went on for {:.1} s after the last", waited.elapsed().as_secs_f64());
    println!(
        "bytes a record: {:.0} of JSON, {:.0} in the log, {:.0} in segments",
        per_record(stats.payload_bytes.get()),
        per_record(stats.wal_bytes.get()),
        per_record(stats.segment_bytes.get())
    );
    for filter in [
        "process.exec_id = 3f2a91bc-1042-99999",
        "verdict = denied and dst.port in (5432, 6379) and process.binary startswith \"/tmp/\"",
        "pod = bank/web-7",
        "",
    ] {
        let before = Instant::now();
        let query =
            SearchQuery { filter: Filter::parse(filter).expect("a filter"), ..SearchQuery::default() };
        let mut search = Search::open(&dir, query).expect("a ledger");
        let found = search.by_ref().count();
        println!(
            "{:.2} s to find {found} of `{filter}`: {} rows read",
            before.elapsed().as_secs_f64(),
            search.explanation().rows_read
        );
    }
    let before = Instant::now();
    verify(&dir, None, &[]).expect("a ledger");
    println!("{:.1} s to verify", before.elapsed().as_secs_f64());
    let resident = fs::read_to_string("/proc/self/status").expect("/proc");
    println!("{}", resident.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
}
