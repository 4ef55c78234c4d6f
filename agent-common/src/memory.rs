//! Records of code and control that enter other processes, or make memory executable.

use crate::EventHead;

/// [`MemoryRecord::flags`]: the memory was writable until now.
pub const MEMORY_WAS_WRITABLE: u32 = 1;
/// [`MemoryRecord::flags`]: whether it was writable is not known.
pub const MEMORY_WRITABLE_UNKNOWN: u32 = 2;

/// Code or control went into a process. A name follows: of the memfd, or components of the /proc file's path.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MemoryRecord {
    /// Who, what, with which result.
    pub head: EventHead,
    /// Start of the target process, nanoseconds since boot; 0 where only the caller's word for it is known.
    pub target_start_ns: u64,
    /// Thread group id of the target in the initial pid namespace; 0 where not known.
    pub target_pid: u32,
    /// The target as the caller named it, in its own pid namespace; 0 where the call has none.
    pub target_ns_pid: u32,
    /// Address in the target or of the memory; where it is known what the memory was before, of the mapping that holds it.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// ptrace(2) request, protection of mprotect(2), flags of memfd_create(2) or userfaultfd(2), of open(2).
    pub request: u32,
    /// `MEMORY_*` flags.
    pub flags: u32,
    /// Bytes of the name.
    pub name_bytes: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<MemoryRecord>() == 120);
