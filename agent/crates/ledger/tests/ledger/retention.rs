//! The oldest goes first, findings last, and what is left verifies.

use std::fs;
use std::time::Duration;

use watchfire_ledger::{Ledger, LedgerConfig, Retention, SearchQuery};

use crate::common::{EVERYTHING, close, config, fill, folder, found, intact, open, wait};
use crate::made::Dice;

fn of_type(lines: &[String], record_type: &str) -> usize {
    lines.iter().filter(|line| line.contains(&format!("\"type\":\"{record_type}\""))).count()
}

#[test]
fn findings_stay_when_all_else_is_too_old() {
    let dir = folder();
    let mut ledger = open(dir.path(), 200 * 1024);
    let lines = fill(&mut ledger, &mut Dice::new(8), 0, 1500);
    ledger.rotate().unwrap();
    close(ledger);
    let before = intact(dir.path());
    let retention = Retention { age_max: Some(Duration::from_secs(60)), ..EVERYTHING };
    let (ledger, _) = Ledger::open(LedgerConfig { retention, ..config(dir.path(), 1 << 20) }).unwrap();
    wait(ledger.stats(), |stats| stats.thinned.get() >= before.segments);
    close(ledger);
    let left = found(dir.path(), SearchQuery::default());
    assert!(of_type(&lines, "finding") > 10);
    assert_eq!(of_type(&left, "finding"), of_type(&lines, "finding"));
    assert_eq!(of_type(&left, "flow") + of_type(&left, "process") + of_type(&left, "dns"), 0);
    let after = intact(dir.path());
    assert_eq!(after.head, before.head);
    assert!(after.thinned_frames > 0 && after.records == 0, "{after:?}");

    // Findings too go after their time, and the ledger goes on behind what there was.
    let retention = Retention { findings_age_max: Some(Duration::from_secs(60)), ..retention };
    let (mut ledger, _) = Ledger::open(LedgerConfig { retention, ..config(dir.path(), 1 << 20) }).unwrap();
    wait(ledger.stats(), |stats| stats.removed.get() == before.segments);
    let next = before.head.unwrap().sequence + 1;
    ledger.append(&["{}"]).1.unwrap();
    assert_eq!(ledger.stats().head().sequence, next);
    close(ledger);
    let after = intact(dir.path());
    assert_eq!((after.segments, after.records, after.first_frame), (0, 1, next), "{after:?}");
    let (ledger, _) = Ledger::open(config(dir.path(), 1 << 20)).unwrap();
    assert_eq!(ledger.stats().head().sequence, next);
}

#[test]
fn bytes_are_bounded_and_the_newest_stays() {
    let dir = folder();
    let bytes_max = 300 * 1024;
    let retention = Retention { bytes_max: Some(bytes_max), ..EVERYTHING };
    let (mut ledger, _) = Ledger::open(LedgerConfig { retention, ..config(dir.path(), 200 * 1024) }).unwrap();
    fill(&mut ledger, &mut Dice::new(8), 0, 4000);
    ledger.rotate().unwrap();
    let stats = std::sync::Arc::clone(ledger.stats());
    close(ledger);
    let (ledger, _) = Ledger::open(LedgerConfig { retention, ..config(dir.path(), 200 * 1024) }).unwrap();
    wait(ledger.stats(), |stats| (1..=bytes_max).contains(&stats.stored_bytes.get()));
    close(ledger);
    let left = found(dir.path(), SearchQuery::default());
    assert!(left.last().unwrap().contains("\"n\":3999,"), "{:?}", left.last());
    assert!(left.len() < 4000);
    let segments = fs::read_dir(dir.path().join("segments")).unwrap().count();
    assert!((segments as u64) < stats.sealed.get(), "{stats:?}");
    assert!(!intact(dir.path()).notes.is_empty());
}
