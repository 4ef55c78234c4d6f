//! The tree of watched paths, and the table of system calls.

use crate::Operation;

/// Longest path component that a filter can name, with its closing NUL, bytes.
pub const FILTER_NAME_BYTES_MAX: usize = 60;
/// Nodes that the tree has room for: those of the old and of the new tree while one takes the other's place.
pub const FILTER_NODES_MAX: usize = 16384;

/// [`FilterNode::mask`]: reading of what lies at or below the node is told.
pub const FILTER_READ: u32 = 1;
/// [`FilterNode::mask`]: every other operation is told.
pub const FILTER_WRITE: u32 = 2;
/// [`FilterNode::mask`]: the node has children with names.
pub const FILTER_NAMED: u32 = 4;
/// [`FilterNode::mask`]: the node has a child for every other name.
pub const FILTER_WILDCARD: u32 = 8;

/// Key of a child in the tree of watched paths.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct FilterKey {
    /// The parent.
    pub node: u32,
    /// Its component, filled up with zeros.
    pub name: [u8; FILTER_NAME_BYTES_MAX],
}

/// A node of the tree of watched paths: one path component, in the place that the ones before it lead to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct FilterNode {
    /// The node above; the root is above itself.
    pub parent: u32,
    /// The child for names that no other child has; 0 for none.
    pub wildcard: u32,
    /// `FILTER_*`; what is told of a folder is told of all that is in it.
    pub mask: u32,
    /// With which bytes its children's names begin: a bit of [`FilterNode::initial`] for each.
    pub initials: u32,
}

impl FilterNode {
    /// The bit of a name's first byte: shared by bytes that are 32 apart.
    #[inline(always)]
    #[must_use]
    pub const fn initial(byte: u8) -> u32 {
        1 << (byte & 31)
    }
}

/// Where filtering begins.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct FilterRoot {
    /// Root of the tree in force.
    pub node: u32,
    /// Number of files watched by identity.
    pub inodes: u32,
}

/// A file watched by identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct InodeKey {
    /// Inode number.
    pub inode: u64,
    /// Device: major << 20 | minor.
    pub device: u32,
    /// Zero.
    pub reserved: u32,
}

/// No such argument, in a [`Syscall`].
pub const NO_ARGUMENT: u8 = u8::MAX;
/// Largest system call number that is looked up, plus 1; a power of two. The 32-bit interface comes after the native.
pub const SYSCALL_NUMBERS: usize = 1024;

/// What a system call does, and which of its arguments say what; [`NO_ARGUMENT`] for those that it lacks. All zero for
/// a system call that nobody asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Syscall {
    /// What it does.
    pub operation: Operation,
    /// Which program tells of it.
    pub handler: u16,
    /// Path.
    pub path: u8,
    /// Descriptor of the folder that a relative path starts from.
    pub folder: u8,
    /// Second path.
    pub other: u8,
    /// Folder of the second path.
    pub other_folder: u8,
    /// Descriptor of the file itself.
    pub file: u8,
    /// Flags or protection.
    pub flags: u8,
    /// Mode, owner or length.
    pub value: u8,
    /// Group.
    pub group: u8,
    /// Name of an extended attribute.
    pub name: u8,
    /// 1 where `flags` points to a `struct open_how`.
    pub how: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

impl Syscall {
    /// Nobody asked.
    pub const NONE: Self = Self {
        operation: Operation(0),
        handler: 0,
        path: 0,
        folder: 0,
        other: 0,
        other_folder: 0,
        file: 0,
        flags: 0,
        value: 0,
        group: 0,
        name: 0,
        how: 0,
        reserved: [0; 2],
    };
}

/// Programs that system calls are handed to, by [`Syscall::handler`].
pub const HANDLER_FILE: u16 = 1;
/// See [`HANDLER_FILE`].
pub const HANDLER_CREDENTIALS: u16 = 2;
/// See [`HANDLER_FILE`].
pub const HANDLER_NAMESPACE: u16 = 3;
/// See [`HANDLER_FILE`].
pub const HANDLER_KERNEL: u16 = 4;
/// See [`HANDLER_FILE`].
pub const HANDLER_MEMORY: u16 = 5;
/// See [`HANDLER_FILE`].
pub const HANDLER_SOCKET: u16 = 6;
/// See [`HANDLER_FILE`].
pub const HANDLER_STDIO: u16 = 7;
/// File operations by path; [`HANDLER_FILE`] hands over to it.
pub const HANDLER_FILE_TEXT: u16 = 8;
/// Number of handlers, the unused 0 included.
pub const HANDLERS: usize = 9;

const _: () = assert!(size_of::<FilterKey>() == 64 && size_of::<FilterNode>() == 16);
const _: () = assert!(size_of::<InodeKey>() == 16 && size_of::<Syscall>() == 16);
