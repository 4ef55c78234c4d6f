//! `watchfire events`, `findings` and `flows` with `--output parquet`: what another reader finds in it is what `jsonl` says.
#![expect(clippy::unwrap_used, reason = "a test panics; the message says where")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field as Cell, Row};
use serde_json::Value;
use tempfile::TempDir;
use watchfire_ledger::{FIELDS, Families, Family, Field, Kind, Ledger, LedgerConfig, Retention};
use watchfire_model::WallTime;

/// Golden lines of every type of record.
const RECORDS: &str = "crates/export/tests/golden/records";

/// A record of each shape again and again, half of them sealed.
fn ledger() -> TempDir {
    const ROUNDS: i64 = 3;
    let mut shapes: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDS))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    shapes.sort();
    let dir = tempfile::tempdir().unwrap();
    let mut config = LedgerConfig::new(dir.path(), "node-1", "test");
    config.retention =
        Retention { bytes_max: None, age_max: None, findings_age_max: None, free_bytes_min: None };
    let (mut ledger, _) = Ledger::open(config).unwrap();
    for round in 0..ROUNDS {
        for (number, path) in (0..).zip(&shapes) {
            let line = fs::read_to_string(path).unwrap();
            let mut record: Value = serde_json::from_str(&line).unwrap();
            // Times of their own, not in the order in which they are written.
            let time = WallTime(1_700_000_000_000_000_000 + (ROUNDS - round) * 1_000_000_000 + number * 7);
            record["time"] = time.to_string().into();
            ledger.append(&[record.to_string()]).1.unwrap();
        }
        if round == 0 {
            ledger.rotate().unwrap();
        }
    }
    assert!(ledger.close(Duration::from_secs(60)).unwrap());
    dir
}

fn watchfire(arguments: &[&str], ledger: &Path, format: &str) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.args(arguments).args(["--output", format, "--ledger"]).arg(ledger);
    let Output { status, stdout, stderr } = command.env_remove("WATCHFIRE_AGENT").output().unwrap();
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

/// Rows by the names of their columns; what a row lacks is not in it.
fn rows(parquet: Vec<u8>) -> (Vec<String>, Vec<BTreeMap<String, String>>) {
    let reader = SerializedFileReader::new(Bytes::from(parquet)).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns = schema.columns().iter().map(|column| column.name().to_owned()).collect();
    let times: Vec<String> =
        FIELDS.iter().filter(|field| field.kind == Kind::Time).map(Field::column).collect();
    let row = |row: Row| {
        let cells = row.into_columns().into_iter().filter_map(|(name, cell)| {
            let text = match cell {
                Cell::Null => return None,
                Cell::Str(text) => text,
                // The reader knows no times in nanoseconds.
                Cell::Long(ns) if times.contains(&name) => WallTime(ns).to_string(),
                Cell::Long(number) => number.to_string(),
                other => panic!("{name}: {other:?}"),
            };
            Some((name, text))
        });
        cells.collect()
    };
    (columns, reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect())
}

#[track_caller]
fn check(ledger: &Path, arguments: &[&str], families: &[Family], at_least: usize) {
    // An object a line, for both.
    let text = if arguments[0] == "flows" { "json" } else { "jsonl" };
    let lines = String::from_utf8(watchfire(arguments, ledger, text)).unwrap();
    let (columns, rows) = rows(watchfire(arguments, ledger, "parquet"));
    assert_eq!(rows.len(), lines.lines().count(), "{arguments:?}");
    assert!(rows.len() >= at_least, "{arguments:?}: {} rows", rows.len());
    let families = Families::of(families);
    let fields: Vec<_> =
        FIELDS.iter().filter(|field| families.iter().any(|family| field.families.contains(family))).collect();
    let expected = ["seq", "time", "record"].map(str::to_owned).into_iter();
    let expected =
        expected.chain(fields.iter().filter(|field| field.name != "time").map(|field| field.column()));
    assert_eq!(columns, expected.collect::<Vec<_>>());
    for (line, row) in lines.lines().zip(rows) {
        assert_eq!(row["record"], line);
        let record: Value = serde_json::from_str(line).unwrap();
        let family = Family::of_type(record["type"].as_str().unwrap());
        for field in &fields {
            let of_line = field.text_of(&record).filter(|_| field.families.contains(family));
            let of_row = row.get(&field.column()).cloned();
            assert_eq!(of_row, of_line, "{} of {line}", field.name);
        }
        assert!(row["seq"].parse::<u64>().unwrap() > 0);
    }
}

#[test]
fn parquet_has_the_rows_of_jsonl() {
    let ledger = ledger();
    let ledger = ledger.path();
    check(ledger, &["events"], &Family::ALL, 30);
    check(ledger, &["events", "--last", "7"], &Family::ALL, 7);
    check(ledger, &["events", "type = process and action = exec"], &Family::ALL, 3);
    check(ledger, &["findings"], &[Family::Finding], 3);
    check(ledger, &["flows"], &[Family::Flow, Family::Dns], 6);
    check(ledger, &["flows", "verdict = denied"], &[Family::Flow, Family::Dns], 3);
    // A table without rows is one all the same.
    check(ledger, &["events", "process.pid = 1 and process.pid = 2"], &Family::ALL, 0);
}
