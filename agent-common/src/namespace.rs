//! Namespace and mount records.

use crate::EventHead;

/// Namespaces or mounts were changed. Four byte strings follow: source text, target text, components of the folder
/// that a relative target starts from, filesystem type.
///
/// pivot_root(2) has its new root as target and the place of the old one as source; move_mount(2) as source and target.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NamespaceRecord {
    /// Who, what, with which result.
    pub head: EventHead,
    /// Flags of the call: `CLONE_NEW*`, `MS_*`, `MNT_*` or `MOVE_MOUNT_*`.
    pub flags: u64,
    /// Bytes of the source.
    pub source_bytes: u16,
    /// Bytes of the target.
    pub target_bytes: u16,
    /// Bytes of the folder.
    pub base_bytes: u16,
    /// Bytes of the filesystem type.
    pub fs_type_bytes: u16,
}

const _: () = assert!(size_of::<NamespaceRecord>() == 88);
