//! Start, stop, restart.

use std::net::TcpListener;
use std::process::Command;

use watchfire_tests::{AgentCommand, watchfire};

use crate::peer::loopback;
use crate::running::{TestCgroup, agent, has_argument, nonce, ready};

pub(crate) fn sigterm() {
    let mut agent = agent();
    let nonce = nonce("sigterm");
    assert!(Command::new("/bin/sh").args(["-c", "exit 0", &nonce]).status().unwrap().success());
    // At once: what was seen before the signal has to come out all the same.
    agent.signal("TERM");
    assert_eq!(agent.ended().code(), Some(0), "drained before the deadline");
    let records = agent.records();
    for action in ["exec", "exit"] {
        let reported =
            records.iter().any(|record| record["action"] == action && has_argument(record, &nonce));
        assert!(reported, "the {action} just before the signal");
    }
}

pub(crate) fn kill_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (events, socket) = (folder.path().join("events.jsonl"), folder.path().join("observe.sock"));
    let start = || {
        let (events, socket) = (events.to_string_lossy(), socket.to_string_lossy());
        let arguments = ["run", "--output", &events, "--metrics-listen", "127.0.0.1:0", "--socket", &socket];
        ready(AgentCommand::new(arguments).start())
    };
    let mut seen = Vec::new();
    for round in 0..3 {
        let mut agent = start();
        let nonce = nonce(&format!("round{round}"));
        assert!(Command::new("/bin/sh").args(["-c", "exit 0", &nonce]).status().unwrap().success());
        while !std::fs::read_to_string(&events).unwrap_or_default().contains(&nonce) {
            std::thread::yield_now();
        }
        seen.push(nonce);
        agent.signal(if round == 2 { "TERM" } else { "KILL" });
        let status = agent.ended();
        assert_eq!(status.code(), (round == 2).then_some(0));
    }
    let text = std::fs::read_to_string(&events).unwrap();
    for nonce in &seen {
        assert!(text.contains(nonce), "{nonce} is in the log after two kills");
    }
    let torn = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err()).count();
    assert!(torn <= 2, "{torn} torn lines after two kills");
}

pub(crate) fn port_in_use() {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut agent = AgentCommand::new([
        "run",
        "--output",
        "none",
        "--metrics-listen",
        &address,
        "--socket",
        "observe.sock",
    ])
    .start();
    assert_ne!(agent.ended().code(), Some(0));
    agent.logged(&address);
}

pub(crate) fn doctor() {
    let output = Command::new(watchfire()).arg("doctor").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let probes =
        ["process-fork", "process-exec", "process-exit", "cgroup ", "socket-owner", "listen-owner", "tcp"];
    for probe in probes {
        let attached = |line: &&str| line.contains(&format!("  {probe}")) && line.contains(" rung ");
        assert!(text.lines().any(|line| attached(&line)), "{probe} is not attached\n{text}");
    }
    assert_eq!(output.status.code(), Some(0), "{text}");
}

pub(crate) fn cgroup_namespace() {
    let cgroup = TestCgroup::new(&format!("{}/container", nonce("watchfire-namespace")));
    let outside = TestCgroup::new(&nonce("watchfire-outside"));
    let events = tempfile::tempdir().unwrap();
    let path = events.path().join("events.jsonl");
    let script = format!(
        "exec unshare -C {} run --output {} --metrics-listen 127.0.0.1:0 --socket {}",
        watchfire().display(),
        path.display(),
        events.path().join("observe.sock").display()
    );
    let mut agent = cgroup.shell(&script).spawn().unwrap();
    let nonce = nonce("outside");
    // Again and again: the agent may not be ready for the first.
    let seen = loop {
        assert!(agent.try_wait().unwrap().is_none(), "the agent does not start in a cgroup namespace");
        assert!(outside.shell(&format!("exec /bin/sh -c 'exit 0' {nonce}")).status().unwrap().success());
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        if let Some(record) =
            (records.into_iter()).find(|record| record["action"] == "exec" && has_argument(record, &nonce))
        {
            break record;
        }
    };
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(seen["process"]["cgroup_id"], outside.id());
    assert_eq!(seen["process"]["cgroup"], format!("/{}", outside.path));
}
