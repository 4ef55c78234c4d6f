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
    /// Thread group id of the child in its own, innermost pid namespace.
    pub ns_pid: u32,
    /// Start of that process, nanoseconds since boot.
    pub parent_start_ns: u64,
    /// `CLONE_*` flags.
    pub clone_flags: u64,
}

const _: () = assert!(size_of::<ForkRecord>() == 88);

/// Flag of [`ExecRecord`]: the argument vector was longer than [`ARGS_BYTES_MAX`].
pub const EXEC_ARGS_TRUNCATED: u16 = 1;
/// Flag of [`ExecRecord`]: the argument vector could not be read.
pub const EXEC_ARGS_UNREADABLE: u16 = 2;
/// Flag of [`ExecRecord`]: the environment was longer than [`ENV_BYTES_MAX`].
pub const EXEC_ENV_TRUNCATED: u16 = 4;
/// Flag of [`ExecRecord`]: the environment could not be read.
pub const EXEC_ENV_UNREADABLE: u16 = 8;
/// Flag of [`ExecRecord`]: the binary has no name in any folder: memfd_create(2), or it was removed.
pub const EXEC_UNLINKED: u16 = 16;
/// Flag of [`ExecRecord`]: the binary is in an overlay filesystem, and [`EXEC_UPPER_LAYER`] says where in it.
pub const EXEC_OVERLAY: u16 = 32;
/// Flag of [`ExecRecord`]: the binary is in the upper layer of its overlay: it did not come with the image.
pub const EXEC_UPPER_LAYER: u16 = 64;
/// Flag of [`ExecRecord`]: the kernel raised privileges for it (`bprm->secureexec`: setuid, setgid, file capabilities).
pub const EXEC_SECURE: u16 = 128;

/// Longest environment carried where one is asked for, bytes; a power of two. What is longer is cut and marked.
pub const ENV_BYTES_MAX: usize = 4096;

/// A process replaced its image. Six byte strings follow, in this order: arguments as they lie in the process's
/// memory (each closed by NUL), the path of the binary, the working directory, the environment like the arguments, the
/// file that was asked for where the binary is its interpreter, and the interpreter's name in its first line. A path is
/// a list of components, each closed by NUL, from the file *upwards* to the root of the process, as the kernel's dentry
/// chain yields them; the last two strings are texts.
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
    /// Bytes of the environment.
    pub env_bytes: u16,
    /// Bytes of the script's path.
    pub script_bytes: u16,
    /// Bytes of the interpreter's name.
    pub interpreter_bytes: u16,
    /// Zero.
    pub reserved: u16,
    /// Thread group id in its own, innermost pid namespace.
    pub ns_pid: u32,
    /// Inode number of the binary.
    pub inode: u64,
    /// Effective capabilities of the new image.
    pub effective: u64,
    /// Permitted capabilities of the new image.
    pub permitted: u64,
    /// Device of the binary's filesystem: major << 20 | minor.
    pub device: u32,
    /// Mode of the binary with its type bits.
    pub mode: u32,
    /// Owner of the binary.
    pub owner: u32,
    /// Group of the binary.
    pub group: u32,
    /// Controlling terminal: device number as major << 20 | minor, 0 for none.
    pub tty: u32,
    /// Effective group id.
    pub egid: u32,
}

const _: () = assert!(size_of::<ExecRecord>() == 144);

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
