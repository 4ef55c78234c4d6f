//! Who may open a ledger, and what an earlier run may have left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchfire_ledger::{Filter, Fsync, Identity, Ledger, LedgerError, Search, SearchQuery, verify};
use watchfire_model::WallTime;

use crate::common::{close, config, files, fill, folder, found, intact, open};
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
    fs::write(dir.path().join("ledger.json"), "{\n  \"format\": 2,\n  \"what\": \"is new\"\n}\n").unwrap();
    let expected = format!(
        "{}: format 2, expected at most 1: it was written by a newer version",
        dir.path().join("ledger.json").display()
    );
    let before = contents(dir.path());
    assert_eq!(Ledger::open(config(dir.path(), 1 << 20)).unwrap_err().to_string(), expected);
    assert_eq!(Search::open(dir.path(), SearchQuery::default()).unwrap_err().to_string(), expected);
    assert_eq!(verify(dir.path(), None, &[]).unwrap_err().to_string(), expected);
    assert!(contents(dir.path()) == before, "something was written");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A newer segment or log file within a ledger: nothing of it is changed either.
#[test]
fn parts_that_a_newer_version_wrote_are_refused() {
    for (part, byte) in [("segments/000000000001/manifest.json", 14), ("wal/00000000000000000002.wal", 8)] {
        let dir = folder();
        let mut ledger = open(dir.path(), 1 << 20);
        ledger.append(&["{}"]).1.unwrap();
        ledger.rotate().unwrap();
        ledger.append(&["{}"]).1.unwrap();
        close(ledger);
        let path = dir.path().join(part);
        let mut bytes = fs::read(&path).unwrap();
        // "1" in the manifest, 1 in the log.
        bytes[byte] += 1;
        fs::write(&path, bytes).unwrap();
        let before = contents(dir.path());
        let expected =
            format!("{}: format 2, expected at most 1: it was written by a newer version", path.display());
        assert_eq!(Ledger::open(config(dir.path(), 1 << 20)).unwrap_err().to_string(), expected);
        assert_eq!(verify(dir.path(), None, &[]).unwrap_err().to_string(), expected);
        assert!(contents(dir.path()) == before, "{part}: something was written");
    }
}

fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(dir).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A ledger that version 0.1.0 wrote, as it was before heads were signed, is read, checked and gone on with.
#[test]
fn an_earlier_ledger_is_gone_on_with() {
    let (dir, golden) = (folder(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-1"));
    for path in files(&golden) {
        let to = dir.path().join(path.strip_prefix(&golden).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&path, to).unwrap();
    }
    let before = intact(dir.path());
    assert_eq!((before.segments, before.records, before.unsigned_frames), (2, 40, 2), "{before:?}");
    let records = found(dir.path(), SearchQuery::default());
    assert_eq!(records.len(), 40);
    let filter = Filter::parse("verdict = denied and dst.port in (5432, 6379)").unwrap();
    let denied = found(dir.path(), SearchQuery { filter, ..SearchQuery::default() });
    let naive = |line: &&String| {
        let port = [":5432\"", ":6379\""].iter().any(|port| line.contains(port));
        line.contains("\"denied\"") && port
    };
    assert_eq!(denied.len(), records.iter().filter(naive).count());
    assert!(!denied.is_empty());
    let key = Some(golden.join("signing.pem"));
    let config = watchfire_ledger::LedgerConfig { key, ..config(dir.path(), 1 << 20) };
    let (mut ledger, recovery) = Ledger::open(config).unwrap();
    assert_eq!((recovery.segments, recovery.damage), (2, Vec::new()));
    fill(&mut ledger, &mut Dice::new(12), 40, 60);
    ledger.rotate().unwrap();
    close(ledger);
    let after = intact(dir.path());
    assert_eq!((after.segments, after.records, after.unsigned_frames), (3, 60, 0), "{after:?}");
    let gone_on = found(dir.path(), SearchQuery::default());
    assert!(gone_on.len() == 60 && records.iter().all(|record| gone_on.contains(record)));
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
        (Fsync::Within { time: Duration::from_secs(3600), bytes: 150 }, 5..=5),
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

/// The wall clock jumps back by a year and ahead by two: order is that of the chain, and times are found where they are.
#[test]
fn a_clock_that_jumps_breaks_nothing() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    let times = [
        "2026-06-01T00:00:00Z",
        "2025-06-01T00:00:00Z",
        "2027-06-01T00:00:00Z",
        "2026-06-01T00:00:01Z",
        "2025-05-31T23:59:59Z",
    ];
    for (at, time) in times.iter().enumerate() {
        ledger.append(&[format!("{{\"type\":\"file\",\"time\":\"{time}\"}}")]).1.unwrap();
        // Two of them in one segment, one in another, the rest in the log.
        if at == 1 || at == 2 {
            ledger.rotate().unwrap();
        }
    }
    close(ledger);
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let told = |since: Option<&str>, until: Option<&str>| {
        let at = |time: &str| time.parse::<WallTime>().unwrap();
        let query = SearchQuery { since: since.map(at), until: until.map(at), ..SearchQuery::default() };
        let search = Search::open(dir.path(), query).unwrap();
        search
            .map(|found| found.unwrap())
            .map(|found| (found.time.to_string(), found.seq))
            .collect::<Vec<_>>()
    };
    let all = told(None, None);
    assert_eq!(all.iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), [5, 2, 1, 4, 3]);
    for from in 0..times.len() {
        for to in from..times.len() {
            assert_eq!(told(Some(sorted[from]), Some(sorted[to])), all[from..=to], "{from}..={to}");
        }
    }
    let intact = intact(dir.path());
    assert_eq!((intact.frames, intact.segments), (5, 2));
}
