//! What leaves the agent.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use watchfire_tests::watchfire;

use crate::running::{agent, command, has_argument, http_get, metric, nonce, ready};

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

pub(crate) fn full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_string_lossy().into_owned();
    let mount = |arguments: &[&str]| Command::new("mount").args(arguments).status().unwrap();
    assert!(mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs", &path]).success());
    let events = format!("{path}/events.jsonl");
    let agent = ready(command(&["--output", &events]).start());
    let series = "watchfire_sink_errors_total{sink=\"file\"}";
    while metric(&agent, series) == 0 {
        run_shell(&nonce("fill"));
    }
    // It lives, and goes on with what does not need the disk.
    assert!(http_get(&agent, "/healthz").0.contains("200"));
    drop(agent);
    assert!(Command::new("umount").arg(&path).status().unwrap().success());
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
