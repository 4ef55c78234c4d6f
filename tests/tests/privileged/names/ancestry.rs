//! Who made whom, up to the first process of the container and of the host.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use watchfire_tests::Agent;

use crate::calls::CHROOT;
use crate::peer::{Peer, this_binary};
use crate::running::{TestCgroup, agent, has_argument, nonce, who};
use crate::stage::agent_of;

/// Most of its ancestors that a record names.
const ANCESTORS_MAX: usize = 8;

/// What the container's first process does: makes a shell, which makes the acting process and ends. It waits for the end of
/// that, which holds the other end of a pipe.
const FIRST: &str = r#"
exec 3<&0
/bin/sh -c '"$PEER" "$ACTING" <&3 4>"$PIPE" &' "$GONE"
read line <"$PIPE" || exit 0
"#;

fn exec_id(process: &Value) -> &str {
    process["exec_id"].as_str().unwrap_or_else(|| panic!("no identity: {process}"))
}

/// Identities of ancestors, nearest first.
fn ids(ancestors: &Value) -> Vec<String> {
    let ancestors = ancestors.as_array().map_or(&[][..], Vec::as_slice);
    assert!(ancestors.len() <= ANCESTORS_MAX, "{ancestors:?}");
    ancestors.iter().map(|ancestor| exec_id(ancestor).to_owned()).collect()
}

fn known(agent: &Agent, exec_id: &str) -> Value {
    let mut found = who(agent, exec_id);
    assert_eq!(found.len(), 1, "{exec_id}: {found:?}");
    found.remove(0)
}

pub(crate) fn of_a_container() {
    let agent = agent_of(&["namespace"], &json!({}));
    let container = "a1b2c3d4".repeat(8);
    let cgroup = TestCgroup::new(&format!("system.slice/docker-{container}.scope"));
    let (init, gone, acting) = (nonce("init"), nonce("gone"), nonce("acting"));
    let pipe = agent.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = cgroup.shell("exec unshare -p -f /bin/sh -c \"$FIRST\" \"$INIT\"");
    command.env("FIRST", FIRST).env("PIPE", &pipe);
    command.env("INIT", &init).env("GONE", &gone).env("ACTING", &acting);
    let mut actor = Peer::start_by(command, "operate");
    let exec = agent.record("the exec of the acting process", |record| {
        record["action"] == "exec" && record["process"]["args"][1] == acting
    });
    let _ = agent.record("the end of the shell that made it", |record| {
        record["action"] == "exit" && record["process"]["exec_id"] == exec["parent"]["exec_id"]
    });

    // What it does now is told with that shell all the same.
    let root = "x:2f00";
    assert_eq!(actor.ask(&format!("native {} {root}", CHROOT.native.unwrap())), "0");
    let event = agent.record("what it does", |record| {
        record["operation"] == "chroot" && record["process"]["exec_id"] == exec["process"]["exec_id"]
    });
    let chain = ids(&event["ancestors"]);
    let (shell, first) = (known(&agent, &chain[0]), known(&agent, &chain[1]));
    assert_eq!((&shell["running"], &shell["process"]["ns_pid"]), (&false.into(), &2.into()), "{shell}");
    assert!(has_argument(&shell, &gone), "{shell}");
    assert_eq!((&first["running"], &first["process"]["ns_pid"]), (&true.into(), &1.into()), "{first}");
    assert!(has_argument(&first, &init), "{first}");
    for process in [&event["process"], &shell["process"], &first["process"]] {
        assert_eq!(process["container"]["id"], container, "{process}");
    }
    // unshare itself, and the test.
    assert_eq!(event["ancestors"][2]["pid"], actor.pid(), "{event}");
    assert_eq!(event["ancestors"][3]["pid"], std::process::id(), "{event}");
    actor.end();
}

/// The pid of the process that has another as its child, as procfs tells it.
fn parent_of(pid: u64) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    parent.trim().parse().unwrap()
}

pub(crate) fn of_the_host() {
    let agent = agent();
    let nonce = nonce("leaf");
    let mut command = Command::new(this_binary());
    command.arg(&nonce);
    let peer = Peer::start_by(command, "operate");
    let exec = agent.record("the exec", |record| record["action"] == "exec" && has_argument(record, &nonce));
    assert_eq!(exec["process"]["pid"], peer.pid());
    let mut chain = vec![exec_id(&exec["process"]).to_owned()];
    // Where one answer does not name them all, its last one is asked about.
    loop {
        let elders = ids(&known(&agent, chain.last().unwrap())["ancestors"]);
        if elders.is_empty() {
            break;
        }
        chain.extend(elders);
    }
    let pids: Vec<u64> = chain.iter().map(|id| id.split('-').nth(1).unwrap().parse().unwrap()).collect();
    for pair in pids.windows(2) {
        assert_eq!(parent_of(pair[0]), pair[1], "{pids:?}");
    }
    assert_eq!(parent_of(*pids.last().unwrap()), 0, "not up to the first process: {pids:?}");
    peer.end();
}
