//! What leaves the agent.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use watchfire_tests::watchfire;

use crate::running::{agent, command, has_argument, http_get, metric, metric_until, nonce, ready};

fn run_shell(nonce: &str) {
    assert!(Command::new("/bin/sh").args(["-c", "exit 0", nonce]).status().unwrap().success());
}

pub(crate) fn http() {
    let agent = agent();
    let nonce = nonce("http");
    run_shell(&nonce);
    let _ = agent.record("the exec", |record| record["action"] == "exec" && has_argument(record, &nonce));
    assert!(metric(&agent, "watchfire_processes_total{action=\"exec\"}") > 0);
    for path in ["/healthz", "/readyz"] {
        assert!(http_get(&agent, path).0.contains("200"), "{path}");
    }
    assert!(http_get(&agent, "/nothing").0.contains("404"));
}

pub(crate) fn observe() {
    let agent = agent();
    let (past, live) = (nonce("past"), nonce("live"));
    run_shell(&past);
    let _ = agent.record("the exec", |record| record["action"] == "exec" && has_argument(record, &past));
    let mut observer = Command::new(watchfire())
        .args(["observe", "-o", "json", "--last", "1000", "--socket"])
        .arg(agent.folder().join("observe.sock"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(observer.stdout.take().unwrap()).lines();
    let mut read_until = |text: &str| loop {
        let line = lines.next().expect("the observer goes on").unwrap();
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        if has_argument(&record, text) {
            break;
        }
    };
    read_until(&past);
    run_shell(&live);
    read_until(&live);
    observer.kill().unwrap();
    observer.wait().unwrap();
}

/// A file system of so many KiB, gone at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(kib: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"]).arg(folder.path());
        assert!(mount.status().unwrap().success());
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::create(self.path("fill")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.path("fill")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.0.path()).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

pub(crate) fn full_disk() {
    let disk = SmallDisk::new(64);
    let agent = ready(command(&["--output", &disk.path("events.jsonl")]).start());
    let series = "watchfire_sink_errors_total{sink=\"file\"}";
    while metric(&agent, series) == 0 {
        run_shell(&nonce("fill"));
    }
    // It lives, and goes on with what does not need the disk.
    assert!(http_get(&agent, "/healthz").0.contains("200"));
    drop(agent);
}

pub(crate) fn full_disk_of_the_ledger() {
    let disk = SmallDisk::new(4096);
    let start = |name: &str| ready(command(&["--ledger", &disk.path(name)]).start());
    let errors = "watchfire_sink_errors_total{sink=\"ledger\"}";
    let written = "watchfire_sink_written_total{sink=\"ledger\"}";
    // Full while it runs, full when it starts again, and room at last.
    for turn in ["runs", "starts"] {
        let agent = start("ledger");
        if turn == "runs" {
            metric_until(&agent, written, |count| count > 0);
            disk.fill();
        }
        while metric(&agent, errors) == 0 {
            run_shell(&nonce("fill"));
        }
        assert!(agent.logged("the ledger cannot be written").contains("its disk is full"));
        assert!(http_get(&agent, "/healthz").0.contains("200"), "{turn}");
        let nonce = nonce("full");
        run_shell(&nonce);
        _ = agent.record("what has another way out", |record| has_argument(record, &nonce));
        if turn == "starts" {
            disk.empty();
            agent.logged("the ledger is written again");
            let before = metric(&agent, written);
            run_shell(&nonce);
            metric_until(&agent, written, |count| count > before);
        }
    }
    // No room to begin one: the node is watched, and the agent is ready when there is room.
    disk.fill();
    let agent = command(&["--ledger", &disk.path("other")]).start();
    assert!(agent.logged("the ledger cannot be opened").contains("its disk is full"));
    while !http_get(&agent, "/readyz")
        .1
        .lines()
        .eq(["ledger-open: its disk is full or read-only; it is tried again"])
    {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let nonce = nonce("waits");
    run_shell(&nonce);
    _ = agent.record("what has another way out", |record| has_argument(record, &nonce));
    assert!(http_get(&agent, "/healthz").0.contains("200") && metric(&agent, errors) > 0);
    assert_eq!(metric(&agent, written), 0);
    disk.empty();
    agent.logged("ledger opened");
    let agent = ready(agent);
    metric_until(&agent, written, |count| count > 0);
    // What happened before is in it.
    let ledger = disk.path("other");
    let filter = format!("process.args contains \"{nonce}\"");
    let told = || {
        let told =
            Command::new(watchfire()).args(["events", &filter, "-o", "jsonl", "--ledger", &ledger]).output();
        let told = told.unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        !told.stdout.is_empty()
    };
    while !told() {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    drop(agent);
}

pub(crate) fn bad_policy() {
    let good = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: good, namespace: a}\n\
                spec: {podSelector: {}}\n";
    let bad = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad, namespace: a}\n\
               spec:\n  podSelector: {}\n  ingress:\n  - from: [{ipBlock: {cidr: 10.0.0.0/33}}]\n";
    let agent = command(&["--policies", "policies"]).with_file(
        "policies/mixed.yaml",
        &format!("{good}---\n{bad}---\n{}", good.replace("good", "also-good")),
    );
    let agent = ready(agent.start());
    assert_eq!(metric(&agent, "watchfire_policy_objects{state=\"loaded\"}"), 2);
    assert_eq!(metric(&agent, "watchfire_policy_objects{state=\"rejected\"}"), 1);
    let line = agent.logged("10.0.0.0/33");
    assert!(line.contains("bad") && line.contains("mixed.yaml"), "{line}");
}
