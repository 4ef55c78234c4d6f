//! Code into processes, and memory that becomes executable.

use serde_json::{Value, json};
use watchfire_tests::Agent;

use crate::actor::{Actor, Entry, Interface, args, long_words, words};
use crate::calls::*;
use crate::stage::{agent_of, assert_fields, assert_namespaces, event, is_by, is_last_rung, skip, stopped};

/// What its agents watch.
const FAMILIES: &[&str] = &["memory"];

/// Requests of ptrace(2).
const PTRACE_PEEKDATA: i64 = 2;
const PTRACE_POKEDATA: i64 = 5;
const PTRACE_ATTACH: i64 = 16;
const PTRACE_DETACH: i64 = 17;
const PTRACE_SEIZE: i64 = 0x4206;
/// `__WALL` of wait(2).
const WALL: i64 = 0x4000_0000;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const RX: i32 = libc::PROT_READ | libc::PROT_EXEC;

pub(crate) fn native() {
    all(Interface::Native);
}

pub(crate) fn compat() {
    all(Interface::Compat);
}

fn all(interface: Interface) {
    let agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::new(interface);
    traced(&agent, &mut actor);
    written(&agent, &mut actor);
    opened(&agent, &mut actor);
    unnamed(&agent, &mut actor);
    executable(&agent, &mut actor);
}

fn happened(agent: &Agent, actor: &Actor, operation: &str, result: i64, fields: &Value) -> Value {
    let record = event(agent, actor, ("memory", operation), result, |record| {
        fields.as_object().unwrap().iter().all(|(name, value)| record[name] == *value)
    });
    assert_namespaces(actor, &record);
    record
}

/// What records say of a target.
fn assert_target(agent: &Agent, record: &Value, target: &Actor) {
    let exec = agent.record("the exec of the target", |record| {
        record["action"] == "exec" && record["process"]["pid"] == target.pid()
    });
    let process = &exec["process"];
    let expected = json!({
        "exec_id": process["exec_id"], "pid": target.pid(), "binary": process["binary"],
        "cgroup_id": process["cgroup_id"],
    });
    assert_fields(&record["target"], &expected);
}

/// Lets the actor wait until its tracee stands still.
fn stops(actor: &mut Actor, target: &Actor) {
    let waited = actor.prepare(WAIT4, args![target.pid(), 0, WALL, 0]);
    assert_eq!(waited, i64::from(target.pid()));
}

fn traced(agent: &Agent, actor: &mut Actor) {
    let mut target = Actor::start();
    let pid = target.pid();
    let word = target.memory(&[0; 8]);
    let result = actor.call(PTRACE, args![PTRACE_ATTACH, pid, 0, 0]);
    assert_eq!(result, 0, "attach");
    let expected = json!({
        "request": "PTRACE_ATTACH", "target_ns_pid": pid, "protection": null, "was_writable": null,
    });
    let record = happened(agent, actor, "ptrace", result, &expected);
    assert_target(agent, &record, &target);
    stops(actor, &target);
    let result = actor.call(PTRACE, args![PTRACE_POKEDATA, pid, word, 0x55]);
    assert_eq!(result, 0, "poke");
    let expected = json!({"request": "PTRACE_POKEDATA", "address": format!("{word:#x}")});
    let record = happened(agent, actor, "ptrace", result, &expected);
    assert_target(agent, &record, &target);
    actor.prepare(PTRACE, args![PTRACE_DETACH, pid, 0, 0]);

    let target = Actor::start();
    let result = actor.call(PTRACE, args![PTRACE_SEIZE, target.pid(), 0, 0]);
    assert_eq!(result, 0, "seize");
    let record = happened(agent, actor, "ptrace", result, &json!({"request": "PTRACE_SEIZE"}));
    assert_target(agent, &record, &target);
}

/// `struct iovec` of one piece, as the interface has it.
fn pieces(interface: Interface, address: u64, length: u32) -> Vec<u8> {
    if interface == Interface::Compat {
        words([address as u32, length])
    } else {
        long_words([address, length.into()])
    }
}

fn written(agent: &Agent, actor: &mut Actor) {
    let mut target = Actor::start();
    let there = target.memory(&[0; 64]);
    let here = actor.memory(&[7; 24]);
    let (local, remote) = (pieces(actor.interface, here, 24), pieces(actor.interface, there, 24));
    let result = actor.call(VM_WRITEV, args![target.pid(), local, 1, remote, 1, 0]);
    assert_eq!(result, 24);
    let record = happened(agent, actor, "vm-writev", result, &json!({"target_ns_pid": target.pid()}));
    assert_target(agent, &record, &target);
    for (field, expected) in [("address", json!(format!("{there:#x}"))), ("length", json!(24))] {
        // The pieces are not read on every rung.
        assert!(record[field].is_null() || record[field] == expected, "{field}: {record}");
    }
}

fn opened(agent: &Agent, actor: &mut Actor) {
    let target = Actor::start();
    let path = format!("/proc/{}/mem", target.pid());
    let both = long_words([libc::O_RDWR as u64, 0, 0]);
    for (call, arguments, flags) in [
        (OPEN, &args![&path, libc::O_RDWR][..], json!(["read", "write"])),
        (OPENAT, args![libc::AT_FDCWD, &path, libc::O_WRONLY], json!(["write"])),
        (OPENAT2, args![libc::AT_FDCWD, &path, both, 24], json!(["read", "write"])),
    ] {
        let Some(result) = actor.attempt(call, arguments) else {
            skip(&format!("memory/{}", call.name), "this machine has no such call");
            continue;
        };
        assert!(result >= 0, "{}", call.name);
        // Each from the next descriptor on; where results are not known the flags tell two of the three apart.
        let record = event(agent, actor, ("memory", "mem-open"), result, |record| {
            record["flags"] == flags && (record["result"].is_null() || record["result"] == result)
        });
        assert_eq!(record["name"], path, "{record}");
        assert_target(agent, &record, &target);
        assert_namespaces(actor, &record);
    }
}

fn unnamed(agent: &Agent, actor: &mut Actor) {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let result = actor.call(MEMFD_CREATE, args!["watchfire-memfd", flags]);
    assert!(result >= 0);
    let expected = json!({
        "name": "watchfire-memfd", "flags": ["MFD_CLOEXEC", "MFD_ALLOW_SEALING"], "target": null,
        "target_ns_pid": null, "request": null,
    });
    let _ = happened(agent, actor, "memfd-create", result, &expected);
    // UFFD_USER_MODE_ONLY is younger than the call.
    match actor.attempt(USERFAULTFD, args![libc::O_CLOEXEC | libc::O_NONBLOCK]) {
        None => skip("memory/userfaultfd", "this kernel has no userfaultfd(2)"),
        Some(result) => {
            assert!(result >= 0);
            let expected = json!({"flags": ["O_NONBLOCK", "O_CLOEXEC"], "target": null, "name": null});
            let _ = happened(agent, actor, "userfaultfd", result, &expected);
        }
    }
}

fn executable(agent: &Agent, actor: &mut Actor) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | low();
    // Between pages that nobody may touch: the kernel joins neighbours that are alike into one mapping, and the first
    // rungs tell the mapping.
    let mapping = |actor: &mut Actor, protection: i32| {
        let start = actor.prepare(MMAP, args![0, 16384, libc::PROT_NONE, flags, -1, 0]);
        actor.prepare(MPROTECT, args![start + 4096, 8192, protection]);
        start + 4096
    };
    let both = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    for (call, before, after, names, was_writable) in [
        (MPROTECT, RW, RX, json!(["read", "exec"]), true),
        (MPROTECT, RW, both, json!(["read", "write", "exec"]), true),
        (PKEY_MPROTECT, RW, RX, json!(["read", "exec"]), true),
        (MPROTECT, libc::PROT_READ, RX, json!(["read", "exec"]), false),
    ] {
        let address = mapping(actor, before);
        let Some(result) = actor.attempt(call, args![address, 8192, after, -1]) else {
            skip(&format!("memory/{}", call.name), "this machine has no such call");
            continue;
        };
        assert_eq!(result, 0, "{}", call.name);
        let expected = json!({
            "address": format!("{address:#x}"), "length": 8192, "protection": names, "target": null, "request": null,
        });
        let record = happened(agent, actor, "mprotect", result, &expected);
        // What it was before is not known at the end of the call.
        let said = &record["was_writable"];
        assert!(said.is_null() || *said == was_writable, "{record}");
    }
}

/// A flag of mmap(2) that keeps addresses below 4 GiB.
const fn low() -> i32 {
    #[cfg(target_arch = "x86_64")]
    return libc::MAP_32BIT;
    #[cfg(not(target_arch = "x86_64"))]
    return 0;
}

pub(crate) fn ring() {
    let agent = agent_of(FAMILIES, &json!({}));
    if is_last_rung(&agent, "file-open") {
        return skip("memory_file_by_io_uring", "the last rung sees the request before there is a file");
    }
    let mut actor = Actor::new(Interface::Ring);
    let target = Actor::start();
    let path = format!("/proc/{}/mem", target.pid());
    let addr = actor.memory(path.as_bytes());
    // IORING_OP_OPENAT
    let entry =
        Entry { opcode: 18, fd: libc::AT_FDCWD, addr, flags: libc::O_RDWR as u32, ..Entry::default() };
    let Some(result) = actor.ring(entry) else {
        return skip("memory_through_io_uring", "this kernel's io_uring opens no files");
    };
    assert!(result >= 0, "{}", crate::actor::errno(result));
    let record = event(&agent, &actor, ("memory", "mem-open"), result, |_| true);
    assert_fields(&record, &json!({"name": path, "flags": ["read", "write"]}));
    assert_target(&agent, &record, &target);
}

pub(crate) fn harmless() {
    let mut agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    let mut target = Actor::start();
    let pid = target.pid();
    let word = target.memory(&[0; 8]);
    let path = format!("/proc/{pid}/mem");
    // Reading, and memory that does not become executable.
    let fd = actor.call(OPENAT, args![libc::AT_FDCWD, &path, libc::O_RDONLY]);
    assert!(fd >= 0);
    let here = actor.memory(&[0; 8]);
    let (local, remote) = (pieces(Interface::Native, here, 8), pieces(Interface::Native, word, 8));
    assert_eq!(actor.call(VM_READV, args![pid, local, 1, remote, 1, 0]), 8);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let address = actor.prepare(MMAP, args![0, 4096, RW, flags, -1, 0]);
    assert_eq!(actor.call(MPROTECT, args![address, 4096, libc::PROT_READ]), 0);
    if !is_last_rung(&agent, "memory-protection") {
        // What a file holds and nobody has changed, as loaders map it.
        let file = actor.prepare(OPENAT, args![libc::AT_FDCWD, "/proc/self/exe", libc::O_RDONLY]);
        let address = actor.prepare(MMAP, args![0, 4096, libc::PROT_READ, libc::MAP_PRIVATE, file, 0]);
        assert_eq!(actor.call(MPROTECT, args![address, 4096, RX]), 0);
    }
    assert_eq!(actor.call(PTRACE, args![PTRACE_ATTACH, pid, 0, 0]), 0);
    stops(&mut actor, &target);
    let _ = actor.call(PTRACE, args![PTRACE_PEEKDATA, pid, word, here]);
    assert_eq!(actor.call(PTRACE, args![PTRACE_DETACH, pid, 0, 0]), 0);
    let records = stopped(&mut agent);
    let told: Vec<&Value> = (records.iter())
        .filter(|record| record["type"] == "memory" && record["process"]["pid"] == actor.pid())
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(is_by(told[0], &actor, "memory", "ptrace") && told[0]["request"] == "PTRACE_ATTACH");
}
