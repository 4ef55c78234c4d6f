//! What was done to files.

use std::borrow::Cow;

use serde::Serialize;

use crate::flags::{access_names, protection_names};
use crate::{Device, Operation};

/// Something was done to a file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct FileEvent {
    /// Absolute path as the process sees it; empty where it could not be told.
    pub path: String,
    /// The path comes from the caller's text: symbolic links in it are not followed.
    pub path_textual: bool,
    /// The path begins at the root of its filesystem, since the mount is not known.
    pub path_in_filesystem: bool,
    /// The new name of a rename or link, absolute; the text of a symbolic link as it was given.
    pub other_path: Option<String>,
    /// An inode of the watched set was touched, under whatever name.
    pub by_inode: bool,
    /// Inode number, 0 where there is none.
    pub inode: u64,
    /// Device of the filesystem.
    pub device: Device,
    /// Mode with its type bits, before the operation; 0 where not known.
    pub mode: u32,
    /// Flags of open(2) or renameat2(2), protection of mmap(2).
    pub flags: u32,
    /// New mode or new owner.
    pub value: u32,
    /// New group.
    pub group: u32,
    /// New length, where the hook knows it.
    pub length: Option<u64>,
    /// Name of the extended attribute.
    pub attribute: String,
}

/// What was done to a file as records show it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct FileView {
    /// Absolute path as the process sees it.
    pub path: String,
    /// The path comes from the caller's text: symbolic links in it are not followed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub path_textual: bool,
    /// The path begins at the root of its filesystem, since the mount is not known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub path_in_filesystem: bool,
    /// Path as the host sees it, where known and another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// New name, for renames and links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_path: Option<String>,
    /// Text of the symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What the file was opened for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Vec<&'static str>>,
    /// Protection of the mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<Vec<Cow<'static, str>>>,
    /// Inode number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Device of the filesystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Mode before the operation, octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// New mode, octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_mode: Option<String>,
    /// New owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_uid: Option<u32>,
    /// New group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_gid: Option<u32>,
    /// Name of the extended attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// New length, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// An inode of the watched set was touched, under whatever name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_inode: bool,
}

/// An owner or group that stays.
const UNCHANGED: u32 = u32::MAX;

impl FileView {
    /// The view of an event; which of its numbers mean something depends on the operation.
    #[must_use]
    pub fn new(operation: Operation, event: FileEvent) -> Self {
        let FileEvent {
            path,
            path_textual,
            path_in_filesystem,
            other_path,
            by_inode,
            inode,
            device,
            mode,
            flags,
            value,
            group,
            length,
            attribute,
        } = event;
        let (new_path, target) = match operation {
            Operation::Symlink => (None, other_path),
            _ => (other_path, None),
        };
        let is_chown = operation == Operation::Chown;
        let owner = |id: u32| (is_chown && id != UNCHANGED).then_some(id);
        Self {
            path,
            path_textual,
            path_in_filesystem,
            host_path: None,
            new_path,
            target,
            access: (operation == Operation::Open).then(|| access_names(flags)),
            protection: (operation == Operation::MmapExec).then(|| protection_names(flags)),
            inode: (inode != 0).then_some(inode),
            device: (inode != 0 || device != Device::default()).then_some(device),
            mode: (mode != 0).then(|| octal(mode)),
            new_mode: (operation == Operation::Chmod).then(|| octal(value & 0o7777)),
            new_uid: owner(value),
            new_gid: owner(group),
            attribute: (!attribute.is_empty()).then_some(attribute),
            length: length.filter(|_| operation == Operation::Truncate),
            by_inode,
        }
    }
}

/// Octal digits without a prefix, as modes are written.
pub(crate) fn octal(mode: u32) -> String {
    format!("{mode:o}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_tells_what_a_number_means() {
        let event = || FileEvent {
            path: "/x".to_owned(),
            value: 0o4755,
            group: u32::MAX,
            flags: 4,
            ..FileEvent::default()
        };
        let chmod = FileView::new(Operation::Chmod, event());
        assert_eq!((chmod.new_mode.as_deref(), chmod.new_uid, chmod.access), (Some("4755"), None, None));
        let chown = FileView::new(Operation::Chown, event());
        assert_eq!((chown.new_mode, chown.new_uid, chown.new_gid), (None, Some(0o4755), None));
        assert_eq!(FileView::new(Operation::MmapExec, event()).protection.unwrap(), ["exec"]);
        let other = FileEvent { other_path: Some("../y".to_owned()), ..event() };
        assert_eq!(FileView::new(Operation::Symlink, other.clone()).target.as_deref(), Some("../y"));
        assert_eq!(FileView::new(Operation::Rename, other).new_path.as_deref(), Some("../y"));
    }
}
