//! The same through io_uring.

use serde_json::{Value, json};

use super::operations::how;
use super::{Before, CUT_BYTES, Given, Row, Scene};
use crate::actor::{Actor, Entry, Interface};

const CWD: i32 = libc::AT_FDCWD;

/// `IORING_OP_*`
mod op {
    pub(super) const OPENAT: u8 = 18;
    pub(super) const OPENAT2: u8 = 28;
    pub(super) const RENAMEAT: u8 = 35;
    pub(super) const UNLINKAT: u8 = 36;
    pub(super) const MKDIRAT: u8 = 37;
    pub(super) const SYMLINKAT: u8 = 38;
    pub(super) const LINKAT: u8 = 39;
    pub(super) const FSETXATTR: u8 = 41;
    pub(super) const SETXATTR: u8 = 42;
    pub(super) const FTRUNCATE: u8 = 55;
}

pub(crate) fn ring() {
    let mut scene = Scene::new(Interface::Ring);
    for row in ROWS {
        scene.check(row, "file_operations_by_io_uring");
    }
}

fn plain(_: &Given) -> Value {
    json!({"access": null, "new_path": null, "target": null, "new_mode": null})
}

fn moved(given: &Given) -> Value {
    json!({"new_path": given.other, "target": null})
}

fn attribute(_: &Given) -> Value {
    json!({"attribute": "trusted.watchfire"})
}

fn text(actor: &mut Actor, text: &str) -> u64 {
    actor.memory(text.as_bytes())
}

fn entry(opcode: u8, fd: i32, addr: u64) -> Entry {
    Entry { opcode, fd, addr, ..Entry::default() }
}

fn in_folder(opcode: u8, actor: &mut Actor, given: &Given) -> Entry {
    entry(opcode, given.folder as i32, text(actor, &given.name))
}

fn absolute(opcode: u8, actor: &mut Actor, given: &Given) -> Entry {
    entry(opcode, CWD, text(actor, &given.path))
}

/// From the file to the other name, both in the folder.
fn to_other(opcode: u8, actor: &mut Actor, given: &Given) -> Entry {
    let off = text(actor, &given.other_name);
    Entry { len: given.folder as u32, off, ..absolute(opcode, actor, given) }
}

fn with_attribute(opcode: u8, actor: &mut Actor, given: &Given) -> Entry {
    let (name, off) = (text(actor, "trusted.watchfire"), text(actor, "value"));
    Entry { off, len: 5, ..entry(opcode, given.file as i32, name) }
}

const ROWS: &[Row] = &[
    Row {
        name: "ring-openat",
        before: Before::File,
        operation: "open",
        act: |actor, given| {
            let entry = in_folder(op::OPENAT, actor, given);
            actor.ring(Entry { flags: libc::O_RDWR as u32, ..entry })
        },
        fields: |_| json!({"access": ["read", "write"]}),
    },
    Row {
        name: "ring-openat-create",
        before: Before::Nothing,
        operation: "open",
        act: |actor, given| {
            let flags = (libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC) as u32;
            let entry = absolute(op::OPENAT, actor, given);
            actor.ring(Entry { flags, len: 0o600, ..entry })
        },
        fields: |_| json!({"access": ["write", "create", "truncate"]}),
    },
    Row {
        name: "ring-openat2",
        before: Before::File,
        operation: "open",
        act: |actor, given| {
            let off = actor.memory(&how(libc::O_RDONLY, 0));
            let entry = absolute(op::OPENAT2, actor, given);
            actor.ring(Entry { off, len: 24, ..entry })
        },
        fields: |_| json!({"access": ["read"]}),
    },
    Row {
        name: "ring-unlinkat",
        before: Before::File,
        operation: "unlink",
        act: |actor, given| {
            let entry = in_folder(op::UNLINKAT, actor, given);
            actor.ring(entry)
        },
        fields: plain,
    },
    Row {
        name: "ring-unlinkat-folder",
        before: Before::Folder,
        operation: "rmdir",
        act: |actor, given| {
            let entry = absolute(op::UNLINKAT, actor, given);
            actor.ring(Entry { flags: libc::AT_REMOVEDIR as u32, ..entry })
        },
        fields: plain,
    },
    Row {
        name: "ring-renameat",
        before: Before::File,
        operation: "rename",
        act: |actor, given| {
            let entry = to_other(op::RENAMEAT, actor, given);
            actor.ring(entry)
        },
        fields: moved,
    },
    Row {
        name: "ring-linkat",
        before: Before::File,
        operation: "link",
        act: |actor, given| {
            let entry = to_other(op::LINKAT, actor, given);
            actor.ring(entry)
        },
        fields: moved,
    },
    Row {
        name: "ring-symlinkat",
        before: Before::Nothing,
        operation: "symlink",
        act: |actor, given| {
            let (target, off) = (text(actor, "../some/target"), text(actor, &given.name));
            actor.ring(Entry { off, ..entry(op::SYMLINKAT, given.folder as i32, target) })
        },
        fields: |_| json!({"target": "../some/target", "new_path": null}),
    },
    Row {
        name: "ring-mkdirat",
        before: Before::Nothing,
        operation: "mkdir",
        act: |actor, given| {
            let entry = absolute(op::MKDIRAT, actor, given);
            actor.ring(Entry { len: 0o750, ..entry })
        },
        fields: plain,
    },
    Row {
        name: "ring-fsetxattr",
        before: Before::Open,
        operation: "setxattr",
        act: |actor, given| {
            let entry = with_attribute(op::FSETXATTR, actor, given);
            actor.ring(entry)
        },
        fields: attribute,
    },
    Row {
        name: "ring-setxattr",
        before: Before::File,
        operation: "setxattr",
        act: |actor, given| {
            let addr3 = text(actor, &given.path);
            let entry = with_attribute(op::SETXATTR, actor, given);
            actor.ring(Entry { fd: 0, addr3, ..entry })
        },
        fields: attribute,
    },
    Row {
        name: "ring-ftruncate",
        before: Before::Open,
        operation: "truncate",
        act: |actor, given| {
            actor.ring(Entry { off: CUT_BYTES as u64, ..entry(op::FTRUNCATE, given.file as i32, 0) })
        },
        fields: plain,
    },
];
