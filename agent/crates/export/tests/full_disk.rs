//! Sinks on a disk that is really full or read-only: a small tmpfs in a mount namespace of the test's own, which takes root.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire_export::{
    Destination, Encoder, JsonLinesSink, LedgerSink, LogFileConfig, Metrics, SINK_QUEUE_RECORDS_MAX,
};
use watchfire_ledger::{LedgerConfig, Search, SearchQuery, Verdict, verify};
use watchfire_model::{KindCounters, LossRecord, Record, RecordBody, RecordKind, WallTime};

const RECORDS: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Set in the test's own mount namespace.
const OWN_NAMESPACE: &str = "WATCHFIRE_TEST_OWN_MOUNTS";

fn main() -> ExitCode {
    enter_own_namespace();
    let trials = vec![
        on_a_disk("a_full_disk_tears_no_line_and_writing_resumes", 128 * 1024, check),
        on_a_disk("a_full_disk_holds_the_ledger_up_and_breaks_nothing", 1024 * 1024, check_ledger),
        on_a_disk(
            "a_read_only_disk_holds_the_ledger_up_and_breaks_nothing",
            16 * 1024 * 1024,
            check_read_only,
        ),
        on_a_disk("a_ledger_is_begun_when_its_disk_has_room", 8 * 1024 * 1024, check_begin),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Starts this test again where what it mounts is nobody else's, if it may.
fn enter_own_namespace() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        command
    };
    let may = unshare().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if may && env::var_os(OWN_NAMESPACE).is_none() {
        let own = env::current_exe().expect("this test is a file");
        let error = unshare().arg(own).args(env::args_os().skip(1)).env(OWN_NAMESPACE, "1").exec();
        panic!("cannot start this test again: {error}");
    }
}

fn on_a_disk(name: &'static str, bytes: u64, check: fn(&Disk)) -> Trial {
    Trial::ignorable_test(name, move || {
        Ok(match Disk::mount(bytes) {
            Ok(disk) => {
                check(&disk);
                Completion::Completed
            }
            Err(reason) => {
                // On a line of its own: the task runner collects these from every tier.
                println!("\nSKIP {name}: {reason}");
                Completion::ignored_with(reason)
            }
        })
    })
}

struct Disk(TempDir, u64);

impl Disk {
    fn mount(bytes: u64) -> Result<Self, String> {
        let dir = TempDir::new().expect("a temporary directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "watchfire-test"])
            .arg(dir.path())
            .output()
            .map_err(|error| format!("cannot run mount: {error}"))?;
        if !mounted.status.success() {
            let told = String::from_utf8_lossy(&mounted.stderr);
            return Err(told.lines().next().unwrap_or("cannot mount").to_owned());
        }
        Ok(Self(dir, bytes))
    }

    /// Whether it now is `ro` or `rw`: not read-only while a file on it is open for writing.
    fn remount(&self, how: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{how}")]).arg(self.0.path()).stderr(Stdio::null());
        command.status().expect("mount was there before").success()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a failed test may have left the sink's file open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn check(disk: &Disk) {
    let ballast = disk.path("ballast");
    fs::write(&ballast, vec![0; disk.1 as usize / 2]).expect("half of the disk is free");
    let path = disk.path("events.jsonl");
    let counters = Metrics::new("", "").sink("file");
    let config = LogFileConfig { path: path.clone(), file_bytes_max: 100 * disk.1, files_max: 2 };
    let sink = JsonLinesSink::start(&Destination::File(config), Duration::from_millis(1), counters.clone())
        .expect("the disk has room yet");

    let mut encoder = Encoder::new();
    let records: Vec<_> = (0..RECORDS).map(|n| encoder.encode(&record(n))).collect();
    sink.send(&records);
    eventually("the full disk is counted", || counters.errors() > 0);
    assert!(counters.written() > 0 && counters.written() < RECORDS);
    assert_eq!(numbers(&path), (0..counters.written()).collect::<Vec<_>>(), "whole lines while it is full");

    fs::remove_file(ballast).expect("the ballast is ours");
    let more_than_fits = counters.written();
    eventually("writing resumes", || counters.written() > more_than_fits);
    assert!(sink.stop(PATIENCE), "a full disk does not hold up the end");
    assert_eq!(numbers(&path), (0..counters.written()).collect::<Vec<_>>());
    assert_eq!(counters.written() + counters.dropped(), RECORDS);
}

fn check_ledger(disk: &Disk) {
    let dir = disk.path("ledger");
    let counters = Metrics::new("", "").sink("ledger");
    let mut config = LedgerConfig::new(&dir, "node-1", "test");
    config.retention.free_bytes_min = None;
    let sink = LedgerSink::start(config, counters.clone()).expect("the disk has room yet");
    let mut encoder = Encoder::new();
    let mut records: Vec<_> = (0..RECORDS).map(|n| encoder.encode(&record(n))).collect();
    let (first, rest) = records.split_at_mut(RECORDS as usize / 2);
    sink.send(first);
    eventually("the first half is written", || counters.written() == first.len() as u64);
    let ballast = disk.path("ballast");
    _ = fs::write(&ballast, vec![0; disk.1 as usize]);
    // More than the rest of a page that the log has still.
    eventually("the full disk is counted", || {
        sink.send(rest);
        thread::park_timeout(Duration::from_millis(50));
        counters.errors() > 0
    });
    let written = counters.written();
    assert!(written >= first.len() as u64);
    fs::remove_file(ballast).expect("the ballast is ours");
    eventually("writing resumes", || counters.written() > written);
    assert!(sink.stop(PATIENCE), "a full disk does not hold up the end");
    let Verdict::Intact(intact) = verify(&dir, None, &[]).expect("the ledger is there") else {
        panic!("the ledger is not as it was written");
    };
    assert_eq!(intact.records, counters.written());
}

fn check_read_only(disk: &Disk) {
    let dir = disk.path("ledger");
    let counters = Metrics::new("", "").sink("ledger");
    let mut config = LedgerConfig::new(&dir, "node-1", "test");
    config.retention.free_bytes_min = None;
    config.segment.age_max = Duration::from_millis(200);
    let sink = LedgerSink::start(config, counters.clone()).expect("the disk has room");
    let mut encoder = Encoder::new();
    let mut records: Vec<_> = (0..RECORDS).map(|n| encoder.encode(&record(n))).collect();
    let (first, rest) = records.split_at_mut(RECORDS as usize / 2);
    sink.send(first);
    eventually("the first half is written", || counters.written() == first.len() as u64);
    // Then it is sealed, and no file is open for writing.
    eventually("the disk is read-only", || disk.remount("ro"));
    sink.send(rest);
    eventually("the read-only disk is counted", || counters.errors() > 0);
    assert_eq!((counters.written(), counters.dropped()), (first.len() as u64, 0));
    assert!(disk.remount("rw"));
    eventually("writing goes on", || counters.written() == RECORDS);
    assert!(sink.stop(PATIENCE), "nothing holds up the end");
    let Verdict::Intact(intact) = verify(&dir, None, &[]).expect("the ledger is there") else {
        panic!("the ledger is not as it was written");
    };
    assert_eq!((intact.records, counters.dropped()), (RECORDS, 0));
}

fn check_begin(disk: &Disk) {
    let (dir, ballast) = (disk.path("ledger"), disk.path("ballast"));
    _ = fs::write(&ballast, vec![0; 2 * disk.1 as usize]);
    let counters = Metrics::new("", "").sink("ledger");
    let mut config = LedgerConfig::new(&dir, "node-1", "test");
    config.retention.free_bytes_min = None;
    let sink = LedgerSink::start(config.clone(), counters.clone()).expect("a full disk is no mistake");
    assert!(sink.facts().opened().is_none() && counters.errors() > 0);
    eventually("it is shown", || sink.facts().is_failing());
    // More than waits.
    let mut encoder = Encoder::new();
    let mut records: Vec<_> =
        (0..SINK_QUEUE_RECORDS_MAX as u64 + 7).map(|n| encoder.encode(&record(n))).collect();
    sink.send(&mut records);
    assert_eq!((counters.written(), counters.dropped()), (0, 7));
    fs::remove_file(&ballast).expect("the ballast is ours");
    eventually("it is begun", || sink.facts().opened().is_some() && !sink.facts().is_failing());
    eventually("what waited is written", || counters.written() == SINK_QUEUE_RECORDS_MAX as u64);
    assert!(sink.stop(PATIENCE));
    let Verdict::Intact(intact) = verify(&dir, None, &[]).expect("the ledger is there") else {
        panic!("the ledger is not as it was written");
    };
    // What was not kept is told behind what was.
    assert_eq!(intact.records, counters.written() + 1);
    let last = Search::open(&dir, SearchQuery::default()).expect("a ledger").last().expect("records");
    let last: Value = serde_json::from_slice(&last.expect("it can be read").line).expect("a record");
    assert_eq!(
        (&last["type"], &last["kind"], &last["lost"]),
        (&json!("sink-loss"), &json!("ledger"), &json!(7))
    );

    // An end before there is room loses what waited, and says so.
    _ = fs::write(&ballast, vec![0; 2 * disk.1 as usize]);
    let counters = Metrics::new("", "").sink("ledger");
    config.dir = disk.path("other");
    let sink = LedgerSink::start(config, counters.clone()).expect("a full disk is no mistake");
    sink.send(&mut records[..5]);
    assert!(sink.stop(PATIENCE), "nothing holds up the end");
    assert_eq!((counters.written(), counters.dropped()), (0, 5));
}

fn record(n: u64) -> Record {
    let body = RecordBody::Loss(Box::new(LossRecord {
        kind: RecordKind::TcpOpen,
        cgroup_id: None,
        cgroup: None,
        pod: None,
        lost: n,
        suppressed: 0,
        first: WallTime(0),
        last: WallTime(0),
        counters: KindCounters::default(),
    }));
    Record { time: WallTime(0), boot_ns: 0, cluster: None, node: Arc::from("node-1"), enrichment: None, body }
}

fn numbers(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).expect("the log is there");
    let number = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("every line is whole");
        value["lost"].as_u64().expect("a numbered record")
    };
    text.lines().map(number).collect()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never came true: {what}");
        thread::yield_now();
    }
}
