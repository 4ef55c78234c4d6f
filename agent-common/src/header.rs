//! What every record begins with.

/// Changes whenever the layout of any record does; the agent refuses records of another version.
pub const WIRE_VERSION: u16 = 4;

/// Number of record kinds: codes run from 0 to this, exclusive.
pub const KIND_COUNT: usize = 19;

/// Code of a record kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Kind(pub u16);

impl Kind {
    /// [`crate::ForkRecord`]
    pub const PROCESS_FORK: Self = Self(0);
    /// [`crate::ExecRecord`]
    pub const PROCESS_EXEC: Self = Self(1);
    /// [`crate::ExitRecord`]
    pub const PROCESS_EXIT: Self = Self(2);
    /// [`crate::TcpRecord`] at establishment.
    pub const TCP_OPEN: Self = Self(3);
    /// [`crate::TcpRecord`] at the end of an established connection.
    pub const TCP_CLOSE: Self = Self(4);
    /// [`crate::TcpRecord`] of a connection attempt that failed.
    pub const TCP_FAIL: Self = Self(5);
    /// [`crate::CgroupRecord`]
    pub const CGROUP: Self = Self(6);
    /// [`crate::CredentialsRecord`]
    pub const CREDENTIALS: Self = Self(7);
    /// [`crate::CapabilityRecord`]
    pub const CAPABILITY: Self = Self(8);
    /// [`crate::FileRecord`]
    pub const FILE: Self = Self(9);
    /// [`crate::NamespaceRecord`]
    pub const NAMESPACE: Self = Self(10);
    /// [`crate::KernelRecord`]
    pub const KERNEL: Self = Self(11);
    /// [`crate::MemoryRecord`]
    pub const MEMORY: Self = Self(12);
    /// [`crate::SocketRecord`]
    pub const SOCKET: Self = Self(13);
    /// [`crate::SignalRecord`]
    pub const SIGNAL: Self = Self(14);
    /// [`crate::StdioRecord`]
    pub const STDIO: Self = Self(15);
    /// [`crate::DatagramRecord`]
    pub const DATAGRAM: Self = Self(16);
    /// [`crate::PayloadRecord`]
    pub const PAYLOAD: Self = Self(17);
    /// [`crate::DropRecord`]
    pub const DROP: Self = Self(18);

    /// Whether records of this kind go into the priority ring: what tells who did something, and what changes what a
    /// process may do.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        matches!(
            self,
            Self::PROCESS_FORK
                | Self::PROCESS_EXEC
                | Self::PROCESS_EXIT
                | Self::CGROUP
                | Self::CREDENTIALS
                | Self::NAMESPACE
                | Self::KERNEL
        )
    }

    /// Whether no rate limits records of this kind: what tells who did something, and cannot be asked for in vain as a
    /// system call can.
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        matches!(self, Self::PROCESS_FORK | Self::PROCESS_EXEC | Self::PROCESS_EXIT | Self::CGROUP)
    }
}

/// The first 64 bytes of every record.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Size of the whole record, header and tail, in bytes.
    pub size: u32,
    /// What follows.
    pub kind: Kind,
    /// [`WIRE_VERSION`]
    pub version: u16,
    /// CLOCK_BOOTTIME in nanoseconds when the record was made.
    pub boot_ns: u64,
    /// Thread group id of the acting process in the initial pid namespace; 0 where not known.
    pub pid: u32,
    /// Real user id of the acting process.
    pub uid: u32,
    /// Start of the acting process: `start_boottime` of its group leader, nanoseconds since boot.
    pub start_ns: u64,
    /// Cgroup v2 id of the acting process.
    pub cgroup_id: u64,
    /// Inode number of the network namespace.
    pub net_ns: u32,
    /// Inode number of the mount namespace; 0 on TCP records.
    pub mnt_ns: u32,
    /// Inode number of the pid namespace for children; 0 on TCP records.
    pub pid_ns: u32,
    /// Inode number of the user namespace; 0 on TCP records.
    pub user_ns: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
}

const _: () = assert!(size_of::<Header>() == 64);
