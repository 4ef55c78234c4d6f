//! What every security record begins with.

use crate::Header;

/// [`EventHead::flags`]: `result` holds what the operation returned; else the hook stands before its end.
pub const EVENT_RESULT_KNOWN: u16 = 1;
/// [`EventHead::flags`]: a string did not fit its room and was cut.
pub const EVENT_TRUNCATED: u16 = 2;
/// [`EventHead::flags`]: a string could not be read from the caller's memory.
pub const EVENT_UNREADABLE: u16 = 4;
/// [`EventHead::flags`]: asked for through io_uring.
pub const EVENT_IO_URING: u16 = 8;
/// [`EventHead::flags`]: asked for by the 32-bit system call interface.
pub const EVENT_COMPAT: u16 = 16;

/// Longest path or name that a caller gives as text, with its closing NUL (`PATH_MAX` is 4096; what is longer is cut
/// and marked), bytes; a power of two.
pub const TEXT_BYTES_MAX: usize = 512;

/// The first 72 bytes of every security record.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EventHead {
    /// The acting process.
    pub header: Header,
    /// What it did.
    pub operation: Operation,
    /// `EVENT_*` flags.
    pub flags: u16,
    /// What the system call returned: 0 or more, or a negated errno.
    pub result: i32,
}

const _: () = assert!(size_of::<EventHead>() == 72);

/// Code of an operation; codes are unique over all families.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Operation(pub u16);

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)+) => {
        impl Operation {
            $($(#[$doc])* pub const $name: Self = Self($code);)+

            /// Every operation with its name.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$name, stringify!($name)),)+];
        }
    };
}

operations! {
    /// Files: opened. [`crate::FileRecord`]
    OPEN = 1,
    /// A name was removed.
    UNLINK = 2,
    /// A folder was removed.
    RMDIR = 3,
    /// A name was changed.
    RENAME = 4,
    /// A second name was made.
    LINK = 5,
    /// A symbolic link was made.
    SYMLINK = 6,
    /// The mode was changed.
    CHMOD = 7,
    /// The owner was changed.
    CHOWN = 8,
    /// An extended attribute was set.
    SETXATTR = 9,
    /// The length was changed.
    TRUNCATE = 10,
    /// A file that is open for writing was mapped for execution.
    MMAP_EXEC = 11,
    /// A folder was made.
    MKDIR = 12,

    /// User, group or capability sets changed. [`crate::CredentialsRecord`]
    SETUID = 20,
    /// As [`Self::SETUID`], by the setgid family.
    SETGID = 21,
    /// By setgroups(2).
    SETGROUPS = 22,
    /// By capset(2).
    CAPSET = 23,
    /// By some way that the hook does not tell, as the kernel put the new credentials into force.
    COMMIT = 24,
    /// A capability of the watched set was asked for. [`crate::CapabilityRecord`]
    CAPABLE = 25,

    /// Namespaces and mounts: unshare(2). [`crate::NamespaceRecord`]
    UNSHARE = 30,
    /// setns(2)
    SETNS = 31,
    /// mount(2)
    MOUNT = 32,
    /// umount2(2)
    UMOUNT = 33,
    /// pivot_root(2)
    PIVOT_ROOT = 34,
    /// chroot(2)
    CHROOT = 35,
    /// move_mount(2), the attaching half of the newer mount interface.
    MOVE_MOUNT = 36,

    /// Code into the kernel: init_module(2). [`crate::KernelRecord`]
    INIT_MODULE = 40,
    /// finit_module(2)
    FINIT_MODULE = 41,
    /// bpf(2), `BPF_PROG_LOAD`.
    BPF_PROG_LOAD = 42,
    /// bpf(2), `BPF_MAP_CREATE`.
    BPF_MAP_CREATE = 43,
    /// bpf(2), a command that detaches or replaces programs of others.
    BPF_DETACH = 44,
    /// perf_event_open(2) of other tasks or of a CPU.
    PERF_EVENT_OPEN = 45,
    /// kexec_load(2)
    KEXEC_LOAD = 46,
    /// kexec_file_load(2)
    KEXEC_FILE_LOAD = 47,
    /// delete_module(2)
    DELETE_MODULE = 48,
    /// bpf(2); the command decides which of the above it is, or none.
    BPF = 49,

    /// Code into processes: ptrace(2) requests that attach or write. [`crate::MemoryRecord`]
    PTRACE = 50,
    /// process_vm_writev(2)
    VM_WRITEV = 51,
    /// /proc/PID/mem was opened for writing.
    MEM_OPEN = 52,
    /// memfd_create(2)
    MEMFD_CREATE = 53,
    /// mprotect(2) or pkey_mprotect(2) that makes memory executable.
    MPROTECT = 54,
    /// userfaultfd(2)
    USERFAULTFD = 55,

    /// Sockets: a raw or packet socket was made. [`crate::SocketRecord`]
    SOCKET = 60,
    /// bind(2)
    BIND = 61,
    /// listen(2)
    LISTEN = 62,
    /// connect(2) to a Unix socket.
    CONNECT = 63,

    /// A signal to another container, or to the agent. [`crate::SignalRecord`]
    SIGNAL = 70,

    /// A socket became standard input, output or error. [`crate::StdioRecord`]
    DUP = 80,
}
