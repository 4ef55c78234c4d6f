//! The loss account.

use std::collections::HashMap;

use serde_json::Value;
use watchfire_tests::Agent;

use crate::running::{TestCgroup, agent, command, nonce, ready};

/// Forks of the flood.
pub(crate) const FORKS: usize = 3000;

/// A shell that forks a subshell so many times.
pub(crate) fn flood_in(cgroup: &TestCgroup) {
    let script = format!("i=0; while [ $i -lt {FORKS} ]; do (:) ; i=$((i+1)); done");
    assert!(cgroup.shell(&script).status().unwrap().success());
}

/// The final account, by kind: the agent writes it into its log when it has drained.
fn final_account(agent: &mut Agent) -> HashMap<String, HashMap<String, u64>> {
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
    assert_eq!(account.len(), 7, "one line a kind: {account:?}");
    account
}

fn assert_balance(account: &HashMap<String, HashMap<String, u64>>) {
    for (kind, count) in account {
        assert_eq!(
            count["seen"],
            count["filtered"] + count["emitted"] + count["dropped"],
            "{kind}: {count:?}"
        );
        assert_eq!(count["emitted"], count["received"], "{kind}: {count:?}");
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
    let mut agent = ready(command(&["--ring-bytes", "65536"]).start());
    // A stopped agent reads nothing: the ring must overflow.
    agent.signal("STOP");
    flood_in(&cgroup);
    agent.signal("CONT");
    let account = final_account(&mut agent);
    assert_balance(&account);
    let dropped = account["process-fork"]["dropped"];
    assert!(dropped > 0, "{account:?}");
    let records = agent.records();
    let lost: u64 = (records.iter())
        .filter(|record| record["type"] == "loss" && record["kind"] == "process-fork")
        .map(|record| record["lost"].as_u64().unwrap())
        .sum();
    assert_eq!(lost, dropped, "every lost record is in a loss record");
    let seen = of_cgroup(&records, "fork", cgroup.id());
    assert!(seen < FORKS && seen as u64 + dropped >= FORKS as u64, "{seen} seen, {dropped} dropped");
}
