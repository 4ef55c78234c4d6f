//! Every operation, by every system call that there is for it.

use std::path::Path;

use serde_json::json;

use super::{Before, CUT_BYTES, Given, Row, Scene};
use crate::actor::{Actor, Interface, args, long_words};
use crate::calls::*;
use crate::stage::{assert_fields, event, is_by, stopped};

const CWD: i32 = libc::AT_FDCWD;
const ATTRIBUTE: &str = "trusted.watchfire";
/// An owner that stays.
const SAME: i32 = -1;

pub(crate) fn native() {
    check_all(Interface::Native, "file_operations_by_system_calls");
}

pub(crate) fn compat() {
    check_all(Interface::Compat, "file_operations_by_32_bit_system_calls");
}

fn check_all(interface: Interface, test: &str) {
    let mut scene = Scene::new(interface);
    for row in opens().iter().chain(&names()).chain(&attributes()).chain(&contents()) {
        scene.check(row, test);
    }
}

const fn row(
    name: &'static str,
    before: Before,
    operation: &'static str,
    act: fn(&mut Actor, &Given) -> Option<i64>,
    fields: fn(&Given) -> serde_json::Value,
) -> Row {
    Row { name, before, act, operation, fields }
}

/// What openat2(2) is told (`struct open_how`).
pub(super) fn how(flags: i32, mode: u64) -> Vec<u8> {
    long_words([flags as u64, mode, 0])
}

fn opens() -> [Row; 7] {
    use Before::{File, Nothing};
    [
        row(
            "open",
            File,
            "open",
            |a, g| a.attempt(OPEN, args![&g.path, libc::O_RDONLY]),
            |_| json!({"access": ["read"], "new_path": null, "target": null, "new_mode": null, "length": null}),
        ),
        row(
            "openat",
            File,
            "open",
            |a, g| a.attempt(OPENAT, args![CWD, &g.path, libc::O_WRONLY | libc::O_APPEND]),
            |_| json!({"access": ["write", "append"]}),
        ),
        row(
            "openat-in-folder",
            File,
            "open",
            |a, g| a.attempt(OPENAT, args![g.folder, &g.name, libc::O_WRONLY | libc::O_TRUNC]),
            |_| json!({"access": ["write", "truncate"]}),
        ),
        row(
            "openat2",
            File,
            "open",
            |a, g| a.attempt(OPENAT2, args![g.folder, &g.name, how(libc::O_RDWR, 0), 24]),
            |_| json!({"access": ["read", "write"]}),
        ),
        row(
            "creat",
            Nothing,
            "open",
            |a, g| a.attempt(CREAT, args![&g.path, 0o640]),
            |_| json!({"access": ["write", "create", "truncate"]}),
        ),
        row(
            "openat-exclusive",
            Nothing,
            "open",
            |a, g| {
                let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
                a.attempt(OPENAT, args![CWD, &g.path, flags, 0o600])
            },
            |_| json!({"access": ["read", "write", "create", "exclusive"]}),
        ),
        row(
            "openat2-create",
            Nothing,
            "open",
            |a, g| a.attempt(OPENAT2, args![CWD, &g.path, how(libc::O_WRONLY | libc::O_CREAT, 0o600), 24]),
            |_| json!({"access": ["write", "create"]}),
        ),
    ]
}

fn names() -> [Row; 13] {
    use Before::{File, Folder, Nothing};
    let plain = |_: &Given| json!({"access": null, "new_path": null, "target": null, "new_mode": null});
    let moved = |given: &Given| json!({"new_path": given.other, "target": null, "access": null});
    let pointing = |_: &Given| json!({"target": "../some/target", "new_path": null});
    [
        row("unlink", File, "unlink", |a, g| a.attempt(UNLINK, args![&g.path]), plain),
        row("unlinkat", File, "unlink", |a, g| a.attempt(UNLINKAT, args![g.folder, &g.name, 0]), plain),
        row("rmdir", Folder, "rmdir", |a, g| a.attempt(RMDIR, args![&g.path]), plain),
        row(
            "unlinkat-folder",
            Folder,
            "rmdir",
            |a, g| a.attempt(UNLINKAT, args![CWD, &g.path, libc::AT_REMOVEDIR]),
            plain,
        ),
        row("mkdir", Nothing, "mkdir", |a, g| a.attempt(MKDIR, args![&g.path, 0o750]), plain),
        row("mkdirat", Nothing, "mkdir", |a, g| a.attempt(MKDIRAT, args![g.folder, &g.name, 0o750]), plain),
        row("rename", File, "rename", |a, g| a.attempt(RENAME, args![&g.path, &g.other]), moved),
        row(
            "renameat",
            File,
            "rename",
            |a, g| a.attempt(RENAMEAT, args![g.folder, &g.name, CWD, &g.other]),
            moved,
        ),
        row(
            "renameat2",
            File,
            "rename",
            |a, g| {
                let flags = libc::RENAME_NOREPLACE;
                a.attempt(RENAMEAT2, args![CWD, &g.path, g.folder, &g.other_name, flags])
            },
            moved,
        ),
        row("link", File, "link", |a, g| a.attempt(LINK, args![&g.path, &g.other]), moved),
        row(
            "linkat",
            File,
            "link",
            |a, g| a.attempt(LINKAT, args![g.folder, &g.name, g.folder, &g.other_name, 0]),
            moved,
        ),
        row(
            "symlink",
            Nothing,
            "symlink",
            |a, g| a.attempt(SYMLINK, args!["../some/target", &g.path]),
            pointing,
        ),
        row(
            "symlinkat",
            Nothing,
            "symlink",
            |a, g| a.attempt(SYMLINKAT, args!["../some/target", g.folder, &g.name]),
            pointing,
        ),
    ]
}

fn attributes() -> [Row; 11] {
    use Before::{File, Open};
    let mode = |_: &Given| json!({"new_mode": "4755", "new_uid": null, "new_gid": null, "access": null});
    let owner = |_: &Given| json!({"new_uid": 1000, "new_gid": 1001, "new_mode": null});
    let group = |_: &Given| json!({"new_uid": null, "new_gid": 1001, "new_mode": null});
    let attribute = |_: &Given| json!({"attribute": ATTRIBUTE, "new_mode": null, "new_uid": null});
    [
        row("chmod", File, "chmod", |a, g| a.attempt(CHMOD, args![&g.path, 0o4755]), mode),
        row("fchmod", Open, "chmod", |a, g| a.attempt(FCHMOD, args![g.file, 0o4755]), mode),
        row("fchmodat", File, "chmod", |a, g| a.attempt(FCHMODAT, args![g.folder, &g.name, 0o4755]), mode),
        row(
            "fchmodat2",
            File,
            "chmod",
            |a, g| a.attempt(FCHMODAT2, args![CWD, &g.path, 0o4755, libc::AT_SYMLINK_NOFOLLOW]),
            mode,
        ),
        row("chown", File, "chown", |a, g| a.attempt(CHOWN, args![&g.path, 1000, 1001]), owner),
        row("lchown", File, "chown", |a, g| a.attempt(LCHOWN, args![&g.path, SAME, 1001]), group),
        row("fchown", Open, "chown", |a, g| a.attempt(FCHOWN, args![g.file, 1000, 1001]), owner),
        row(
            "fchownat",
            File,
            "chown",
            |a, g| a.attempt(FCHOWNAT, args![g.folder, &g.name, 1000, 1001, 0]),
            owner,
        ),
        row(
            "setxattr",
            File,
            "setxattr",
            |a, g| a.attempt(SETXATTR, args![&g.path, ATTRIBUTE, "value", 5, 0]),
            attribute,
        ),
        row(
            "lsetxattr",
            File,
            "setxattr",
            |a, g| a.attempt(LSETXATTR, args![&g.path, ATTRIBUTE, "value", 5, 0]),
            attribute,
        ),
        row(
            "fsetxattr",
            Open,
            "setxattr",
            |a, g| a.attempt(FSETXATTR, args![g.file, ATTRIBUTE, "value", 5, 0]),
            attribute,
        ),
    ]
}

fn contents() -> [Row; 3] {
    use Before::{File, Open};
    let length = |_: &Given| json!({"access": null, "new_mode": null});
    [
        row("truncate", File, "truncate", |a, g| a.attempt(TRUNCATE, args![&g.path, CUT_BYTES]), length),
        row("ftruncate", Open, "truncate", |a, g| a.attempt(FTRUNCATE, args![g.file, CUT_BYTES]), length),
        row(
            "mmap",
            Open,
            "mmap-exec",
            |a, g| {
                let protection = libc::PROT_READ | libc::PROT_EXEC;
                let result = a.attempt(MMAP, args![0, 4096, protection, libc::MAP_SHARED, g.file, 0])?;
                // A 32-bit address may look like a negative number.
                Some(if (-4095..0).contains(&result) { result } else { 0 })
            },
            |_| json!({"protection": ["read", "exec"], "access": null}),
        ),
    ]
}

pub(crate) fn relative() {
    let mut scene = Scene::new(Interface::Native);
    let Given { path, .. } = scene.given("deep", Before::Folder);
    let file = scene.given("file", Before::File);
    let result = scene.actor.call(CHDIR, args![&path]);
    assert_eq!(result, 0);
    // Up and down again, twice, in a folder that is itself watched.
    let result = scene.actor.call(UNLINKAT, args![CWD, "./../deep/..//file", 0]);
    let at = |path: &str| {
        let path = path.to_owned();
        move |record: &serde_json::Value| record["path"] == path
    };
    let _ = event(&scene.agent, &scene.actor, ("file", "unlink"), result, at(&file.path));
    let result = scene.actor.call(OPENAT, args![CWD, "made", libc::O_CREAT | libc::O_WRONLY, 0o600]);
    let record = event(&scene.agent, &scene.actor, ("file", "open"), result, at(&format!("{path}/made")));
    assert_fields(&record, &json!({"access": ["write", "create"], "path_textual": null}));
}

pub(crate) fn failures() {
    let mut scene = Scene::new(Interface::Native);
    let path = scene.folder.join("nothing").to_string_lossy().into_owned();
    let results = [
        ("open", scene.actor.call(OPENAT, args![CWD, &path, libc::O_RDONLY])),
        ("unlink", scene.actor.call(UNLINKAT, args![CWD, &path, 0])),
        ("rmdir", scene.actor.call(UNLINKAT, args![CWD, &path, libc::AT_REMOVEDIR])),
        ("chmod", scene.actor.call(FCHMODAT, args![CWD, &path, 0o600])),
    ];
    let records = stopped(&mut scene.agent);
    for (operation, result) in results {
        assert_eq!(result, -i64::from(libc::ENOENT), "{operation}");
        let found: Vec<_> = (records.iter())
            .filter(|record| is_by(record, &scene.actor, "file", operation) && record["path"] == path)
            .collect();
        if scene.last_rung {
            assert_eq!(found.len(), 1, "{operation}: {found:?}");
            let expected = json!({"result": result, "error": "ENOENT", "path_textual": true, "inode": null});
            assert_fields(found[0], &expected);
        } else {
            // The security hooks are asked about files that are there.
            assert!(found.is_empty(), "{operation}: {found:?}");
        }
    }
}

pub(crate) fn non_utf8() {
    let mut scene = Scene::new(Interface::Native);
    let folder = scene.folder.to_string_lossy().into_owned();
    let path = |name: &[u8]| [folder.as_bytes(), b"/", name].concat();
    let result =
        scene.actor.call(OPENAT, args![CWD, path(b"caf\xe9\\x"), libc::O_CREAT | libc::O_RDWR, 0o600]);
    let expected = format!("{folder}/caf\\xe9\\\\x");
    let _ = event(&scene.agent, &scene.actor, ("file", "open"), result, |record| record["path"] == expected);
    let result = scene.actor.call(UNLINKAT, args![CWD, path(b"caf\xe9\\x"), 0]);
    let _ =
        event(&scene.agent, &scene.actor, ("file", "unlink"), result, |record| record["path"] == expected);
    assert!(!Path::new(&folder).join("x").exists());
    // A name that is text stays as it is, backslashes included.
    let result = scene.actor.call(OPENAT, args![CWD, path(b"a\\b"), libc::O_CREAT | libc::O_RDWR, 0o600]);
    let expected = format!("{folder}/a\\b");
    let _ = event(&scene.agent, &scene.actor, ("file", "open"), result, |record| record["path"] == expected);
}
