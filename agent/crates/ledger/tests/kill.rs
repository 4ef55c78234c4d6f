//! A ledger whose process is killed at random moments under load, again and again: nothing that was acknowledged is
//! missing, the chain verifies, and no segment is there by half.
#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

#[path = "ledger/made.rs"]
mod made;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use watchfire_ledger::{
    Head, Ledger, LedgerConfig, Retention, Search, SearchQuery, SegmentLimits, Verdict, verify, verify_after,
};
use watchfire_model::WallTime;

use made::{Dice, LATE_NS_MAX, START_NS, line};

/// Set for the process that is killed: the directory, and the number of its first record.
const CHILD_DIR: &str = "WATCHFIRE_LEDGER_KILL_DIR";
const CHILD_FIRST: &str = "WATCHFIRE_LEDGER_KILL_FIRST";
/// How often the process is killed.
const KILLS: &str = "WATCHFIRE_LEDGER_KILLS";
const KILLS_DEFAULT: u64 = 8;

fn main() {
    if let Ok(dir) = env::var(CHILD_DIR) {
        child(Path::new(&dir), env::var(CHILD_FIRST).unwrap().parse().unwrap());
        return;
    }
    let arguments = Arguments::from_args();
    let trial = Trial::test("kill_nine_at_random_moments", || {
        killed_again_and_again();
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

/// Small segments, so that many are sealed.
fn config(dir: &Path) -> LedgerConfig {
    let mut config = LedgerConfig::new(dir, "node-1", "test");
    config.segment = SegmentLimits { bytes_max: 192 * 1024, ..SegmentLimits::default() };
    // The records are old.
    config.retention =
        Retention { bytes_max: None, age_max: None, findings_age_max: None, free_bytes_min: None };
    config
}

/// Appends for ever, and says after each append what is acknowledged by now.
fn child(dir: &Path, first: u64) {
    let (mut ledger, _) = Ledger::open(config(dir)).unwrap();
    let mut dice = Dice::new(first);
    let mut out = io::stdout();
    let mut n = first;
    loop {
        let lines: Vec<String> = (n..=n + dice.below(40)).map(|n| line(&mut dice, n)).collect();
        let (appended, result) = ledger.append(&lines);
        result.unwrap();
        ledger.tick().unwrap();
        n += appended as u64;
        writeln!(out, "{n}").unwrap();
        out.flush().unwrap();
    }
}

fn killed_again_and_again() {
    let kills = env::var(KILLS).map_or(KILLS_DEFAULT, |kills| kills.parse().unwrap());
    // In memory where there is such a folder: what a process leaves when it is killed does not depend on the disk.
    let shared_memory = Path::new("/dev/shm");
    let dir = if shared_memory.is_dir() { TempDir::new_in(shared_memory) } else { TempDir::new() }.unwrap();
    let mut dice = Dice::new(kills);
    let mut checked = Checked { next: 1, head: None };
    let (mut torn, mut sealed, mut at_work) = (0, 0, 0);
    for kill in 0..kills {
        let delay = Duration::from_micros(dice.below(60_000));
        let acknowledged = run_and_kill(dir.path(), checked.next, delay);
        at_work += u64::from(is_sealing(dir.path()));
        check(dir.path(), &checked, acknowledged, kill);
        let (ledger, recovery) = Ledger::open(config(dir.path())).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        torn += recovery.torn_bytes;
        sealed = sealed.max(recovery.segments);
        drop(ledger);
        checked = check(dir.path(), &checked, acknowledged, kill);
    }
    assert!(checked.next > 1, "nothing was ever written");
    check(dir.path(), &Checked { next: 1, head: None }, checked.next, kills);
    eprintln!(
        "{kills} kills, {at_work} of them while a segment was made: {} records, {sealed} segments, {torn} torn bytes cut off",
        checked.next - 1
    );
}

/// How far the ledger was checked already.
struct Checked {
    /// The number behind the last record.
    next: u64,
    head: Option<Head>,
}

/// Whether the folder of a segment is there that is not finished.
fn is_sealing(dir: &Path) -> bool {
    let entries = fs::read_dir(dir.join("segments")).into_iter().flatten();
    entries.flatten().any(|entry| is_hidden(&entry.path()))
}

fn is_hidden(segment: &Path) -> bool {
    segment.file_name().unwrap().to_string_lossy().starts_with("new-")
}

/// The number behind the last record that was acknowledged.
fn run_and_kill(dir: &Path, first: u64, delay: Duration) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .env(CHILD_DIR, dir)
        .env(CHILD_FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The load has begun.
    let begun: u64 = lines.next().map_or(first, |line| line.unwrap().parse().unwrap());
    let reader = thread::spawn(move || {
        let numbers = lines.map_while(Result::ok).filter_map(|line| line.parse().ok());
        numbers.last().unwrap_or(begun)
    });
    thread::park_timeout(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Checks what came to the ledger since it was checked last, or all of it; says how far it is checked now.
fn check(dir: &Path, checked: &Checked, acknowledged: u64, kill: u64) -> Checked {
    // Records are up to three seconds late: what was checked before and is found again has the lower numbers.
    let since = WallTime(START_NS + checked.next as i64 * 1_000_000 - LATE_NS_MAX);
    let query = SearchQuery { since: checked.head.map(|_| since), ..SearchQuery::default() };
    let mut numbers = Vec::new();
    for found in Search::open(dir, query).unwrap() {
        let record: serde_json::Value = serde_json::from_slice(&found.unwrap().line).unwrap();
        numbers.push(record["n"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    let twice = numbers.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "kill {kill}: a record is there twice");
    let new = &numbers[numbers.partition_point(|n| *n < checked.next)..];
    let next = checked.next + new.len() as u64;
    assert!(new.iter().copied().eq(checked.next..next), "kill {kill}: there is a gap");
    assert!(next >= acknowledged, "kill {kill}: records end before {next}, {acknowledged} was acknowledged");
    let verdict = match checked.head {
        Some(head) => verify_after(dir, None, &[], head),
        None => verify(dir, None, &[]),
    };
    let head = match verdict.unwrap() {
        Verdict::Intact(intact) => {
            assert!(checked.head.is_some() || intact.records == next - 1, "kill {kill}: {intact:?}");
            intact.head
        }
        // A write that was cut off is the one thing that may be wrong, and only until somebody writes again.
        Verdict::Broken(fault) => {
            assert!(fault.why.contains("it ends within"), "kill {kill}: {fault:?}");
            checked.head
        }
    };
    for entry in fs::read_dir(dir.join("segments")).unwrap() {
        let path = entry.unwrap().path();
        let is_whole = path.join("manifest.json").exists() && path.join("manifest.sig").exists();
        assert!(is_whole || is_hidden(&path), "kill {kill}: {} is there by half", path.display());
    }
    Checked { next, head }
}
