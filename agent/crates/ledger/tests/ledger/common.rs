use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use watchfire_ledger::{
    Intact, Ledger, LedgerConfig, Retention, Search, SearchQuery, SegmentLimits, Stats, Verdict, verify,
};

use crate::made::{Dice, line};

/// A folder in memory where there is one: what is tried out here is not whether a disk can sync.
pub(crate) fn folder() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { TempDir::new_in(shared_memory) } else { TempDir::new() }.unwrap()
}

/// Nothing is removed: the records are old.
pub(crate) const EVERYTHING: Retention =
    Retention { bytes_max: None, age_max: None, findings_age_max: None, free_bytes_min: None };

pub(crate) fn config(dir: &Path, segment_bytes: u64) -> LedgerConfig {
    let mut config = LedgerConfig::new(dir, "node-1", "test");
    config.segment = SegmentLimits { bytes_max: segment_bytes, ..SegmentLimits::default() };
    config.retention = EVERYTHING;
    config
}

pub(crate) fn open(dir: &Path, segment_bytes: u64) -> Ledger {
    let (ledger, recovery) = Ledger::open(config(dir, segment_bytes)).unwrap();
    assert_eq!(recovery.damage, Vec::<String>::new());
    ledger
}

/// Appends records `from..to` in frames of different size, and returns their lines.
pub(crate) fn fill(ledger: &mut Ledger, dice: &mut Dice, from: u64, to: u64) -> Vec<String> {
    let lines: Vec<String> = (from..to).map(|n| line(dice, n)).collect();
    let mut rest = lines.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + dice.below(50) as usize).min(rest.len()));
        let (appended, result) = ledger.append(now);
        result.unwrap();
        assert_eq!(appended, now.len());
        rest = later;
    }
    lines
}

/// Waits for everything that was to be sealed.
pub(crate) fn close(ledger: Ledger) {
    assert!(ledger.close(Duration::from_secs(60)).unwrap());
}

/// Waits, at most a minute, until the thread in the background has come so far.
pub(crate) fn wait(stats: &Stats, what: impl Fn(&Stats) -> bool) {
    let so_far = (0..6000).any(|_| {
        std::thread::park_timeout(Duration::from_millis(10));
        what(stats)
    });
    assert!(so_far, "{stats:?}");
}

/// All files below a directory, in order.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub(crate) fn found(dir: &Path, query: SearchQuery) -> Vec<String> {
    let search = Search::open(dir, query).unwrap();
    search.map(|found| String::from_utf8(found.unwrap().line.to_vec()).unwrap()).collect()
}

pub(crate) fn intact(dir: &Path) -> Intact {
    match verify(dir, None, &[]).unwrap() {
        Verdict::Intact(intact) => intact,
        Verdict::Broken(fault) => panic!("{fault:?}"),
    }
}
