//! The event log on a disk that is really full: a small tmpfs, which takes root to mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Trial};
use tempfile::TempDir;
use watchfire_export::{Destination, Encoder, JsonLinesSink, LogFileConfig, Metrics};
use watchfire_model::{KindCounters, LossRecord, Record, RecordBody, RecordKind, WallTime};

const DISK_BYTES: u64 = 128 * 1024;
const RECORDS: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let name = "a_full_disk_tears_no_line_and_writing_resumes";
    let trial = Trial::ignorable_test(name, move || {
        Ok(match Disk::mount() {
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
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

struct Disk(TempDir);

impl Disk {
    fn mount() -> Result<Self, String> {
        let dir = TempDir::new().expect("a temporary directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "watchfire-test"])
            .arg(dir.path())
            .output()
            .map_err(|error| format!("cannot run mount: {error}"))?;
        if !mounted.status.success() {
            let told = String::from_utf8_lossy(&mounted.stderr);
            return Err(told.lines().next().unwrap_or("cannot mount").to_owned());
        }
        Ok(Self(dir))
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
    fs::write(&ballast, vec![0; DISK_BYTES as usize / 2]).expect("half of the disk is free");
    let path = disk.path("events.jsonl");
    let counters = Metrics::new("", "").sink("file");
    let config = LogFileConfig { path: path.clone(), file_bytes_max: 100 * DISK_BYTES, files_max: 2 };
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
        let value: serde_json::Value = serde_json::from_str(line).expect("every line is whole");
        value["lost"].as_u64().expect("a numbered record")
    };
    text.lines().map(number).collect()
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never came true: {what}");
        thread::yield_now();
    }
}
