//! Changes of namespaces and mounts.

use std::borrow::Cow;

use serde::Serialize;

use crate::Operation;
use crate::flags::{CLONE_FLAGS, FlagTable, flag_names};

/// Namespaces or mounts were changed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NamespaceEvent {
    /// Flags of the call.
    pub flags: u64,
    /// What is mounted, moved, or made the root; a device or word as it was given. Empty where there is none.
    pub source: String,
    /// Where to: an absolute path. Empty where there is none.
    pub target: String,
    /// Filesystem type. Empty where there is none.
    pub fs_type: String,
}

/// A change of namespaces or mounts as records show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NamespaceView {
    /// Names of the call's flags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Cow<'static, str>>,
    /// What is mounted, moved, or made the root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Filesystem type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fs_type: String,
}

impl NamespaceView {
    /// The view of an event; which flags they are depends on the operation.
    #[must_use]
    pub fn new(operation: Operation, event: NamespaceEvent) -> Self {
        let NamespaceEvent { flags, source, target, fs_type } = event;
        let table = match operation {
            Operation::Mount => MOUNT_FLAGS,
            Operation::Umount => UMOUNT_FLAGS,
            Operation::MoveMount => MOVE_MOUNT_FLAGS,
            _ => CLONE_FLAGS,
        };
        // Programs of old put a magic number into the upper half, which the kernel discards (mount(2)).
        let flags = match operation {
            Operation::Mount if flags & 0xffff_0000 == MS_MGC_VAL => flags & !MS_MGC_VAL,
            _ => flags,
        };
        Self { flags: flag_names(table, flags), source, target, fs_type }
    }
}

const MS_MGC_VAL: u64 = 0xc0ed_0000;

/// include/uapi/linux/mount.h
const MOUNT_FLAGS: &FlagTable = &[
    (0x1, "MS_RDONLY"),
    (0x2, "MS_NOSUID"),
    (0x4, "MS_NODEV"),
    (0x8, "MS_NOEXEC"),
    (0x10, "MS_SYNCHRONOUS"),
    (0x20, "MS_REMOUNT"),
    (0x40, "MS_MANDLOCK"),
    (0x80, "MS_DIRSYNC"),
    (0x100, "MS_NOSYMFOLLOW"),
    (0x400, "MS_NOATIME"),
    (0x800, "MS_NODIRATIME"),
    (0x1000, "MS_BIND"),
    (0x2000, "MS_MOVE"),
    (0x4000, "MS_REC"),
    (0x8000, "MS_SILENT"),
    (0x1_0000, "MS_POSIXACL"),
    (0x2_0000, "MS_UNBINDABLE"),
    (0x4_0000, "MS_PRIVATE"),
    (0x8_0000, "MS_SLAVE"),
    (0x10_0000, "MS_SHARED"),
    (0x20_0000, "MS_RELATIME"),
    (0x40_0000, "MS_KERNMOUNT"),
    (0x80_0000, "MS_I_VERSION"),
    (0x100_0000, "MS_STRICTATIME"),
    (0x200_0000, "MS_LAZYTIME"),
];

/// include/linux/fs.h
const UMOUNT_FLAGS: &FlagTable =
    &[(0x1, "MNT_FORCE"), (0x2, "MNT_DETACH"), (0x4, "MNT_EXPIRE"), (0x8, "UMOUNT_NOFOLLOW")];

/// include/uapi/linux/mount.h
const MOVE_MOUNT_FLAGS: &FlagTable = &[
    (0x1, "MOVE_MOUNT_F_SYMLINKS"),
    (0x2, "MOVE_MOUNT_F_AUTOMOUNTS"),
    (0x4, "MOVE_MOUNT_F_EMPTY_PATH"),
    (0x10, "MOVE_MOUNT_T_SYMLINKS"),
    (0x20, "MOVE_MOUNT_T_AUTOMOUNTS"),
    (0x40, "MOVE_MOUNT_T_EMPTY_PATH"),
    (0x100, "MOVE_MOUNT_SET_GROUP"),
    (0x200, "MOVE_MOUNT_BENEATH"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named_by_operation() {
        for (operation, flags, expected) in [
            (Operation::Unshare, 0x1000_0000, &["CLONE_NEWUSER"][..]),
            (Operation::Mount, 0xc0ed_5000, &["MS_BIND", "MS_REC"]),
            (Operation::Umount, 2, &["MNT_DETACH"]),
            (Operation::MoveMount, 4, &["MOVE_MOUNT_F_EMPTY_PATH"]),
        ] {
            let event = NamespaceEvent { flags, ..NamespaceEvent::default() };
            assert_eq!(NamespaceView::new(operation, event).flags, expected);
        }
    }
}
