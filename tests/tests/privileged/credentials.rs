//! Users, groups and capabilities.

use serde_json::{Value, json};
use watchfire_model::capability_names;
use watchfire_tests::Agent;

use crate::actor::{Actor, Argument, Interface, args, words};
use crate::calls::*;
use crate::stage::{agent_of, assert_actor, assert_fields, event, is_by, namespace, skip, stopped};

/// What its agents watch.
const FAMILIES: &[&str] = &["credentials", "capability"];

const CAP_CHOWN: u32 = 0;
const CAP_NET_BIND_SERVICE: u32 = 10;
/// `_LINUX_CAPABILITY_VERSION_3`
const CAPABILITY_VERSION: u32 = 0x2008_0522;
const SAME: i32 = -1;

/// A process's credentials as its records show them; /proc/PID/status has them all.
fn credentials(pid: u32) -> Value {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name} in {status}"))
    };
    let ids = |name| line(name).split('\t').map(|id| id.parse().unwrap()).collect::<Vec<u32>>();
    let set = |name| capability_names(u64::from_str_radix(line(name), 16).unwrap());
    let (uids, gids) = (ids("Uid"), ids("Gid"));
    json!({
        "uid": uids[0], "euid": uids[1], "suid": uids[2], "fsuid": uids[3],
        "gid": gids[0], "egid": gids[1], "sgid": gids[2], "fsgid": gids[3],
        "effective": set("CapEff"), "permitted": set("CapPrm"), "inheritable": set("CapInh"), "ambient": set("CapAmb"),
    })
}

/// Waits for the record of a change, however the hook calls it, and checks it.
fn changed(agent: &Agent, actor: &Actor, operation: &str, result: i64, old: &Value) {
    let new = credentials(actor.pid());
    let told = |record: &Value| record["new"] == new;
    let name = agent.record(&format!("the credentials record of {operation} to {new}"), |record| {
        (is_by(record, actor, "credentials", operation) || is_by(record, actor, "credentials", "commit"))
            && told(record)
    });
    let record =
        event(agent, actor, ("credentials", name["operation"].as_str().unwrap()), result, |record| {
            told(record)
        });
    if record["old"].is_null() {
        assert_eq!(record["gained"], Value::Null, "{record}");
    } else {
        assert_fields(&record, &json!({"old": old, "gained": []}));
    }
    assert_eq!(record["user_ns"], namespace(actor.pid(), "user"), "{record}");
}

/// One way to change credentials, with a process of its own.
type Row = (Call, &'static str, &'static [Argument]);

const fn number(number: i32) -> Argument {
    Argument::Number(number as i64)
}

const ROWS: &[Row] = &[
    (SETUID, "setuid", &[number(1000)]),
    (SETREUID, "setuid", &[number(1000), number(1001)]),
    (SETRESUID, "setuid", &[number(1000), number(1001), number(1002)]),
    // Back is possible: the saved user stays.
    (SETRESUID, "setuid", &[number(SAME), number(1000), number(SAME)]),
    (SETFSUID, "setuid", &[number(1000)]),
    (SETGID, "setgid", &[number(1000)]),
    (SETREGID, "setgid", &[number(1000), number(1001)]),
    (SETRESGID, "setgid", &[number(1000), number(1001), number(1002)]),
];

fn change_all(interface: Interface) {
    let agent = agent_of(FAMILIES, &json!({}));
    for (call, operation, arguments) in ROWS {
        let mut actor = Actor::new(interface);
        let old = credentials(actor.pid());
        let Some(result) = actor.attempt(*call, arguments) else {
            skip(&format!("credentials/{}", call.name), "this machine has no such call");
            continue;
        };
        assert!(result >= 0, "{call:?}: {result}");
        assert_ne!(credentials(actor.pid()), old, "{call:?}");
        changed(&agent, &actor, operation, result, &old);
    }
    let mut actor = Actor::new(interface);
    let result = actor.call(SETGROUPS, args![3, words([1000, 1001, 1002])]);
    assert_eq!(result, 0);
    // They are no part of what is told, so nothing changes in it.
    let record = agent.record("the credentials record of setgroups", |record| {
        is_by(record, &actor, "credentials", "setgroups") || is_by(record, &actor, "credentials", "commit")
    });
    assert_actor(&agent, &actor, &record);
    assert_eq!(record["new"], credentials(actor.pid()), "{record}");
}

pub(crate) fn native() {
    change_all(Interface::Native);
}

pub(crate) fn compat() {
    change_all(Interface::Compat);
}

pub(crate) fn capset() {
    let agent = agent_of(FAMILIES, &json!({}));
    for interface in [Interface::Native, Interface::Compat] {
        if interface == Interface::Compat && !crate::operate::has_compat() {
            skip("credentials_capset/compat", "this kernel has no 32-bit system calls");
            continue;
        }
        let mut actor = Actor::new(interface);
        let old = credentials(actor.pid());
        // Effective, permitted, inheritable: of capabilities below 32, then above.
        let kept = 1 << CAP_CHOWN | 1 << CAP_NET_BIND_SERVICE;
        let header = words([CAPABILITY_VERSION, 0]);
        let result = actor.call(CAPSET, args![header, words([1 << CAP_CHOWN, kept, 0, 0, 0, 0])]);
        assert_eq!(result, 0);
        changed(&agent, &actor, "capset", result, &old);
    }
}

pub(crate) fn capability_use() {
    let mut agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    let mount = |actor: &mut Actor| {
        let arguments = args!["none", "/no/such/folder", "tmpfs", 0, 0];
        actor.call(MOUNT, arguments)
    };
    let no_such_folder = -i64::from(libc::ENOENT);
    // In a mount namespace of its own, which takes CAP_SYS_ADMIN.
    actor.prepare(UNSHARE, args![libc::CLONE_NEWNS]);
    assert_eq!((mount(&mut actor), mount(&mut actor)), (no_such_folder, no_such_folder));
    let record =
        event(&agent, &actor, ("capability", "capable"), 0, |record| record["capability"] == "CAP_SYS_ADMIN");
    assert_eq!(record["user_ns"], namespace(actor.pid(), "user"), "{record}");

    let mut without = Actor::start();
    without.prepare(SETUID, args![1000]);
    let refused = without.call(UNSHARE, args![libc::CLONE_NEWNET]);
    assert_eq!(refused, -i64::from(libc::EPERM));
    let record = event(&agent, &without, ("capability", "capable"), refused, |record| {
        record["capability"] == "CAP_SYS_ADMIN"
    });
    assert_fields(&record["process"], &json!({"uid": 1000, "euid": 1000}));

    let records = stopped(&mut agent);
    let of = |actor: &Actor, name: &str| {
        let is_it =
            |record: &&Value| is_by(record, actor, "capability", "capable") && record["capability"] == name;
        records.iter().filter(is_it).count()
    };
    assert_eq!(of(&actor, "CAP_SYS_ADMIN"), 1, "once for each image");
    assert_eq!(of(&without, "CAP_SETUID"), 0, "not in the set");
}

pub(crate) fn capability_set() {
    let mut agent = agent_of(FAMILIES, &json!({"capabilities": ["CAP_SETUID"]}));
    let mut actor = Actor::start();
    actor.prepare(UNSHARE, args![libc::CLONE_NEWNS]);
    actor.prepare(SETUID, args![1000]);
    let records = stopped(&mut agent);
    let told: Vec<&Value> = (records.iter())
        .filter(|record| is_by(record, &actor, "capability", "capable"))
        .map(|record| &record["capability"])
        .collect();
    assert_eq!(told, ["CAP_SETUID"]);
}
