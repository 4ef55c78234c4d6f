//! File records.

use crate::EventHead;

/// [`FileRecord::path_flags`]: the path is a text as the caller gave it, relative to the base that follows it.
pub const FILE_PATH_TEXT: u16 = 1;
/// [`FileRecord::path_flags`]: as [`FILE_PATH_TEXT`], of the second path.
pub const FILE_OTHER_TEXT: u16 = 2;
/// [`FileRecord::path_flags`]: the hook does not tell the mount, so the path begins at the root of its filesystem.
pub const FILE_PATH_IN_FILESYSTEM: u16 = 4;
/// [`FileRecord::path_flags`]: an inode of the watched set was touched, under whatever name.
pub const FILE_BY_INODE: u16 = 8;

/// [`FileRecord::length`] where the hook does not tell it.
pub const FILE_LENGTH_UNKNOWN: u64 = u64::MAX;

/// Something was done to a file. Five byte strings follow, in this order: path, base of the path, second path, base of
/// the second path, name. A path is a list of components from the file upwards as in [`crate::ExecRecord`], unless a
/// flag says that it is a text; a base is always a list of components, of the folder that a relative text starts from.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FileRecord {
    /// Who, what, with which result.
    pub head: EventHead,
    /// Inode number; 0 where there is none (yet, or any more).
    pub inode: u64,
    /// New length, for truncation.
    pub length: u64,
    /// Device of the filesystem, as the kernel keeps it: major << 20 | minor.
    pub device: u32,
    /// File mode with its type bits, before the operation; 0 where it is not known.
    pub mode: u32,
    /// Flags of open(2) or renameat2(2), protection of mmap(2).
    pub flags: u32,
    /// New mode or new owner; `u32::MAX` for an owner that stays.
    pub value: u32,
    /// New group; `u32::MAX` for one that stays.
    pub group: u32,
    /// `FILE_*` flags.
    pub path_flags: u16,
    /// Bytes of the path.
    pub path_bytes: u16,
    /// Bytes of the path's base.
    pub base_bytes: u16,
    /// Bytes of the second path: the new name of a rename or link, the target text of a symbolic link.
    pub other_bytes: u16,
    /// Bytes of the second path's base.
    pub other_base_bytes: u16,
    /// Bytes of the extended attribute's name.
    pub name_bytes: u16,
}

const _: () = assert!(size_of::<FileRecord>() == 120);
