//! Records of code and observers that enter the kernel.

use crate::EventHead;

/// [`KernelRecord::flags`]: the name is a list of path components from the file upwards.
pub const KERNEL_NAME_IS_PATH: u32 = 1;

/// Code was loaded into the kernel, or an observer of other tasks. A name follows: the module's file or parameters, or
/// the program's or map's name.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct KernelRecord {
    /// Who, what, with which result.
    pub head: EventHead,
    /// Program or map type, perf event config, module or kexec flags.
    pub value: u64,
    /// bpf(2) command, or perf event type.
    pub command: u32,
    /// Process of a perf event, in the caller's pid namespace; -1 for all of a CPU.
    pub target_pid: i32,
    /// CPU of a perf event; -1 for any.
    pub cpu: i32,
    /// `KERNEL_*` flags.
    pub flags: u32,
    /// Bytes of the name.
    pub name_bytes: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<KernelRecord>() == 104);
