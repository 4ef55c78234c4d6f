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
    Ledger, LedgerConfig, Retention, Search, SearchQuery, SegmentLimits, Verdict, verify,
};

use made::{Dice, line};

/// Set for the process that is killed: the directory, and the number of its first record.
const CHILD_DIR: &str = "WATCHFIRE_LEDGER_KILL_DIR";
const CHILD_FIRST: &str = "WATCHFIRE_LEDGER_KILL_FIRST";
/// How often the process is killed.
const KILLS: &str = "WATCHFIRE_LEDGER_KILLS";
const KILLS_DEFAULT: u64 = 12;

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
    config.segment = SegmentLimits { bytes_max: 96 * 1024, ..SegmentLimits::default() };
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
    let mut next = 1;
    let (mut torn, mut sealed) = (0, 0);
    for kill in 0..kills {
        let acknowledged = run_and_kill(dir.path(), next, Duration::from_micros(dice.below(60_000)));
        check(dir.path(), acknowledged, kill);
        let (ledger, recovery) = Ledger::open(config(dir.path())).unwrap();
        assert_eq!(recovery.damage, Vec::<String>::new());
        torn += recovery.torn_bytes;
        sealed = sealed.max(recovery.segments);
        drop(ledger);
        next = check(dir.path(), acknowledged, kill);
    }
    assert!(next > 1, "nothing was ever written");
    eprintln!("{kills} kills: {} records, {sealed} segments, {torn} torn bytes cut off", next - 1);
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

/// Checks what is there before anybody writes again; returns the number behind the last record.
fn check(dir: &Path, acknowledged: u64, kill: u64) -> u64 {
    let mut numbers = Vec::new();
    for found in Search::open(dir, SearchQuery::default()).unwrap() {
        let record: serde_json::Value = serde_json::from_slice(&found.unwrap().line).unwrap();
        numbers.push(record["n"].as_u64().unwrap());
    }
    numbers.sort_unstable();
    let last = numbers.len() as u64;
    assert!(numbers.iter().copied().eq(1..=last), "kill {kill}: there is a gap or a record twice");
    assert!(
        last + 1 >= acknowledged,
        "kill {kill}: {last} records, but {} were acknowledged",
        acknowledged - 1
    );
    let is_torn = match verify(dir, None, &[]).unwrap() {
        Verdict::Intact(intact) => {
            assert_eq!(intact.records, last, "kill {kill}");
            false
        }
        // A write that was cut off is the one thing that may be wrong, and only until somebody writes again.
        Verdict::Broken(fault) => {
            assert!(fault.why.contains("it ends within"), "kill {kill}: {fault:?}");
            true
        }
    };
    for entry in fs::read_dir(dir.join("segments")).unwrap() {
        let path = entry.unwrap().path();
        let is_whole = path.join("manifest.json").exists() && path.join("manifest.sig").exists();
        let is_hidden = path.file_name().unwrap().to_string_lossy().starts_with("new-");
        assert!(is_whole || is_hidden, "kill {kill}: {} is there by half", path.display());
    }
    assert!(!is_torn || last + 1 >= acknowledged);
    last + 1
}
