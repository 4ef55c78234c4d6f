//! The event log.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use watchfire_export::{
    Destination, FILE_BYTES_MIN, JsonLinesSink, LogFileConfig, Metrics, SINK_QUEUE_RECORDS_MAX, SinkCounters,
};

use crate::common::{PATIENCE, eventually, number, numbered};

const FLUSH_INTERVAL: Duration = Duration::from_millis(1);

fn counters() -> SinkCounters {
    Metrics::new("", "").sink("file")
}

fn destination(path: &Path, files_max: u32) -> Destination {
    Destination::File(LogFileConfig { path: path.to_owned(), file_bytes_max: FILE_BYTES_MIN, files_max })
}

fn start(path: &Path, files_max: u32, counters: &SinkCounters) -> JsonLinesSink {
    JsonLinesSink::start(&destination(path, files_max), FLUSH_INTERVAL, counters.clone()).unwrap()
}

fn numbers(path: &Path) -> Vec<u64> {
    fs::read_to_string(path).unwrap().lines().map(number).collect()
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn records_are_written_in_order_and_counted() {
    let dir = TempDir::new().unwrap();
    let (path, counters) = (dir.path().join("a/b/events.jsonl"), counters());
    let sink = start(&path, 2, &counters);
    sink.send(&numbered(0, 10));
    eventually("a quiet sink flushes by itself", || counters.written() == 10);
    sink.send(&numbered(10, 5));
    assert!(sink.stop(PATIENCE));
    assert_eq!(numbers(&path), (0..15).collect::<Vec<_>>());
    assert_eq!((counters.written(), counters.dropped(), counters.errors()), (15, 0, 0));
}

#[test]
fn what_comes_after_a_pause_does_not_wait() {
    let dir = TempDir::new().unwrap();
    let (path, counters) = (dir.path().join("events.jsonl"), counters());
    let long = 100 * PATIENCE;
    let sink = JsonLinesSink::start(&destination(&path, 2), long, counters.clone()).unwrap();
    sink.send(&numbered(0, 3));
    eventually("the first are written", || counters.written() == 3);
    sink.send(&numbered(3, 2));
    assert!(sink.stop(PATIENCE));
    assert_eq!((numbers(&path), counters.written()), ((0..5).collect(), 5));
}

#[test]
fn files_rotate_at_their_size_and_the_total_is_bounded() {
    for files_max in [1, 3] {
        let dir = TempDir::new().unwrap();
        let (path, counters) = (dir.path().join("events.jsonl"), counters());
        let sink = start(&path, files_max, &counters);
        let records = numbered(0, 3000);
        assert!(records.iter().map(|record| record.line.len() as u64).sum::<u64>() > 5 * FILE_BYTES_MIN);
        sink.send(&records);
        assert!(sink.stop(PATIENCE));
        assert_eq!((counters.written(), counters.dropped()), (3000, 0));

        let rotated = (1..files_max).map(|n| format!("events.jsonl.{n}"));
        let mut oldest_first: Vec<_> = [String::from("events.jsonl")].into_iter().chain(rotated).collect();
        assert_eq!(names(&dir), oldest_first);
        oldest_first.reverse();
        let mut kept = Vec::new();
        for name in oldest_first {
            let path = dir.path().join(name);
            assert!(fs::metadata(&path).unwrap().len() <= FILE_BYTES_MIN);
            kept.extend(numbers(&path));
        }
        assert_eq!(kept, (3000 - kept.len() as u64..3000).collect::<Vec<_>>(), "without a gap");
    }
}

#[test]
fn a_restart_goes_on_behind_the_last_whole_line() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("events.jsonl");
    for (left_behind, expected) in [("", ""), ("{}\n", "{}\n"), ("{}\n{\"torn", "{}\n"), ("{\"torn", "")] {
        fs::write(&path, left_behind).unwrap();
        let sink = start(&path, 2, &counters());
        let record = numbered(1, 1);
        sink.send(&record);
        assert!(sink.stop(PATIENCE));
        let line = std::str::from_utf8(&record[0].line).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{expected}{line}"), "{left_behind:?}");
    }
}

#[test]
fn a_lowered_number_of_files_removes_the_surplus_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    for name in ["events.jsonl.1", "events.jsonl.2", "events.jsonl.17", "events.jsonl.gz", "other.jsonl.9"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let path = dir.path().join("events.jsonl");
    assert!(start(&path, 2, &counters()).stop(PATIENCE));
    assert_eq!(names(&dir), ["events.jsonl", "events.jsonl.1", "events.jsonl.gz", "other.jsonl.9"]);
}

#[test]
fn a_file_removed_or_moved_away_is_made_anew() {
    let dir = TempDir::new().unwrap();
    let (path, counters) = (dir.path().join("events.jsonl"), counters());
    let sink = start(&path, 2, &counters);
    sink.send(&numbered(0, 1));
    eventually("the first is written", || counters.written() == 1);
    fs::remove_file(&path).unwrap();
    sink.send(&numbered(1, 1));
    eventually("the second is written", || counters.written() == 2);
    assert_eq!(numbers(&path), [1]);
    let moved = dir.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    sink.send(&numbered(2, 1));
    assert!(sink.stop(PATIENCE));
    assert_eq!((numbers(&moved), numbers(&path)), (vec![1], vec![2]));
}

#[test]
fn writing_resumes_when_it_is_possible_again() {
    let dir = TempDir::new().unwrap();
    let (path, counters) = (dir.path().join("events.jsonl"), counters());
    let sink = start(&path, 2, &counters);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    sink.send(&numbered(0, 3));
    eventually("the failure is counted", || counters.errors() > 0);
    fs::remove_dir(&path).unwrap();
    eventually("what waited is written", || counters.written() == 3);
    assert!(sink.stop(PATIENCE));
    assert_eq!((numbers(&path), counters.dropped()), (vec![0, 1, 2], 0));
}

#[test]
fn a_full_device_costs_records_counted_and_nothing_else() {
    let counters = counters();
    let sink = start(Path::new("/dev/full"), 2, &counters);
    let mut sent = 0;
    for batch in numbered(0, 2 * SINK_QUEUE_RECORDS_MAX as u64).chunks(1000) {
        sink.send(batch);
        sent += batch.len() as u64;
    }
    eventually("ENOSPC is counted", || counters.errors() > 0);
    assert!(counters.dropped() > 0, "the queue is smaller than what was sent");
    assert!(sink.stop(PATIENCE));
    assert_eq!((counters.written(), counters.dropped()), (0, sent));
}

#[test]
fn what_cannot_be_a_log_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let check = |destination: &Destination, expected: &str| {
        let error = JsonLinesSink::start(destination, FLUSH_INTERVAL, counters()).unwrap_err();
        let text = format!("{error}: {:?}", std::error::Error::source(&error));
        assert!(text.contains(expected), "{text}");
    };
    check(&destination(&fifo, 2), "neither a regular file nor a device");
    check(&destination(&fifo, 2), "fifo");
    check(&destination(dir.path(), 2), "cannot open event log");
    check(&destination(&dir.path().join("x"), 0), "number of files is 0, expected 1 to 1000");
    let small = LogFileConfig { path: "x".into(), file_bytes_max: 10, files_max: 2 };
    check(&Destination::File(small), "size per file is 10, expected at least 65536 bytes");
}
