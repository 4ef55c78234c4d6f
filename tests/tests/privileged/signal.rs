//! Signals between containers.

use serde_json::{Value, json};
use watchfire_tests::Agent;

use crate::actor::{Actor, Interface, args, words};
use crate::calls::*;
use crate::running::{TestCgroup, nonce};
use crate::stage::{agent_of, assert_fields, assert_namespaces, event, skip, stopped};

/// What its agents watch.
const FAMILIES: &[&str] = &["signal"];

const SIGTERM: i32 = libc::SIGTERM;
/// Ignored unless a process asks for it.
const SIGWINCH: i32 = libc::SIGWINCH;
/// `SI_QUEUE` and `SI_TKILL` of sigaction(2); 0 is kill(2).
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;

/// One way to send a signal.
struct Row {
    call: Call,
    signal: i32,
    name: &'static str,
    outcome: &'static str,
    code: i32,
    send: fn(&mut Actor, u32, i32) -> Option<i64>,
}

/// `siginfo_t` with a number, an error and a code.
fn info(signal: i32, code: i32) -> Vec<u8> {
    let mut info = words([signal as u32, 0, code as u32]);
    info.resize(128, 0);
    info
}

const ROWS: [Row; 6] = [
    Row {
        call: KILL,
        signal: SIGWINCH,
        name: "SIGWINCH",
        outcome: "ignored",
        code: 0,
        send: |actor, pid, signal| actor.attempt(KILL, args![pid, signal]),
    },
    Row {
        call: TKILL,
        signal: SIGWINCH,
        name: "SIGWINCH",
        outcome: "ignored",
        code: SI_TKILL,
        send: |actor, pid, signal| actor.attempt(TKILL, args![pid, signal]),
    },
    Row {
        call: TGKILL,
        signal: libc::SIGURG,
        name: "SIGURG",
        outcome: "ignored",
        code: SI_TKILL,
        send: |actor, pid, signal| actor.attempt(TGKILL, args![pid, pid, signal]),
    },
    Row {
        call: RT_SIGQUEUEINFO,
        signal: libc::SIGURG,
        name: "SIGURG",
        outcome: "ignored",
        code: SI_QUEUE,
        send: |actor, pid, signal| actor.attempt(RT_SIGQUEUEINFO, args![pid, signal, info(signal, SI_QUEUE)]),
    },
    Row {
        call: PIDFD_SEND_SIGNAL,
        signal: libc::SIGURG,
        name: "SIGURG",
        outcome: "ignored",
        code: 0,
        send: |actor, pid, signal| {
            let fd = actor.prepare(PIDFD_OPEN, args![pid, 0]);
            actor.attempt(PIDFD_SEND_SIGNAL, args![fd, signal, 0, 0])
        },
    },
    // The target ends by it, so this comes last.
    Row {
        call: KILL,
        signal: SIGTERM,
        name: "SIGTERM",
        outcome: "delivered",
        code: 0,
        send: |actor, pid, signal| actor.attempt(KILL, args![pid, signal]),
    },
];

fn target_of(agent: &Agent, target: &Actor) -> Value {
    let exec = agent.record("the exec of the target", |record| {
        record["action"] == "exec"
            && record["process"]["pid"] == target.pid()
            && record["process"]["binary"] == *target.binary.to_string_lossy()
    });
    let process = &exec["process"];
    json!({
        "exec_id": process["exec_id"], "pid": target.pid(), "binary": process["binary"],
        "cgroup_id": process["cgroup_id"], "pod": null,
    })
}

pub(crate) fn across_cgroups() {
    let (here, there) =
        (TestCgroup::new(&nonce("watchfire-sender")), TestCgroup::new(&nonce("watchfire-target")));
    let mut agent = agent_of(FAMILIES, &json!({}));
    for interface in [Interface::Native, Interface::Compat] {
        if interface == Interface::Compat && !crate::operate::has_compat() {
            skip("signals_across_cgroups/compat", "this kernel has no 32-bit system calls");
            continue;
        }
        let (mut sender, target) = (Actor::start_in(&here), Actor::start_in(&there));
        sender.interface = interface;
        let expected = target_of(&agent, &target);
        assert_eq!(expected["cgroup_id"], there.id());
        for row in ROWS {
            let name = row.call.name;
            let Some(result) = (row.send)(&mut sender, target.pid(), row.signal) else {
                skip(&format!("signals_across_cgroups/{name}"), "this machine has no such call");
                continue;
            };
            assert_eq!(result, 0, "{name}");
            // The kernel's part is the same for both interfaces, and tells of neither.
            sender.interface = Interface::Native;
            let record = event(&agent, &sender, ("signal", "signal"), result, |record| {
                record["signal"] == row.signal
                    && record["code"] == row.code
                    && record["target"] == {
                        let mut target = expected.clone();
                        target.as_object_mut().unwrap().remove("pod");
                        target
                    }
            });
            sender.interface = interface;
            assert_fields(&record, &json!({"name": row.name, "outcome": row.outcome, "result": null}));
            assert_eq!(record["process"]["cgroup_id"], here.id(), "{name}: {record}");
            assert_namespaces(&sender, &record);
        }
        sender.finish();
    }
    // What the kernel sends by itself, here when a child ends in another cgroup, is no one's deed.
    let records = stopped(&mut agent);
    let by_kernel: Vec<_> =
        records.iter().filter(|record| record["type"] == "signal" && record["name"] == "SIGCHLD").collect();
    assert!(by_kernel.is_empty(), "{by_kernel:?}");
}

pub(crate) fn within_a_cgroup() {
    let cgroup = TestCgroup::new(&nonce("watchfire-within"));
    let mut agent = agent_of(FAMILIES, &json!({}));
    let (mut sender, target) = (Actor::start_in(&cgroup), Actor::start_in(&cgroup));
    assert_eq!(sender.call(KILL, args![target.pid(), SIGWINCH]), 0);
    assert_eq!(sender.call(KILL, args![target.pid(), SIGTERM]), 0);
    // Whether it is there at all is no signal.
    assert_eq!(sender.call(KILL, args![std::process::id(), 0]), 0);
    let records = stopped(&mut agent);
    let told: Vec<_> = (records.iter())
        .filter(|record| record["type"] == "signal" && record["process"]["pid"] == sender.pid())
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

pub(crate) fn to_the_agent() {
    let agent = agent_of(FAMILIES, &json!({}));
    // In the agent's own cgroup.
    let mut actor = Actor::start();
    let result = actor.call(KILL, args![agent.pid(), SIGWINCH]);
    assert_eq!(result, 0);
    let record = event(&agent, &actor, ("signal", "signal"), 0, |record| record["signal"] == SIGWINCH);
    assert_eq!(record["target"]["pid"], agent.pid(), "{record}");
    assert_fields(&record, &json!({"name": "SIGWINCH", "outcome": "ignored", "code": 0}));
    assert_namespaces(&actor, &record);
}
