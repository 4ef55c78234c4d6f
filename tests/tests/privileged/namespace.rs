//! Namespaces and mounts.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire_tests::Agent;

use crate::actor::{Actor, Interface, args};
use crate::calls::*;
use crate::running::has_argument;
use crate::stage::{agent_of, assert_fields, assert_namespaces, event, namespace, skip};

/// What its agents watch.
const FAMILIES: &[&str] = &["namespace", "credentials"];

const CWD: i32 = libc::AT_FDCWD;
/// `FSCONFIG_CMD_CREATE` and `MOVE_MOUNT_F_EMPTY_PATH` of include/uapi/linux/mount.h.
const FSCONFIG_CMD_CREATE: i32 = 6;
const MOVE_MOUNT_F_EMPTY_PATH: i32 = 4;

fn happened(agent: &Agent, actor: &Actor, operation: &str, result: i64, fields: &Value) -> Value {
    let record = event(agent, actor, ("namespace", operation), result, |record| {
        fields.as_object().unwrap().iter().all(|(name, value)| record[name] == *value)
    });
    assert_namespaces(actor, &record);
    record
}

pub(crate) fn native() {
    namespaces(Interface::Native);
    mounts(Interface::Native);
}

pub(crate) fn compat() {
    namespaces(Interface::Compat);
    mounts(Interface::Compat);
}

fn namespaces(interface: Interface) {
    let agent = agent_of(FAMILIES, &json!({}));
    for (flag, name) in [
        (libc::CLONE_NEWNS, "CLONE_NEWNS"),
        (libc::CLONE_NEWNET, "CLONE_NEWNET"),
        (libc::CLONE_NEWUTS | libc::CLONE_NEWIPC, "CLONE_NEWIPC"),
        (libc::CLONE_NEWUSER, "CLONE_NEWUSER"),
        (libc::CLONE_NEWPID, "CLONE_NEWPID"),
    ] {
        let mut actor = Actor::new(interface);
        let result = actor.call(UNSHARE, args![flag]);
        assert_eq!(result, 0, "{name}");
        let names =
            if name == "CLONE_NEWIPC" { json!(["CLONE_NEWUTS", "CLONE_NEWIPC"]) } else { json!([name]) };
        let nothing = json!({"flags": names, "source": null, "target": null, "fs_type": null});
        let _ = happened(&agent, &actor, "unshare", result, &nothing);
    }
    let mut actor = Actor::new(interface);
    let there = format!("/proc/{}/ns/net", std::process::id());
    let fd = actor.prepare(OPENAT, args![CWD, &there, libc::O_RDONLY]);
    let result = actor.call(SETNS, args![fd, libc::CLONE_NEWNET]);
    let record = happened(&agent, &actor, "setns", result, &json!({"flags": ["CLONE_NEWNET"]}));
    assert_eq!(record["process"]["namespaces"]["net"], namespace(std::process::id(), "net"));
    let result = actor.call(SETNS, args![-1, 0]);
    assert_eq!(result, -i64::from(libc::EBADF));
    let _ = event(&agent, &actor, ("namespace", "setns"), result, |record| record["flags"].is_null());
}

/// An actor in a mount namespace of its own, and a folder.
fn apart(interface: Interface) -> (Actor, TempDir, PathBuf) {
    let mut actor = Actor::new(interface);
    actor.prepare(UNSHARE, args![libc::CLONE_NEWNS]);
    actor.prepare(MOUNT, args!["none", "/", "none", libc::MS_REC | libc::MS_PRIVATE, 0]);
    let folder = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(folder.path()).unwrap();
    (actor, folder, path)
}

fn mounts(interface: Interface) {
    let agent = agent_of(FAMILIES, &json!({}));
    let (mut actor, _guard, root) = apart(interface);
    let path = |name: &str| root.join(name).to_string_lossy().into_owned();
    let (mounted, bound) = (path("mounted"), path("bound"));
    for folder in [&mounted, &bound] {
        std::fs::create_dir(folder).unwrap();
    }
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    let result = actor.call(MOUNT, args!["watchfire-source", &mounted, "tmpfs", flags, "size=64k"]);
    assert_eq!(result, 0);
    let expected = json!({
        "source": "watchfire-source", "target": mounted, "fs_type": "tmpfs", "flags": ["MS_NOSUID", "MS_NODEV"],
    });
    let _ = happened(&agent, &actor, "mount", result, &expected);

    // A relative target starts from the working directory.
    actor.prepare(CHDIR, args![&*root.to_string_lossy()]);
    let result = actor.call(MOUNT, args![&mounted, "./mounted/../bound", 0, libc::MS_BIND, 0]);
    assert_eq!(result, 0);
    let expected = json!({"source": mounted, "target": bound, "flags": ["MS_BIND"], "fs_type": null});
    let _ = happened(&agent, &actor, "mount", result, &expected);

    let result = actor.call(UMOUNT2, args!["bound", libc::MNT_DETACH]);
    assert_eq!(result, 0);
    let expected = json!({"target": bound, "flags": ["MNT_DETACH"], "source": null, "fs_type": null});
    let _ = happened(&agent, &actor, "umount", result, &expected);

    moved(&agent, &mut actor, &bound);
    rooted(&agent, &mut actor, &mounted);
}

/// The newer mount interface.
fn moved(agent: &Agent, actor: &mut Actor, target: &str) {
    let context = actor.prepare(FSOPEN, args!["tmpfs", 0]);
    actor.prepare(FSCONFIG, args![context, FSCONFIG_CMD_CREATE, 0, 0, 0]);
    let mount = actor.prepare(FSMOUNT, args![context, 0, 0]);
    let result = actor.call(MOVE_MOUNT, args![mount, "", CWD, target, MOVE_MOUNT_F_EMPTY_PATH]);
    assert_eq!(result, 0);
    let expected = json!({"target": target, "flags": ["MOVE_MOUNT_F_EMPTY_PATH"], "fs_type": null});
    let _ = happened(agent, actor, "move-mount", result, &expected);
}

/// Other roots: the last thing that an actor does.
fn rooted(agent: &Agent, actor: &mut Actor, root: &str) {
    let old = format!("{root}/old");
    actor.prepare(MKDIRAT, args![CWD, &old, 0o700]);
    // Where the root is an initramfs the kernel refuses (pivot_root(2)).
    let result = actor.call(PIVOT_ROOT, args![root, &old]);
    let expected = json!({"source": old, "target": root, "flags": null, "fs_type": null});
    let _ = happened(agent, actor, "pivot-root", result, &expected);
    let inside = if result == 0 { "/old" } else { root };
    let result = actor.call(CHROOT, args![inside]);
    assert_eq!(result, 0);
    let expected = json!({"target": inside, "source": null, "flags": null, "fs_type": null});
    let _ = happened(agent, actor, "chroot", result, &expected);
}

pub(crate) fn refused() {
    let agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    actor.prepare(SETUID, args![1000]);
    let result = actor.call(CHROOT, args!["/"]);
    assert_eq!(result, -i64::from(libc::EPERM));
    let record = event(&agent, &actor, ("namespace", "chroot"), result, |record| record["target"] == "/");
    assert_fields(&record["process"], &json!({"uid": 1000, "euid": 1000}));
    let result = actor.call(UMOUNT2, args!["/proc", 0]);
    assert_eq!(result, -i64::from(libc::EPERM));
    let _ = event(&agent, &actor, ("namespace", "umount"), result, |record| record["target"] == "/proc");
}

pub(crate) fn clone_flags() {
    let agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start();
    for (flags, expected) in [
        (0, json!([])),
        (libc::CLONE_NEWUSER, json!(["CLONE_NEWUSER"])),
        (libc::CLONE_NEWPID | libc::CLONE_NEWNET, json!(["CLONE_NEWPID", "CLONE_NEWNET"])),
    ] {
        let child = actor.call(CLONE, args![flags | libc::SIGCHLD, 0, 0, 0, 0]);
        if child < 0 {
            skip("process_fork_with_namespaces", &format!("clone: {}", crate::actor::errno(child)));
            continue;
        }
        let fork = agent
            .record("the fork", |record| record["action"] == "fork" && record["process"]["pid"] == child);
        assert!(
            has_argument(&fork, &actor.nonce),
            "a child has its parent's image until it has its own: {fork}"
        );
        let said = if fork["clone_flags"].is_null() { json!([]) } else { fork["clone_flags"].clone() };
        assert_eq!(said, expected, "{fork}");
        assert_eq!(fork["parent"]["pid"], actor.pid(), "{fork}");
        let ns_pid = if flags & libc::CLONE_NEWPID == 0 { child } else { 1 };
        assert_eq!(fork["process"]["ns_pid"], ns_pid, "{fork}");
    }
}

pub(crate) fn in_a_container() {
    // A process that is process 1 of its pid namespace acts there.
    let agent = agent_of(FAMILIES, &json!({}));
    let mut actor = Actor::start_as_first();
    let result = actor.call(CHROOT, args!["/"]);
    let record = agent.record("the chroot of process 1", |record| {
        record["operation"] == "chroot" && has_argument(record, &actor.nonce)
    });
    assert_eq!(result, 0);
    let pid = record["process"]["pid"].as_u64().unwrap() as u32;
    assert_eq!(record["process"]["ns_pid"], 1, "{record}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.lines().any(|line| line == format!("NSpid:\t{pid}\t1")), "{status}");
    assert_eq!(record["process"]["namespaces"]["pid"], namespace(pid, "pid"), "{record}");
    assert_eq!(record["ancestors"][0]["pid"], actor.pid(), "unshare made it: {record}");
}
