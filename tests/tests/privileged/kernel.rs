//! Code into the kernel.

use serde_json::{Value, json};
use watchfire_tests::Agent;

use crate::actor::{Actor, Interface, args, long_words, words};
use crate::calls::*;
use crate::stage::{agent_of, assert_namespaces, event, hooks, is_by, skip, stopped};

/// What its agents watch.
const FAMILIES: &[&str] = &["kernel"];

/// Commands of bpf(2).
const BPF_MAP_CREATE: u32 = 0;
const BPF_PROG_LOAD: u32 = 5;
const BPF_OBJ_GET: u32 = 7;
const BPF_PROG_DETACH: u32 = 9;
/// `r0 = 0; exit`
const INSTRUCTIONS: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

fn happened(agent: &Agent, actor: &Actor, operation: &str, result: i64, fields: &Value) {
    let record = event(agent, actor, ("kernel", operation), result, |record| {
        fields.as_object().unwrap().iter().all(|(name, value)| record[name] == *value)
    });
    assert_namespaces(actor, &record);
}

pub(crate) fn native() {
    all(Interface::Native);
}

pub(crate) fn compat() {
    all(Interface::Compat);
}

fn all(interface: Interface) {
    let agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::new(interface);
    modules(&agent, &mut actor);
    bpf(&agent, &mut actor);
    perf_events(&agent, &mut actor);
    match actor.attempt(KEXEC_LOAD, args![0, 17, 0, 0]) {
        None => skip("kernel_kexec", "this kernel has no kexec_load(2)"),
        // Too many segments, or not permitted.
        Some(result) => {
            assert!(result < 0);
            happened(&agent, &actor, "kexec-load", result, &json!({"value": 0}));
        }
    }
}

fn modules(agent: &Agent, actor: &mut Actor) {
    let Some(result) = actor.attempt(INIT_MODULE, args![vec![0x7f; 64], 64, ""]) else {
        return skip("kernel_modules", "this kernel takes no modules");
    };
    assert!(result < 0, "garbage is no module");
    happened(agent, actor, "init-module", result, &json!({"command": null, "program_type": null}));

    let folder = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(folder.path()).unwrap().join("watchfire.ko");
    std::fs::write(&path, "garbage").unwrap();
    let path = path.to_string_lossy().into_owned();
    let fd = actor.prepare(OPENAT, args![libc::AT_FDCWD, &path, libc::O_RDONLY]);
    // MODULE_INIT_IGNORE_VERMAGIC
    let result = actor.call(FINIT_MODULE, args![fd, "", 2]);
    assert!(result < 0, "garbage is no module");
    happened(agent, actor, "finit-module", result, &json!({"name": path, "value": 2}));

    if let Some(result) = actor.attempt(DELETE_MODULE, args!["watchfire_none", libc::O_NONBLOCK]) {
        assert!(result < 0, "there is no such module");
        let expected = json!({"name": "watchfire_none", "value": libc::O_NONBLOCK});
        happened(agent, actor, "delete-module", result, &expected);
    }
}

/// `union bpf_attr` for `BPF_PROG_LOAD`, up to the program's name.
fn program(actor: &mut Actor) -> Vec<u8> {
    let (instructions, license) = (actor.memory(&INSTRUCTIONS), actor.memory(b"GPL"));
    let mut attributes = words([1, 2]);
    attributes.extend(long_words([instructions, license]));
    // Log level, size and buffer; version and flags.
    attributes.extend(words([0, 0, 0, 0, 0, 0]));
    attributes.extend(b"watchfire_prog\0\0");
    attributes
}

fn bpf(agent: &Agent, actor: &mut Actor) {
    let attributes = program(actor);
    let length = attributes.len();
    let result = actor.call(BPF, args![BPF_PROG_LOAD, attributes, length]);
    assert!(result > 0, "{}", crate::actor::errno(result));
    let expected = json!({
        "name": "watchfire_prog", "program_type": {"number": 1, "name": "socket_filter"}, "command": BPF_PROG_LOAD,
        "map_type": null, "value": null,
    });
    happened(agent, actor, "bpf-prog-load", result, &expected);

    // An array of two: type, key, value, entries, flags, inner map, node, name.
    let mut attributes = words([2, 4, 8, 2, 0, 0, 0]);
    attributes.extend(b"watchfire_map\0\0\0");
    let length = attributes.len();
    let result = actor.call(BPF, args![BPF_MAP_CREATE, attributes, length]);
    assert!(result > 0, "{}", crate::actor::errno(result));
    let expected = json!({
        "name": "watchfire_map", "map_type": {"number": 2, "name": "array"}, "command": BPF_MAP_CREATE,
        "program_type": null, "value": null,
    });
    happened(agent, actor, "bpf-map-create", result, &expected);

    let result = actor.call(BPF, args![BPF_PROG_DETACH, vec![0xff; 16], 16]);
    assert!(result < 0, "there is no such program");
    happened(agent, actor, "bpf-detach", result, &json!({"command": BPF_PROG_DETACH}));
}

/// `struct perf_event_attr`: a software event, the CPU clock.
fn perf_attributes(config: u64) -> Vec<u8> {
    const SIZE: u32 = 112;
    let mut attributes = words([1, SIZE]);
    attributes.extend(long_words([config]));
    attributes.resize(SIZE as usize, 0);
    attributes
}

fn perf_events(agent: &Agent, actor: &mut Actor) {
    let target = Actor::start();
    let Some(result) = actor.attempt(PERF_EVENT_OPEN, args![perf_attributes(1), target.pid(), -1, -1, 0])
    else {
        return skip("kernel_perf_events", "this kernel has no perf events");
    };
    let expected = json!({
        "event_type": {"number": 1, "name": "software"}, "value": 1, "target_pid": target.pid(), "cpu": -1,
        "command": null,
    });
    happened(agent, actor, "perf-event-open", result, &expected);
    // Everything on a CPU.
    let result = actor.call(PERF_EVENT_OPEN, args![perf_attributes(0), -1, 0, -1, 0]);
    happened(agent, actor, "perf-event-open", result, &json!({"value": 0, "target_pid": -1, "cpu": 0}));
}

pub(crate) fn harmless() {
    let mut agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    // Its own events, and a look at a pinned object.
    let _ = actor.attempt(PERF_EVENT_OPEN, args![perf_attributes(0), 0, -1, -1, 0]);
    let _ = actor.attempt(BPF, args![BPF_OBJ_GET, vec![0; 16], 16]);
    let attached = !hooks(&agent, "").is_empty();
    let records = stopped(&mut agent);
    assert!(attached);
    for operation in ["perf-event-open", "bpf-detach", "bpf-prog-load", "bpf-map-create"] {
        assert!(!records.iter().any(|record| is_by(record, &actor, "kernel", operation)), "{operation}");
    }
}
