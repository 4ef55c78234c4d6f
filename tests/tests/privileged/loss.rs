//! The loss account.

use std::collections::HashMap;

use serde_json::{Value, json};
use watchfire_model::RecordKind;
use watchfire_tests::Agent;

use crate::actor::{Actor, args};
use crate::calls::{OPENAT, SETRESUID};
use crate::peer::Peer;
use crate::running::{TestCgroup, agent, bare, has_argument, nonce, ready};
use crate::stage::{agent_of, agent_with};

/// Forks of the flood.
pub(crate) const FORKS: usize = 3000;

/// Rings that a burst fills.
const SMALL_RINGS: &str = "sensor: {ringBytes: 65536, priorityRingBytes: 65536}";

/// A shell that forks a subshell so many times.
pub(crate) fn flood_in(cgroup: &TestCgroup) {
    let script = format!("i=0; while [ $i -lt {FORKS} ]; do (:) ; i=$((i+1)); done");
    assert!(cgroup.shell(&script).status().unwrap().success());
}

/// The final account, by kind: the agent writes it into its log when it has drained.
pub(crate) fn final_account(agent: &mut Agent) -> HashMap<String, HashMap<String, u64>> {
    agent.signal("TERM");
    agent.logged("stopped");
    assert_eq!(agent.ended().code(), Some(0));
    let account: HashMap<_, _> = (agent.log().iter())
        .filter(|line| line.contains(" account kind="))
        .map(|line| {
            let fields: HashMap<String, String> = (line.split_whitespace())
                .filter_map(|word| word.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
                .collect();
            let kind = fields["kind"].clone();
            (kind, fields.into_iter().filter_map(|(key, value)| Some((key, value.parse().ok()?))).collect())
        })
        .collect();
    assert_eq!(account.len(), RecordKind::ALL.len(), "one line a kind: {account:?}");
    account
}

pub(crate) fn assert_balance(account: &HashMap<String, HashMap<String, u64>>) {
    for (kind, count) in account {
        assert_eq!(
            count["seen"],
            count["filtered"] + count["suppressed"] + count["emitted"] + count["dropped"],
            "{kind}: {count:?}"
        );
        assert_eq!(count["emitted"], count["received"], "{kind}: {count:?}");
    }
}

/// Compares what loss records say with what was counted, kind by kind.
pub(crate) fn assert_losses(records: &[Value], account: &HashMap<String, HashMap<String, u64>>) {
    for (kind, count) in account {
        let sum = |field: &str| -> u64 {
            let losses = records.iter().filter(|record| record["type"] == "loss" && record["kind"] == *kind);
            losses.map(|record| record[field].as_u64().unwrap()).sum()
        };
        assert_eq!(sum("lost"), count["dropped"], "{kind}: every lost record is in a loss record");
        assert_eq!(sum("suppressed"), count["suppressed"], "{kind}: and every suppressed one");
    }
}

pub(crate) fn of_cgroup(records: &[Value], action: &str, cgroup: u64) -> usize {
    let matches = |record: &&Value| record["action"] == action && record["process"]["cgroup_id"] == cgroup;
    records.iter().filter(matches).count()
}

pub(crate) fn flood() {
    let cgroup = TestCgroup::new(&nonce("watchfire-flood"));
    let mut agent = agent();
    flood_in(&cgroup);
    let account = final_account(&mut agent);
    assert_balance(&account);
    assert_eq!(account["process-fork"]["dropped"], 0);
    let records = agent.records();
    assert_eq!(of_cgroup(&records, "fork", cgroup.id()), FORKS);
    // The shell itself entered the cgroup after its own fork, and ends in it.
    assert_eq!(of_cgroup(&records, "exit", cgroup.id()), FORKS + 1);
}

pub(crate) fn overrun() {
    let cgroup = TestCgroup::new(&nonce("watchfire-overrun"));
    let mut agent = ready(bare(&["--config", "config.yaml"]).with_file("config.yaml", SMALL_RINGS).start());
    // A stopped agent reads nothing: the ring must overflow.
    agent.signal("STOP");
    flood_in(&cgroup);
    agent.signal("CONT");
    let account = final_account(&mut agent);
    assert_balance(&account);
    let dropped = account["process-fork"]["dropped"];
    assert!(dropped > 0, "{account:?}");
    let records = agent.records();
    assert_losses(&records, &account);
    let seen = of_cgroup(&records, "fork", cgroup.id());
    assert!(seen < FORKS && seen as u64 + dropped >= FORKS as u64, "{seen} seen, {dropped} dropped");
}

/// Programs that run during a storm, and how many a second.
const EXECS: usize = 800;
const EXECS_EACH_SECOND: usize = 200;
/// Changes of credentials during a storm.
const CHANGES: usize = 200;
/// File events of those who do not storm.
const QUIET_OPENS: usize = 100;

/// A process in a cgroup that opens a file on four threads, some hundred thousand times.
fn storm_in(cgroup: &TestCgroup, path: &str) -> Peer {
    Peer::start_by(cgroup.shell("exec \"$PEER\""), &format!("open {path} 4 100000"))
}

/// A watched file, readable for everyone in its folder.
fn watched_file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(folder.path()).unwrap().join("watched");
    std::fs::write(&path, "").unwrap();
    (folder, path.to_string_lossy().into_owned())
}

pub(crate) fn storm() {
    let (loud, quiet) =
        (TestCgroup::new(&nonce("watchfire-loud")), TestCgroup::new(&nonce("watchfire-quiet")));
    let (_folder, path) = watched_file();
    let mut agent = agent_with(&json!({"files": {"read": [path], "write": [path]}}));
    let mut actor = Actor::start_in(&quiet);
    let nonce = nonce("storm");
    let mut storm = storm_in(&loud, &path);
    let role = format!("execs {EXECS} {EXECS_EACH_SECOND} {nonce}");
    let mut execs = Peer::start_by(quiet.shell("exec \"$PEER\""), &role);
    for change in 0..CHANGES {
        // The saved user stays root, so that the way back is open.
        assert_eq!(actor.call(SETRESUID, args![-1, if change % 2 == 0 { 1000 } else { 0 }, -1]), 0);
    }
    let opens: u64 = storm.line().parse().unwrap();
    assert_eq!(execs.line(), EXECS.to_string());
    storm.finish();
    execs.finish();
    let account = final_account(&mut agent);
    let records = agent.records();
    println!("{opens} opens, of files {:?}", account["file"]);

    assert_balance(&account);
    let programs = |action: &str| {
        let is_one = |record: &&Value| record["action"] == action && has_argument(record, &nonce);
        records.iter().filter(is_one).count()
    };
    assert_eq!((programs("exec"), programs("exit")), (EXECS, EXECS), "no exec and no exit is missing");
    let changes =
        |record: &&Value| record["type"] == "credentials" && record["process"]["pid"] == actor.pid();
    assert_eq!(records.iter().filter(changes).count(), CHANGES, "no change of credentials is missing");
    for kind in RecordKind::ALL.map(RecordKind::as_str).iter().filter(|kind| **kind != "file") {
        assert_eq!(account[*kind]["dropped"], 0, "{kind}: {account:?}");
    }

    let files = &account["file"];
    let held_back = files["suppressed"] + files["dropped"];
    assert!(held_back > 0 && files["seen"] >= opens, "{opens} opens: {files:?}");
    let told = |record: &&Value| record["type"] == "file" && record["process"]["cgroup_id"] == loud.id();
    assert!(records.iter().filter(told).count() as u64 + held_back >= opens, "{files:?}");
    assert_losses(&records, &account);
    assert_storm_is_named(&records, &loud);
}

pub(crate) fn storm_of_refused_calls() {
    let (loud, quiet) =
        (TestCgroup::new(&nonce("watchfire-loud")), TestCgroup::new(&nonce("watchfire-quiet")));
    let mut agent = agent_of(&["namespace"], &json!({}));
    let nonce = nonce("refused");
    let mut storm = Peer::start_by(loud.shell("exec \"$PEER\""), "refused 4 100000");
    let role = format!("execs {EXECS} {EXECS_EACH_SECOND} {nonce}");
    let mut execs = Peer::start_by(quiet.shell("exec \"$PEER\""), &role);
    let calls: u64 = storm.line().parse().unwrap();
    assert_eq!(execs.line(), EXECS.to_string());
    storm.finish();
    execs.finish();
    let account = final_account(&mut agent);
    let records = agent.records();
    assert_balance(&account);
    for action in ["exec", "exit"] {
        let is_one = |record: &&Value| record["action"] == action && has_argument(record, &nonce);
        assert_eq!(records.iter().filter(is_one).count(), EXECS, "no {action} is missing");
    }
    // They share the ring with processes, and must not fill it.
    let refused = &account["namespace"];
    assert!(refused["seen"] >= calls && refused["suppressed"] > 0, "{calls} calls: {refused:?}");
    for (kind, count) in &account {
        assert_eq!(count["dropped"], 0, "{kind}: {account:?}");
    }
    assert_losses(&records, &account);
}

/// Checks that the losses of a storm are its cgroup's.
fn assert_storm_is_named(records: &[Value], cgroup: &TestCgroup) {
    let losses: Vec<&Value> = (records.iter())
        .filter(|record| record["type"] == "loss" && record["kind"] == "file" && record["suppressed"] != 0)
        .collect();
    assert!(!losses.is_empty(), "a storm is told of");
    for loss in losses {
        assert_eq!(loss["cgroup_id"], cgroup.id(), "{loss}");
        assert_eq!(loss["cgroup"], format!("/{}", cgroup.path), "{loss}");
        let (first, last) = (loss["first"].as_str().unwrap(), loss["last"].as_str().unwrap());
        assert!(first <= last && last <= loss["time"].as_str().unwrap(), "{loss}");
    }
}

pub(crate) fn fairness() {
    let (loud, quiet) =
        (TestCgroup::new(&nonce("watchfire-loud")), TestCgroup::new(&nonce("watchfire-quiet")));
    let (_folder, path) = watched_file();
    let mut agent = agent_with(&json!({
        "files": {"read": [path], "write": [path]}, "rate": {"eventsPerSecond": 1000, "burst": 1000},
    }));
    let mut actor = Actor::start_in(&quiet);
    let mut storm = storm_in(&loud, &path);
    for _ in 0..QUIET_OPENS {
        assert!(actor.call(OPENAT, args![libc::AT_FDCWD, &path, libc::O_RDONLY]) >= 0);
    }
    let _ = storm.line();
    storm.finish();
    let account = final_account(&mut agent);
    assert_balance(&account);
    assert!(account["file"]["suppressed"] > 0, "{account:?}");
    let records = agent.records();
    let of_actor = |record: &&Value| record["type"] == "file" && record["process"]["pid"] == actor.pid();
    assert_eq!(records.iter().filter(of_actor).count(), QUIET_OPENS, "the others are heard all the same");
}
