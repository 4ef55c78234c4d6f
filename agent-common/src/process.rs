//! Process records.

use crate::Header;

/// Longest argument vector carried, bytes; a power of two. What is longer is cut and marked.
pub const ARGS_BYTES_MAX: usize = 4096;
/// Most path components carried, counted from the file upwards.
pub const PATH_COMPONENTS_MAX: usize = 32;
/// Longest path carried, bytes.
pub const PATH_BYTES_MAX: usize = 2048;
/// Longest file name the kernel allows with its closing NUL (`NAME_MAX` + 1), bytes; a power of two.
pub const NAME_BYTES_MAX: usize = 256;

/// A process was forked. The header's process is the child.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ForkRecord {
    /// The child.
    pub header: Header,
    /// Thread group id of the process that forked it.
    pub parent_pid: u32,
    /// Zero.
    pub reserved: u32,
    /// Start of that process, nanoseconds since boot.
    pub parent_start_ns: u64,
}

const _: () = assert!(size_of::<ForkRecord>() == 80);

/// Flag of [`ExecRecord`]: the argument vector was longer than [`ARGS_BYTES_MAX`].
pub const EXEC_ARGS_TRUNCATED: u16 = 1;

/// A process replaced its image. Three byte strings follow, in this order: arguments as they lie in the process's
/// memory (each closed by NUL), the path of the binary, the working directory. A path is a list of components, each
/// closed by NUL, from the file *upwards* to the root of the process, as the kernel's dentry chain yields them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExecRecord {
    /// The process.
    pub header: Header,
    /// Thread group id of its parent.
    pub parent_pid: u32,
    /// Bytes of arguments.
    pub args_bytes: u16,
    /// Bytes of the binary's path.
    pub binary_bytes: u16,
    /// Start of its parent, nanoseconds since boot.
    pub parent_start_ns: u64,
    /// Bytes of the working directory's path.
    pub cwd_bytes: u16,
    /// `EXEC_*` flags.
    pub flags: u16,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ExecRecord>() == 88);

/// The last thread of a process ended.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExitRecord {
    /// The process.
    pub header: Header,
    /// Wait status word, as wait(2) would give it.
    pub wait_status: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ExitRecord>() == 72);
