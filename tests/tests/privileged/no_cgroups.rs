//! A host on which no cgroup v2 hierarchy is mounted. For these agents alone nothing of it is: their mount namespace is
//! their own.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::thread::CapabilitySet;
use serde_json::Value;
use watchfire_tests::{Agent, AgentCommand, cgroup2_root, watchfire};

use crate::peer::{Peer, ROLE, this_binary};
use crate::running::{TestCgroup, has_argument, http_get, metric, nonce, ready};
use crate::tcp::flow;

const NO_SOCK_OPS: &str = "watchfire_probe_info{probe=\"tcp\",hook=\"\",rung=\"0\"}";
const SOCK_OPS: &str = "watchfire_probe_info{probe=\"tcp\",hook=\"sock_ops\",rung=\"1\"}";

/// Arguments of an agent that disturbs no other.
const RUN: &str = "run --metrics-listen 127.0.0.1:0 --socket observe.sock --drain-timeout 30";

/// A command after which no cgroup v2 is mounted, and that then becomes another.
fn without(root: &Path, program: &Path, arguments: &str) -> AgentCommand {
    let script = format!("umount {} && exec \"$0\" {arguments}", root.display());
    let program = program.to_string_lossy().into_owned();
    AgentCommand::by("unshare", ["--mount", "/bin/sh", "-c", &script, &program])
}

/// Becomes an agent that may not mount.
pub(crate) fn become_without_mounting() {
    rustix::thread::remove_capability_from_bounding_set(CapabilitySet::SYS_ADMIN)
        .expect("give up a capability");
    let error = Command::new(watchfire()).args(RUN.split(' ')).exec();
    panic!("cannot become an agent: {error}");
}

/// What a connection is told as, at both ends.
fn assert_seen(agent: &Agent) {
    let mut server = Peer::start("serve 127.0.0.1:0 4321");
    let port = server.port();
    let mut client = Peer::start(&format!("connect 127.0.0.1:{port} 1234"));
    assert_eq!(client.line(), "received 4321");
    for (side, pid, sent) in [("client", client.pid(), 1234), ("server", server.pid(), 4321)] {
        let close = flow(agent, "close", side, port);
        assert_eq!(close["process"]["pid"], pid, "{close}");
        assert_eq!(close["counters"]["bytes_sent"], sent, "{close}");
    }
    client.finish();
}

fn exec_of(agent: &Agent, nonce: &str) -> Value {
    agent.record("the exec", |record| record["action"] == "exec" && has_argument(record, nonce))
}

fn mount_options() -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().filter(|line| line.contains(" - cgroup2 ")).map(str::to_owned).collect()
}

pub(crate) fn own_mount() {
    let before = mount_options();
    let agent = ready(without(&cgroup2_root().unwrap(), &watchfire(), RUN).start());
    assert_eq!(metric(&agent, SOCK_OPS), 1);
    assert_eq!(mount_options(), before, "options of the hierarchy are those of every mount");
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", agent.pid())).unwrap();
    assert!(!mounts.contains(" - cgroup2 "), "{mounts}");
    assert_seen(&agent);
    // Who is in which cgroup is read from there as well.
    let cgroup = TestCgroup::new(&nonce("watchfire-own-mount"));
    let nonce = nonce("own-mount");
    assert!(cgroup.shell(&format!("exec /bin/sh -c 'exit 0' {nonce}")).status().unwrap().success());
    let exec = exec_of(&agent, &nonce);
    assert_eq!(exec["process"]["cgroup"], format!("/{}", cgroup.path), "{exec}");
}

pub(crate) fn late_mount() {
    let root = cgroup2_root().unwrap();
    // Without this capability an agent cannot mount one for itself.
    let agent = without(&root, &this_binary(), "").with_env(ROLE, "agent-without-mounting");
    let mut agent = ready(agent.start());
    agent.logged("waits for a cgroup v2 mount");
    assert_eq!(metric(&agent, NO_SOCK_OPS), 0);
    // Counters are shown once a second.
    while metric(&agent, "watchfire_probes_waiting") == 0 {
        std::thread::yield_now();
    }
    let first = nonce("cgroupless");
    assert!(Command::new("/bin/sh").args(["-c", "exit 0", &first]).status().unwrap().success());
    assert_eq!(exec_of(&agent, &first)["process"]["cgroup"], Value::Null, "processes are seen all the same");

    // What is open when the mount appears is told as found, with who holds it.
    let mut server = Peer::start("answer 127.0.0.1:0 100");
    let port = server.port();
    let mut older = Peer::start(&format!("talk 127.0.0.1:{port}"));
    let _ = older.port();
    let mount =
        format!("nsenter --mount=/proc/{}/ns/mnt mount -t cgroup2 cgroup2 {}", agent.pid(), root.display());
    assert!(Command::new("/bin/sh").args(["-c", &mount]).status().unwrap().success());
    agent.logged("a cgroup v2 hierarchy appeared");
    for (side, pid) in [("client", older.pid()), ("server", server.pid())] {
        let found = flow(&agent, "found", side, port);
        assert_eq!(found["process"]["pid"], pid, "{found}");
    }
    while !http_get(&agent, "/metrics").1.contains(&format!("{SOCK_OPS} 1")) {
        std::thread::yield_now();
    }
    assert_eq!(metric(&agent, "watchfire_probes_waiting"), 0);
    assert_seen(&agent);
    assert_eq!(older.ask("10"), "100");
    older.end();
    assert_eq!(flow(&agent, "close", "client", port)["counters"]["bytes_sent"], 10);

    agent.signal("TERM");
    assert_eq!(agent.ended().code(), Some(0), "{:?}", agent.log());
    let told = |stage: &str| {
        let is_it = |record: &&Value| crate::tcp::is(record, stage, "client", port);
        agent.records().iter().filter(is_it).count()
    };
    assert_eq!((told("found"), told("open"), told("close")), (1, 0, 1));
}
