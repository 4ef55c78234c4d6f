//! Process ids that are used again.

use std::fs;
use std::process::Command;

use serde_json::Value;
use watchfire_tests::Agent;

use crate::peer::{Peer, this_binary};
use crate::running::{agent, has_argument, nonce, who};

/// The kernel gives out the id behind this one next, if it is free (proc_sys_kernel(5)).
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
/// How often somebody else may be faster.
const TRIES_MAX: usize = 500;

fn process(agent: &Agent, action: &str, argument: &str) -> Value {
    agent.record(&format!("the {action} of {argument}"), |record| {
        record["type"] == "process" && record["action"] == action && has_argument(record, argument)
    })
}

fn real(program: &str) -> String {
    fs::canonicalize(program).unwrap().to_string_lossy().into_owned()
}

/// Two processes had one id, one after the other: `second` runs.
fn assert_apart(agent: &Agent, first: &str, second: &str) {
    let (exec, exit, later) =
        (process(agent, "exec", first), process(agent, "exit", first), process(agent, "exec", second));
    let (before, now) = (&exec["process"], &later["process"]);
    assert_ne!(before["exec_id"], now["exec_id"]);
    assert_eq!(before["exec_id"], exit["process"]["exec_id"]);
    assert_eq!((&before["binary"], &exit["exit"]["code"]), (&real("/bin/sh").into(), &7.into()), "{exit}");
    assert_eq!(exit["process"]["binary"], before["binary"], "{exit}");
    assert_eq!(now["binary"], real(&this_binary().to_string_lossy()), "{later}");

    let known = who(agent, &now["pid"].to_string());
    assert_eq!((known.len(), &known[0]["running"]), (1, &true.into()), "{known:?}");
    assert_eq!(
        (&known[0]["process"]["exec_id"], &known[0]["process"]["args"]),
        (&now["exec_id"], &now["args"])
    );
    let ended = who(agent, before["exec_id"].as_str().unwrap());
    assert_eq!((&ended[0]["running"], &ended[0]["process"]["args"]), (&false.into(), &before["args"]));
}

pub(crate) fn in_a_namespace() {
    let agent = agent();
    let (first, second) = (nonce("first"), nonce("second"));
    // Nobody else makes processes in there: the id comes back for certain.
    let script = format!(
        "exec 3<&0\n\
         /bin/sh -c 'exit 7' {first} & id=$!\n\
         wait $id\n\
         echo $((id - 1)) > {LAST_PID}\n\
         \"$PEER\" {second} <&3 & echo $id $!\n\
         wait\n"
    );
    let mut namespace = Command::new("unshare");
    namespace.args(["-p", "-f", "/bin/sh", "-c", &script]);
    let mut peers = Peer::start_by(namespace, "operate");
    let ids = peers.line();
    let (one, other) = ids.split_once(' ').unwrap_or_else(|| panic!("ids are {ids:?}"));
    assert_eq!(one, other, "the id did not come back");
    assert_apart(&agent, &first, &second);
    for argument in [&first, &second] {
        assert_eq!(process(&agent, "exec", argument)["process"]["ns_pid"].to_string(), one);
    }
    peers.end();
}

pub(crate) fn on_the_host() {
    let agent = agent();
    for _ in 0..TRIES_MAX {
        let (first, second) = (nonce("first"), nonce("second"));
        let mut child = Command::new("/bin/sh").args(["-c", "exit 7", &first]).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        // Identities tell processes apart that began in different clock ticks.
        std::thread::park_timeout(std::time::Duration::from_millis(30));
        fs::write(LAST_PID, (pid - 1).to_string()).unwrap();
        let mut command = Command::new(this_binary());
        command.arg(&second);
        let peer = Peer::start_by(command, "operate");
        if peer.pid() == pid {
            assert_apart(&agent, &first, &second);
            assert_eq!(process(&agent, "exec", &first)["process"]["pid"], pid);
            return peer.end();
        }
    }
    panic!("other processes were faster {TRIES_MAX} times: process ids do not come back here");
}
