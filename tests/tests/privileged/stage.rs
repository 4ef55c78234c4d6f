//! What every security record must say of the process that acted.

use std::path::Path;

use serde_json::{Value, json};
use watchfire_tests::{Agent, AgentCommand};

use crate::actor::{Actor, Interface, errno};
use crate::running::{bare, has_argument, http_get, only, ready};

/// How the last rung of a ladder is called.
pub(crate) const SYS_EXIT: &str = "tp_btf/sys_exit";

/// An agent with a `sensor` section, not started yet.
pub(crate) fn with_sensor(more: &[&str], sensor: &Value) -> AgentCommand {
    // JSON is YAML.
    let config = json!({ "sensor": sensor }).to_string();
    bare(&["--config", "config.yaml"].iter().chain(more).copied().collect::<Vec<_>>())
        .with_file("config.yaml", &config)
}

/// A running agent with a `sensor` section.
pub(crate) fn agent_with(sensor: &Value) -> Agent {
    ready(with_sensor(&[], sensor).start())
}

/// A running agent with these families and more of a `sensor` section.
pub(crate) fn agent_of(wanted: &[&str], sensor: &Value) -> Agent {
    let mut sensor = sensor.clone();
    sensor["families"] = only(wanted);
    agent_with(&sensor)
}

/// Whether a record tells that an actor did something.
pub(crate) fn is_by(record: &Value, actor: &Actor, kind: &str, operation: &str) -> bool {
    record["type"] == kind && record["operation"] == operation && record["process"]["pid"] == actor.pid()
}

/// Waits for the record of what an actor did, and checks what it says of the actor and of the call: `result` is what the
/// call returned.
pub(crate) fn event(
    agent: &Agent,
    actor: &Actor,
    (kind, operation): (&str, &str),
    result: i64,
    mut is_it: impl FnMut(&Value) -> bool,
) -> Value {
    let record = agent.record(&format!("the {kind} record of {operation}"), |record| {
        is_by(record, actor, kind, operation) && is_it(record)
    });
    assert_actor(agent, actor, &record);
    assert_call(agent, &record, result, actor.interface);
    record
}

/// Checks what a record says of the process that acted.
pub(crate) fn assert_actor(agent: &Agent, actor: &Actor, record: &Value) {
    let binary = actor.binary.to_string_lossy();
    let exec = agent.record("the exec of the actor", |record| {
        record["action"] == "exec"
            && has_argument(record, &actor.nonce)
            && record["process"]["binary"] == *binary
    });
    let (process, known) = (&record["process"], &exec["process"]);
    for field in ["exec_id", "pid", "binary", "args", "cgroup_id", "cgroup", "origin", "ns_pid"] {
        assert_eq!(process[field], known[field], "process.{field} of {record}");
    }
    assert_eq!(process["ns_pid"], actor.pid(), "{record}");
    let ancestors = record["ancestors"].as_array().unwrap_or_else(|| panic!("no ancestors: {record}"));
    assert!((1..=8).contains(&ancestors.len()), "{record}");
    let parent = &ancestors[0];
    assert_eq!(parent["pid"], std::process::id(), "{record}");
    assert_eq!(parent["exec_id"], exec["parent"]["exec_id"], "{record}");
    assert_eq!(parent["binary"], *binary, "the tests are their own peers: {record}");
    assert!(record["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{record}");
    assert!(record["node"].is_string(), "{record}");
    let (before, at) = (exec["boot_ns"].as_u64().unwrap(), record["boot_ns"].as_u64().unwrap());
    assert!(before < at && at < boot_time_ns(), "{at} is between {before} and now: {record}");
    for absent in ["truncated", "unreadable"] {
        assert_eq!(record[absent], Value::Null, "{record}");
    }
}

/// Checks that the record's namespaces are those that the actor is in now.
pub(crate) fn assert_namespaces(actor: &Actor, record: &Value) {
    for name in ["net", "mnt", "pid", "user"] {
        let link = if name == "pid" { "pid_for_children" } else { name };
        if !std::fs::exists(format!("/proc/{}/ns/{link}", actor.pid())).unwrap() {
            // A new pid namespace, in which nothing runs yet.
            continue;
        }
        let expected = namespace(actor.pid(), link);
        assert_eq!(record["process"]["namespaces"][name], expected, "{name}: {record}");
    }
}

/// Inode number of a process's namespace.
pub(crate) fn namespace(pid: u32, name: &str) -> u64 {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    let link = link.to_string_lossy();
    link.split(['[', ']']).nth(1).and_then(|number| number.parse().ok()).expect("a namespace has a number")
}

/// Checks what a record says of the call. Hooks before its end know neither its result nor its interface.
fn assert_call(agent: &Agent, record: &Value, result: i64, interface: Interface) {
    let said = &record["result"];
    if said.is_null() {
        assert_eq!(record["error"], Value::Null, "{record}");
        assert!(
            record["interface"].is_null() || record["interface"].as_str() == interface.name(),
            "{record}"
        );
        return;
    }
    // The result of mmap(2) is an address, and told as 0.
    let expected = if result > i64::from(i32::MAX) { 0 } else { result };
    assert_eq!(said.as_i64(), Some(expected), "{record}");
    let error = if result < 0 { json!(errno(result)) } else { Value::Null };
    assert_eq!(record["error"], error, "{record}");
    assert_eq!(record["interface"].as_str(), interface.name(), "{record}\n{:?}", hooks(agent, ""));
}

/// Checks that a record has these fields; null stands for one that it must not have.
pub(crate) fn assert_fields(record: &Value, expected: &Value) {
    for (name, expected) in expected.as_object().expect("fields are given as an object") {
        assert_eq!(&record[name], expected, "{name} of {record}");
    }
}

/// What a file of the file system is to a record.
pub(crate) fn assert_inode(record: &Value, path: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::symlink_metadata(path).unwrap();
    assert_eq!(record["inode"], file.ino(), "{record}");
    assert_eq!(record["device"], device(file.dev()), "{record}");
}

/// A device number as records show it.
pub(crate) fn device(number: u64) -> String {
    format!("{}:{}", libc::major(number), libc::minor(number))
}

/// The hooks of the probes whose name begins so.
pub(crate) fn hooks(agent: &Agent, probe: &str) -> Vec<(String, String)> {
    let (_, body) = http_get(agent, "/metrics");
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        Some(rest.split('"').next()?.to_owned())
    };
    (body.lines())
        .filter(|line| line.starts_with("watchfire_probe_info{"))
        .filter_map(|line| Some((label(line, "probe")?, label(line, "hook")?)))
        .filter(|(name, _)| name.starts_with(probe))
        .collect()
}

/// Whether a probe is attached to the end of every system call.
pub(crate) fn is_last_rung(agent: &Agent, probe: &str) -> bool {
    hooks(agent, probe).iter().any(|(_, hook)| hook == SYS_EXIT)
}

/// CLOCK_BOOTTIME, rounded up to what /proc tells.
fn boot_time_ns() -> u64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).unwrap();
    ((seconds + 1.0) * 1e9) as u64
}

/// Says that a part of a test did not run.
pub(crate) fn skip(part: &str, reason: &str) {
    // On a line of its own: the task runner collects these.
    println!("\nSKIP {part}: {reason}");
}

/// Ends an agent and gives everything that it wrote: what is not among it does not come any more.
pub(crate) fn stopped(agent: &mut Agent) -> Vec<Value> {
    agent.signal("TERM");
    assert_eq!(agent.ended().code(), Some(0), "{:?}", agent.log());
    agent.records()
}
