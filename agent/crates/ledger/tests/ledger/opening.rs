//! Who may open a ledger, and what an earlier run may have left.

use std::fs;
use std::time::Duration;

use watchfire_ledger::{Fsync, Identity, Ledger, LedgerError, Search, SearchQuery, Verdict, verify};

use crate::common::{close, config, fill, folder, found, intact, open};
use crate::made::Dice;

#[test]
fn two_writers_are_refused() {
    let dir = folder();
    let ledger = open(dir.path(), 1 << 20);
    let error = Ledger::open(config(dir.path(), 1 << 20)).unwrap_err();
    assert!(matches!(error, LedgerError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another running agent"), "{error}");
    drop(ledger);
    drop(open(dir.path(), 1 << 20));
}

#[test]
fn what_a_newer_version_wrote_is_refused() {
    let dir = folder();
    close(open(dir.path(), 1 << 20));
    let path = dir.path().join("ledger.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let expected =
        format!("{}: format 2, expected at most 1: it was written by a newer version", path.display());
    assert_eq!(Ledger::open(config(dir.path(), 1 << 20)).unwrap_err().to_string(), expected);
    assert_eq!(Search::open(dir.path(), SearchQuery::default()).unwrap_err().to_string(), expected);
    assert_eq!(verify(dir.path(), None, &[]).unwrap_err().to_string(), expected);
}

#[test]
fn a_directory_without_a_ledger_is_said_to_be_none() {
    let dir = folder();
    assert!(Identity::read(dir.path()).unwrap().is_none());
    let error = Search::open(dir.path(), SearchQuery::default()).unwrap_err();
    assert!(error.to_string().ends_with("is no ledger: it has no ledger.json"), "{error}");
    fs::write(dir.path().join("ledger.json"), "{").unwrap();
    assert!(matches!(Search::open(dir.path(), SearchQuery::default()), Err(LedgerError::Malformed { .. })));
}

/// A log is cut at every byte, as a crash with loss of power may leave it: all whole frames are there afterwards.
#[test]
fn a_log_that_ends_anywhere_is_gone_on_with() {
    let dir = folder();
    let mut dice = Dice::new(5);
    let mut ledger = open(dir.path(), 1 << 20);
    let mut ends = vec![(0, 0)];
    let wal = dir.path().join("wal/00000000000000000001.wal");
    let mut lines = Vec::new();
    for _ in 0..4 {
        let next = lines.len() as u64;
        let (appended, result) =
            ledger.append(&[crate::made::line(&mut dice, next), crate::made::line(&mut dice, next + 1)]);
        result.unwrap();
        lines.push(appended);
        lines.push(0);
        ends.push((fs::metadata(&wal).unwrap().len(), ends.len() * 2));
    }
    close(ledger);
    let whole = fs::read(&wal).unwrap();
    for length in 80..=whole.len() {
        let copy = folder();
        for name in ["ledger.json", "node.key", "node.pub"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        fs::create_dir(copy.path().join("wal")).unwrap();
        fs::write(copy.path().join("wal/00000000000000000001.wal"), &whole[..length]).unwrap();
        let (_, expected) = *ends.iter().rfind(|(end, _)| *end <= length as u64).unwrap();
        let (mut ledger, recovery) = Ledger::open(config(copy.path(), 1 << 20)).unwrap();
        assert_eq!(recovery.records, expected as u64, "{length}");
        assert_eq!(recovery.damage, Vec::<String>::new(), "{length}");
        let is_whole = length == 80 || ends.iter().any(|(end, _)| *end == length as u64);
        assert_eq!(recovery.torn_bytes == 0, is_whole, "{length}");
        let (_, result) = ledger.append(&["{}"]);
        result.unwrap();
        close(ledger);
        assert_eq!(intact(copy.path()).records, expected as u64 + 1, "{length}");
    }
}

#[test]
fn a_ledger_goes_on_where_it_ended() {
    let dir = folder();
    let mut dice = Dice::new(9);
    let mut all = 0;
    for round in 0..6 {
        let (mut ledger, recovery) = Ledger::open(config(dir.path(), 100 * 1024)).unwrap();
        assert_eq!(recovery.torn_bytes, 0);
        all += fill(&mut ledger, &mut dice, all, all + 150).len() as u64;
        if round % 2 == 0 {
            ledger.rotate().unwrap();
        }
        close(ledger);
        let intact = intact(dir.path());
        assert_eq!(intact.records, all);
        assert_eq!(found(dir.path(), SearchQuery::default()).len() as u64, all);
    }
}

#[test]
fn syncs_follow_the_policy() {
    for (fsync, expected) in [
        (Fsync::Always, 10..=10),
        (Fsync::Within { time: Duration::from_secs(3600), bytes: u64::MAX }, 0..=0),
        (Fsync::Within { time: Duration::from_secs(3600), bytes: 1 }, 10..=10),
        (Fsync::Within { time: Duration::ZERO, bytes: u64::MAX }, 10..=10),
        (Fsync::Within { time: Duration::from_secs(3600), bytes: 40 }, 5..=5),
    ] {
        let dir = folder();
        let (mut ledger, _) =
            Ledger::open(watchfire_ledger::LedgerConfig { fsync, ..config(dir.path(), 1 << 20) }).unwrap();
        for _ in 0..10 {
            ledger.append(&["{\"type\":\"a\",\"b\":1234}"]).1.unwrap();
        }
        assert!(expected.contains(&ledger.stats().syncs.get()), "{fsync:?}: {:?}", ledger.stats());
        let is_due = ledger.sync_within();
        assert_eq!(is_due.is_some(), *expected.end() == 0, "{fsync:?}");
        close(ledger);
    }
}

/// The wall clock goes back by a year between two frames: order and numbers are those of the chain.
#[test]
fn a_clock_that_jumps_breaks_nothing() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    let times = ["2026-06-01T00:00:00Z", "2025-06-01T00:00:00Z", "2026-06-01T00:00:01Z"];
    for time in times {
        ledger.append(&[format!("{{\"type\":\"file\",\"time\":\"{time}\"}}")]).1.unwrap();
    }
    ledger.rotate().unwrap();
    close(ledger);
    let found = found(dir.path(), SearchQuery::default());
    assert!(found[0].contains(times[1]) && found[1].contains(times[0]) && found[2].contains(times[2]));
    assert_eq!(intact(dir.path()).frames, 3);
    assert!(matches!(verify(dir.path(), None, &[]).unwrap(), Verdict::Intact(_)));
}
