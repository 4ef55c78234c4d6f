//! The oldest goes first, findings last, and what is left verifies.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use watchfire_ledger::{Clock, Ledger, LedgerConfig, Retention, SearchQuery, SetClock, Stats};
use watchfire_model::WallTime;

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
    let retention = Retention { age_max: Some(Duration::ZERO), ..EVERYTHING };
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
    let retention = Retention { findings_age_max: Some(Duration::ZERO), ..retention };
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
    let stats = Arc::clone(ledger.stats());
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

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A ledger that keeps everything for thirty days of the clock.
fn open_for_a_month(dir: &std::path::Path, clock: &Arc<SetClock>) -> Ledger {
    let retention = Retention { age_max: Some(30 * DAY), findings_age_max: Some(30 * DAY), ..EVERYTHING };
    let clock = Clock::Set(Arc::clone(clock));
    Ledger::open(LedgerConfig { retention, clock, ..config(dir, 1 << 20) }).unwrap().0
}

/// Seals a record, and waits until the limits were looked at afterwards.
fn seal_one(ledger: &mut Ledger, time: WallTime) {
    let sealed = ledger.stats().sealed.get();
    ledger.append(&[format!("{{\"type\":\"file\",\"time\":\"{time}\"}}")]).1.unwrap();
    ledger.rotate().unwrap();
    let rounds = |stats: &Stats| stats.segments.get() + stats.removed.get();
    wait(ledger.stats(), |stats| stats.sealed.get() > sealed && rounds(stats) == stats.sealed.get());
}

fn time(text: &str) -> WallTime {
    text.parse().unwrap()
}

/// Neither a jump nor a start under a clock that is wrong still removes anything; the time that passes does.
#[test]
fn a_wall_clock_that_is_set_ahead_removes_nothing() {
    let dir = folder();
    let clock = Arc::new(SetClock::at(time("2026-06-01T00:00:00Z")));
    let mut ledger = open_for_a_month(dir.path(), &clock);
    for _ in 0..2 {
        seal_one(&mut ledger, time("2026-06-01T00:00:00Z"));
        clock.pass(DAY);
    }
    clock.set_wall(time("2027-06-03T00:00:00Z"));
    seal_one(&mut ledger, time("2027-06-03T00:00:00Z"));
    wait(ledger.stats(), |stats| stats.held.get() == 2);
    assert_eq!((ledger.stats().removed.get(), ledger.stats().thinned.get()), (0, 0));
    close(ledger);

    let mut ledger = open_for_a_month(dir.path(), &clock);
    wait(ledger.stats(), |stats| stats.held.get() == 2 && stats.segments.get() == 3);
    assert_eq!((ledger.stats().removed.get(), ledger.stats().thinned.get()), (0, 0));
    // The clock is right again: what was written meanwhile has a time to come, and does not stay for a year either.
    clock.set_wall(time("2026-06-03T00:00:00Z"));
    clock.pass(29 * DAY);
    ledger.append(&["{}"]).1.unwrap();
    ledger.rotate().unwrap();
    wait(ledger.stats(), |stats| stats.removed.get() == 1 && stats.segments.get() == 3);
    clock.pass(2 * DAY);
    ledger.append(&["{}"]).1.unwrap();
    ledger.rotate().unwrap();
    wait(ledger.stats(), |stats| stats.removed.get() == 3 && stats.segments.get() == 2);
    assert_eq!(ledger.stats().held.get(), 0);
    close(ledger);
    intact(dir.path());
}

/// As on a machine that keeps no time while it is off: what was recorded in 1970 is not old when the time is known.
#[test]
fn what_was_recorded_under_a_clock_that_was_behind_is_not_old() {
    let dir = folder();
    let clock = Arc::new(SetClock::at(time("1970-01-01T00:01:00Z")));
    let mut ledger = open_for_a_month(dir.path(), &clock);
    seal_one(&mut ledger, time("1970-01-01T00:01:00Z"));
    clock.set_wall(time("2026-06-01T00:00:00Z"));
    seal_one(&mut ledger, time("2026-06-01T00:00:00Z"));
    close(ledger);
    clock.set_wall(time("1970-01-01T00:02:00Z"));
    let mut ledger = open_for_a_month(dir.path(), &clock);
    clock.set_wall(time("2026-06-02T00:00:00Z"));
    ledger.append(&["{}"]).1.unwrap();
    ledger.rotate().unwrap();
    wait(ledger.stats(), |stats| stats.segments.get() == 3);
    assert_eq!((ledger.stats().removed.get(), ledger.stats().thinned.get()), (0, 0));
    close(ledger);
}

#[test]
fn a_manifest_that_is_damaged_meanwhile_holds_no_other_back() {
    let dir = folder();
    let clock = Arc::new(SetClock::at(WallTime(0)));
    let mut ledger = open_for_a_month(dir.path(), &clock);
    for n in 1..=3 {
        ledger.append(&[format!("{{\"type\":\"flow\",\"n\":{n}}}")]).1.unwrap();
        ledger.rotate().unwrap();
    }
    wait(ledger.stats(), |stats| stats.sealed.get() == 3);
    fs::write(dir.path().join("segments/000000000002/manifest.json"), "{").unwrap();
    clock.pass(31 * DAY);
    ledger.append(&["{}"]).1.unwrap();
    ledger.rotate().unwrap();
    wait(ledger.stats(), |stats| stats.removed.get() == 2);
    close(ledger);
}
