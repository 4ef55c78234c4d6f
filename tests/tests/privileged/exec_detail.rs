//! What the records of new programs tell besides names.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire_tests::Agent;

use crate::actor::{Actor, args, words};
use crate::calls::*;
use crate::running::{agent, has_argument, nonce};
use crate::stage::{agent_of, assert_fields, device};

const CWD: i32 = libc::AT_FDCWD;

/// What a shell does here: it ends, so that a record of its end comes as well.
const NOTHING: &[u8] = b"exit 0";

/// The exec record of the program with this among its arguments.
fn exec_of(agent: &Agent, nonce: &str) -> Value {
    agent.record("the exec", |record| record["action"] == "exec" && has_argument(record, nonce))
}

fn shell() -> PathBuf {
    std::fs::canonicalize("/bin/sh").unwrap()
}

/// A folder that every user can reach, with a copy of the shell of this mode.
fn copy_of_shell(mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(folder.path()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A multi-call binary goes by its name.
    let copy = path.join("sh");
    std::fs::copy(shell(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, copy)
}

/// The actor becomes a shell that ends.
fn become_shell(actor: &mut Actor, path: &Path, nonce: &str) {
    actor.exec(path, &[b"sh", b"-c", NOTHING, nonce.as_bytes()], &[]);
}

pub(crate) fn binary() {
    let agent = agent();
    let mut actor = Actor::start();
    let nonce = nonce("binary");
    become_shell(&mut actor, Path::new("/bin/sh"), &nonce);
    let exec = exec_of(&agent, &nonce);
    let file = std::fs::metadata(shell()).unwrap();
    let expected = json!({
        "binary_inode": file.ino(), "binary_device": device(file.dev()), "binary_mode": format!("{:o}", file.mode()),
        "binary_owner": file.uid(), "setuid": null, "setgid": null, "secure_exec": null, "fileless": null,
        "script": null, "interpreter": null, "capabilities_gained": null, "env": null, "args_redacted": null,
        "args_unreadable": null, "env_unreadable": null, "shell_with_tty": null,
    });
    assert_fields(&exec, &expected);
    assert_eq!(exec["process"]["ns_pid"], actor.pid(), "{exec}");
    let process = &exec["process"];
    assert_eq!((&process["pid"], &process["uid"]), (&actor.pid().into(), &0.into()), "{exec}");
}

pub(crate) fn script() {
    let agent = agent();
    let folder = tempfile::tempdir().unwrap();
    let script = std::fs::canonicalize(folder.path()).unwrap().join("script");
    std::fs::write(&script, "#!/bin/sh -e\nexit 0\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut actor = Actor::start();
    let nonce = nonce("script");
    actor.exec(&script, &[b"ignored", nonce.as_bytes()], &[]);
    let exec = exec_of(&agent, &nonce);
    let path = script.to_string_lossy();
    assert_fields(&exec, &json!({"script": path, "interpreter": "/bin/sh"}));
    let process = &exec["process"];
    assert_eq!(process["binary"], *shell().to_string_lossy(), "{exec}");
    assert_eq!(process["args"], json!(["/bin/sh", "-e", path, nonce]), "{exec}");
}

pub(crate) fn setuid() {
    let agent = agent();
    for (mode, expected) in [
        (0o4755, json!({"setuid": true, "setgid": null, "secure_exec": true})),
        (0o2755, json!({"setuid": null, "setgid": true, "secure_exec": true})),
        (0o755, json!({"setuid": null, "setgid": null, "secure_exec": null})),
    ] {
        let (_folder, copy) = copy_of_shell(mode);
        let mut actor = Actor::start();
        let nonce = nonce("setuid");
        actor.prepare(SETRESGID, args![1000, 1000, 1000]);
        actor.prepare(SETRESUID, args![1000, 1000, 1000]);
        become_shell(&mut actor, &copy, &nonce);
        let exec = exec_of(&agent, &nonce);
        assert_fields(&exec, &expected);
        assert_fields(&exec, &json!({"binary_mode": format!("{:o}", 0o100_000 | mode), "binary_owner": 0}));
        let effective = if mode == 0o4755 { 0 } else { 1000 };
        assert_fields(&exec["process"], &json!({"uid": 1000, "euid": effective, "gid": 1000}));
        if mode != 0o4755 {
            assert_eq!(exec["capabilities_gained"], Value::Null, "{exec}");
        }
    }
}

pub(crate) fn capabilities() {
    /// `struct vfs_cap_data` of include/uapi/linux/capability.h: revision 2, effective.
    const REVISION: u32 = 0x0200_0001;
    /// CAP_NET_RAW and CAP_SYS_PTRACE.
    const SET: u32 = 1 << 13 | 1 << 19;
    let agent = agent_of(&["credentials"], &json!({}));
    let (_folder, copy) = copy_of_shell(0o755);
    let path = copy.to_string_lossy().into_owned();
    let mut actor = Actor::start();
    actor.prepare(SETXATTR, args![&path, "security.capability", words([REVISION, SET, 0, 0, 0]), 20, 0]);
    actor.prepare(SETUID, args![1000]);
    let nonce = nonce("capabilities");
    become_shell(&mut actor, &copy, &nonce);
    let exec = exec_of(&agent, &nonce);
    let expected = json!({
        "capabilities_gained": ["CAP_NET_RAW", "CAP_SYS_PTRACE"], "secure_exec": true, "setuid": null,
    });
    assert_fields(&exec, &expected);
}

pub(crate) fn fileless() {
    let agent = agent();
    let mut actor = Actor::start();
    let fd = actor.prepare(MEMFD_CREATE, args!["watchfire-fileless", 0]);
    let path = format!("/proc/{}/fd/{fd}", actor.pid());
    std::fs::copy(shell(), &path).unwrap();
    let nonce = nonce("fileless");
    // Opened anew, so that nobody has it open for writing.
    let readable = actor.prepare(OPENAT, args![CWD, &path, libc::O_RDONLY]);
    actor.prepare(CLOSE, args![fd]);
    become_shell(&mut actor, Path::new(&format!("/proc/self/fd/{readable}")), &nonce);
    let exec = exec_of(&agent, &nonce);
    assert_fields(&exec, &json!({"fileless": true, "drift": null}));
    assert_eq!(exec["process"]["binary"], "/memfd:watchfire-fileless", "{exec}");

    // A file that has lost its name.
    let (_folder, copy) = copy_of_shell(0o755);
    let mut actor = Actor::start();
    let path = copy.to_string_lossy().into_owned();
    let fd = actor.prepare(OPENAT, args![CWD, &path, libc::O_RDONLY]);
    std::fs::remove_file(&copy).unwrap();
    let nonce = crate::running::nonce("unlinked");
    become_shell(&mut actor, Path::new(&format!("/proc/self/fd/{fd}")), &nonce);
    assert_fields(&exec_of(&agent, &nonce), &json!({"fileless": true}));
}

pub(crate) fn drift() {
    let agent = agent();
    for (layer, is_drift) in [("lower", false), ("upper", true)] {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        let path = |name: &str| root.join(name).to_string_lossy().into_owned();
        let mut actor = Actor::start();
        actor.prepare(UNSHARE, args![libc::CLONE_NEWNS]);
        actor.prepare(MOUNT, args!["none", "/", "none", libc::MS_REC | libc::MS_PRIVATE, 0]);
        // Of its own filesystem: an overlay does not lie on every other one.
        actor.prepare(MOUNT, args!["none", &*root.to_string_lossy(), "tmpfs", 0, 0]);
        for name in ["lower", "upper", "work", "merged"] {
            actor.prepare(MKDIRAT, args![CWD, &path(name), 0o755]);
        }
        // The test sees what the actor has mounted through the actor's root.
        let inside = |path: &str| format!("/proc/{}/root{path}", actor.pid());
        std::fs::copy(shell(), inside(&path("lower/sh"))).unwrap();
        let options =
            format!("lowerdir={},upperdir={},workdir={}", path("lower"), path("upper"), path("work"));
        actor.prepare(MOUNT, args!["overlay", &path("merged"), "overlay", 0, &options]);
        let binary = path("merged/sh");
        if is_drift {
            // What a container writes over a file of its image.
            let there = format!("/proc/{}/root{binary}", actor.pid());
            let content = std::fs::read(shell()).unwrap();
            std::fs::write(there, content).unwrap();
        }
        let nonce = nonce("drift");
        become_shell(&mut actor, Path::new(&binary), &nonce);
        let exec = exec_of(&agent, &nonce);
        assert_eq!(exec["drift"], is_drift, "{layer}: {exec}");
        assert_eq!(exec["process"]["binary"], binary, "{exec}");
    }
    let mut actor = Actor::start();
    let nonce = nonce("drift-none");
    become_shell(&mut actor, Path::new("/bin/sh"), &nonce);
    if !is_on_overlay(&shell()) {
        assert_eq!(exec_of(&agent, &nonce)["drift"], Value::Null);
    }
}

/// Whether a file's filesystem is an overlay: the tests may run in a container themselves.
fn is_on_overlay(path: &Path) -> bool {
    const OVERLAYFS: u64 = 0x794c_7630;
    rustix::fs::statfs(path).is_ok_and(|statistics| statistics.f_type as u64 == OVERLAYFS)
}

pub(crate) fn environment() {
    let agent =
        agent_of(&[], &json!({"environment": ["WATCHFIRE_PLAIN", "WATCHFIRE_ANY_*", "DATABASE_PASSWORD"]}));
    let mut actor = Actor::start();
    let nonce = nonce("environment");
    let environment = [
        "WATCHFIRE_PLAIN=plain value",
        "WATCHFIRE_PLAINER=left out",
        "WATCHFIRE_ANY_ONE=1",
        "WATCHFIRE_ANY_=",
        "DATABASE_PASSWORD=hunter2",
        "OTHER=left out",
    ];
    actor.exec(Path::new("/bin/sh"), &[b"sh", b"-c", NOTHING, nonce.as_bytes()], &environment);
    let exec = exec_of(&agent, &nonce);
    let env = exec["env"].as_object().unwrap_or_else(|| panic!("no environment: {exec}"));
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    assert_eq!(names, ["DATABASE_PASSWORD", "WATCHFIRE_ANY_", "WATCHFIRE_ANY_ONE", "WATCHFIRE_PLAIN"]);
    assert_eq!((&env["WATCHFIRE_PLAIN"], &env["WATCHFIRE_ANY_ONE"]), (&"plain value".into(), &"1".into()));
    assert!(!exec.to_string().contains("hunter2") && !exec.to_string().contains("left out"), "{exec}");
    assert_fields(&exec, &json!({"env_redacted": true, "args_redacted": null, "env_truncated": null}));
}

pub(crate) fn no_environment() {
    let agent = agent();
    let mut actor = Actor::start();
    let nonce = nonce("no-environment");
    actor.exec(Path::new("/bin/sh"), &[b"sh", b"-c", NOTHING, nonce.as_bytes()], &["PLAIN=value"]);
    assert_fields(&exec_of(&agent, &nonce), &json!({"env": null, "env_redacted": null}));
}

pub(crate) fn redaction() {
    let agent = agent_of(&[], &json!({}));
    let mut actor = Actor::start();
    let nonce = nonce("redaction");
    let url = b"postgres://user:hunter2@db.example/shop";
    actor.exec(
        Path::new("/bin/sh"),
        &[b"sh", b"-c", NOTHING, nonce.as_bytes(), b"--token=hunter2", url],
        &[],
    );
    let exec = exec_of(&agent, &nonce);
    assert!(!exec.to_string().contains("hunter2"), "{exec}");
    assert_fields(&exec, &json!({"args_redacted": true}));
}

pub(crate) fn non_utf8() {
    let agent = agent();
    let mut actor = Actor::start();
    let nonce = nonce("bytes");
    actor.exec(Path::new("/bin/sh"), &[b"sh", b"-c", NOTHING, nonce.as_bytes(), b"caf\xe9 \\x41"], &[]);
    let exec = exec_of(&agent, &nonce);
    let args = exec["process"]["args"].as_array().unwrap();
    assert_eq!(args.last().unwrap(), "caf\\xe9 \\\\x41", "{exec}");
    assert_eq!(args.len(), 5, "{exec}");
}

pub(crate) fn terminal() {
    const TIOCSPTLCK: u32 = 0x4004_5431;
    const TIOCGPTPEER: u32 = 0x5441;
    const TIOCSCTTY: u32 = 0x540e;
    let agent = agent();
    let mut actor = Actor::start();
    let pair = actor.prepare(OPENAT, args![CWD, "/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY]);
    actor.prepare(IOCTL, args![pair, TIOCSPTLCK, words([0])]);
    let terminal = actor.prepare(IOCTL, args![pair, TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY]);
    let link = std::fs::read_link(format!("/proc/{}/fd/{terminal}", actor.pid())).unwrap();
    let name = link.to_string_lossy().trim_start_matches("/dev/").trim_start_matches('/').to_owned();
    actor.prepare(SETSID, args![]);
    actor.prepare(IOCTL, args![terminal, TIOCSCTTY, 0]);
    let nonce = nonce("terminal");
    become_shell(&mut actor, Path::new("/bin/sh"), &nonce);
    let exec = exec_of(&agent, &nonce);
    let number = name.trim_start_matches("pts/");
    assert_fields(&exec, &json!({"tty": format!("pts/{number}"), "shell_with_tty": true}));
    // In a session of its own there is no terminal.
    let mut actor = Actor::start();
    let nonce = crate::running::nonce("no-terminal");
    actor.prepare(SETSID, args![]);
    become_shell(&mut actor, Path::new("/bin/sh"), &nonce);
    assert_fields(&exec_of(&agent, &nonce), &json!({"tty": null, "shell_with_tty": null}));
}
