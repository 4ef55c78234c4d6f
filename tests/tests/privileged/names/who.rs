//! `watchfire who`.

use std::process::{Command, Output};

use watchfire_tests::{Agent, watchfire};

use super::objects::{Pod, put};
use crate::peer::{Peer, this_binary};
use crate::running::{TestCgroup, agent, ask_who, command, has_argument, nonce, ready, who, who_until};

const CONTAINER: &str = "e5";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn answer(agent: &Agent, query: &str, code: i32) -> String {
    let Output { status, stdout, stderr } = ask_who(agent, &[query]);
    assert_eq!((status.code(), text(&stderr)), (Some(code), String::new()), "{}", text(&stdout));
    text(&stdout)
}

fn with_pod() -> (Agent, Pod) {
    let pod = Pod::new("web", "10.96.0.7");
    let agent =
        command(&["--manifests", "manifests", "--container-runtime", "none", "--node-name", "node-a"])
            .with_file("manifests/web.yaml", &pod.manifest());
    (ready(agent.start()), pod)
}

pub(crate) fn pid() {
    let (agent, pod) = with_pod();
    let container = CONTAINER.repeat(32);
    let uid = pod.uid();
    let cgroup = TestCgroup::new(&format!("kubepods/burstable/pod{uid}/{container}"));
    let nonce = nonce("who");
    let peer = Peer::start_by(cgroup.shell(&format!("exec \"$PEER\" {nonce}")), "operate");
    let exec = agent.record("the exec", |record| {
        record["action"] == "exec"
            && has_argument(record, &nonce)
            && record["process"]["args"].as_array().unwrap().len() == 2
    });
    let pid = peer.pid().to_string();
    let said = answer(&agent, &pid, 0);
    let binary = std::fs::canonicalize(this_binary()).unwrap();
    for expected in [
        &format!("process {pid} {} (running)\n", binary.display()),
        "  pod           shop/web\n",
        &format!("  container     {}\n", &container[..12]),
        &format!("  cgroup        /{}\n", cgroup.path),
        "  known from    kernel: it was seen to begin\n",
        &format!("  child of      {} ", std::process::id()),
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let known = who(&agent, &pid);
    assert_eq!((known.len(), &known[0]["process"]["exec_id"]), (1, &exec["process"]["exec_id"]));
    // The container, by the beginning of its id, and the pod have the process.
    for query in [&container[..12], "shop/web", "web", &uid] {
        let known = who(&agent, query);
        assert_eq!((known.len(), &known[0]["processes"]), (1, &serde_json::json!([peer.pid()])), "{known:?}");
    }
    peer.end();
    let _ = agent.record("the exit", |record| record["action"] == "exit" && has_argument(record, &nonce));
    assert!(answer(&agent, &pid, 1).contains(&format!("{pid}: nobody is known by that on node node-a\n")));
    let ended = who(&agent, exec["process"]["exec_id"].as_str().unwrap());
    assert_eq!(ended[0]["running"], false, "{ended:?}");
}

pub(crate) fn address() {
    let (agent, pod) = with_pod();
    let said = answer(&agent, "::ffff:10.96.0.7", 0);
    assert_eq!(said, "address 10.96.0.7: pod shop/web\n");
    assert_eq!(answer(&agent, "198.51.100.9", 0), "address 198.51.100.9: outside of the cluster\n");
    // What changes while nothing is asked or seen is known all the same.
    let moved = Pod { ip: "10.96.0.8", ..pod };
    put(&agent, "web.yaml", &moved.manifest());
    let _ = who_until(&agent, "10.96.0.8", |known| known["pod"]["name"] == "web");
}

pub(crate) fn nobody() {
    let agent = agent();
    for query in ["shop/nothing", "4194303999", "abcdef0123456789"] {
        assert!(answer(&agent, query, 1).starts_with(&format!("{query}: nobody is known by that on node ")));
        assert_eq!(who(&agent, query).len(), 0);
    }
    let Output { status, stderr, .. } = ask_who(&agent, &[""]);
    assert_eq!(status.code(), Some(1));
    assert!(text(&stderr).contains("0 bytes long"), "{}", text(&stderr));
}

pub(crate) fn without_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("observe.sock");
    let Output { status, stdout, stderr } =
        Command::new(watchfire()).args(["who", "1", "--socket"]).arg(&socket).output().unwrap();
    assert_eq!((status.code(), text(&stdout)), (Some(1), String::new()));
    let said = text(&stderr);
    assert!(said.contains("no agent listens on") && said.contains(&*socket.to_string_lossy()), "{said}");
}
