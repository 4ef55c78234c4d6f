//! Values that the agent fixes before the programs load. They lie in a frozen map, so the verifier treats them as
//! constants and removes the branches that they rule out.

use agent_common::{Offsets, UNKNOWN_OFFSET};
use aya_ebpf::Global;

use crate::path::read;

/// Written by the loader under this name.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::UNKNOWN;

/// 1 where the tracepoint sched_process_exit says in its second argument that the last thread ended (since 6.17).
#[unsafe(no_mangle)]
pub(crate) static EXIT_HAS_GROUP_DEAD: Global<u32> = Global::new(0);

/// Bytes in a bulk ring from which on a record wakes the reader; below, the reader's own tick finds it.
#[unsafe(no_mangle)]
pub(crate) static WAKEUP_BYTES: Global<u64> = Global::new(0);

/// As [`WAKEUP_BYTES`], of the priority ring.
#[unsafe(no_mangle)]
pub(crate) static PRIORITY_WAKEUP_BYTES: Global<u64> = Global::new(0);

/// Number of bulk rings in use, a power of two of at most 4, less one.
#[unsafe(no_mangle)]
pub(crate) static BULK_RING_MASK: Global<u32> = Global::new(0);

/// Nanoseconds in which a cgroup's token comes back; 0 for no limit.
#[unsafe(no_mangle)]
pub(crate) static RATE_INTERVAL_NS: Global<u64> = Global::new(0);

/// Nanoseconds in which a full bucket comes back.
#[unsafe(no_mangle)]
pub(crate) static RATE_BURST_NS: Global<u64> = Global::new(0);

/// Capabilities whose use is told of: bit n for capability n.
#[unsafe(no_mangle)]
pub(crate) static CAPABILITIES: Global<u64> = Global::new(0);

/// 1 where the environment of new programs is carried.
#[unsafe(no_mangle)]
pub(crate) static WITH_ENVIRONMENT: Global<u32> = Global::new(0);

/// 1 where file events are told of: the programs at open serve the memory family as well.
#[unsafe(no_mangle)]
pub(crate) static WITH_FILES: Global<u32> = Global::new(0);

/// 1 where opening /proc/PID/mem is told of.
#[unsafe(no_mangle)]
pub(crate) static WITH_MEMORY: Global<u32> = Global::new(0);

/// Position of the dentry among the arguments of the hook `inode_setxattr`: 1 since 5.12, 0 before.
#[unsafe(no_mangle)]
pub(crate) static SETXATTR_DENTRY: Global<u32> = Global::new(0);

/// 1 where Unix sockets are told of.
#[unsafe(no_mangle)]
pub(crate) static WITH_UNIX_SOCKETS: Global<u32> = Global::new(0);

/// 1 where a dentry's folder, the hash of its name and the name's address lie behind each other, and so do a mount's
/// parent, mountpoint and root. On kernels that shuffle their structs they may not.
#[unsafe(no_mangle)]
pub(crate) static PLACES_TOGETHER: Global<u32> = Global::new(0);

/// Position of the bit-field `linux_binprm.secureexec`, bits from the start of the struct.
#[unsafe(no_mangle)]
pub(crate) static SECURE_EXEC_BIT: Global<u32> = Global::new(0);

/// 1 where the kernel gives the current task as a pointer of a known type (`bpf_get_current_task_btf`, since 5.11). Without
/// that, every field is read by a probe read.
#[unsafe(no_mangle)]
pub(crate) static TYPED_TASKS: Global<u32> = Global::new(0);

/// Position of the bit-field `task_struct.in_execve`, bits from the start of the struct; `u32::MAX` where it is not known.
#[unsafe(no_mangle)]
pub(crate) static IN_EXECVE_BIT: Global<u32> = Global::new(u32::MAX);

/// Native system calls that reserve memory, for which the kernel asks for `CAP_SYS_ADMIN` though they do not need it: bit n
/// for number n.
#[unsafe(no_mangle)]
pub(crate) static RESERVING_CALLS: [u64; 8] = [0; 8];

/// As [`RESERVING_CALLS`], of the 32-bit interface.
#[unsafe(no_mangle)]
pub(crate) static RESERVING_COMPAT_CALLS: [u64; 8] = [0; 8];

/// Where system call arguments lie in `pt_regs`, first to last, bytes; eight, so that a position can be masked.
#[unsafe(no_mangle)]
pub(crate) static ARGUMENTS: [u32; 8] = [UNKNOWN_OFFSET; 8];

/// As [`ARGUMENTS`], of the 32-bit interface.
#[unsafe(no_mangle)]
pub(crate) static COMPAT_ARGUMENTS: [u32; 8] = [UNKNOWN_OFFSET; 8];

/// Where the system call number lies in `pt_regs`, bytes.
#[unsafe(no_mangle)]
pub(crate) static CALL_NUMBER: Global<u32> = Global::new(0);

/// Where a task says that it is in a 32-bit system call, bytes from its start, and the bit that says it; bit 0 is none.
#[unsafe(no_mangle)]
pub(crate) static COMPAT_STATUS: Global<u32> = Global::new(0);
/// The bit of [`COMPAT_STATUS`].
#[unsafe(no_mangle)]
pub(crate) static COMPAT_BIT: Global<u32> = Global::new(0);

/// Nanoseconds since its beginning or its last update from which on a connection has another update.
#[unsafe(no_mangle)]
pub(crate) static UPDATE_AGE_NS: Global<u64> = Global::new(0);

/// 1 where `sock_ops` programs may ask who the current process is (since 5.11, and with BTF).
#[unsafe(no_mangle)]
pub(crate) static OWNERS_IN_SOCK_OPS: Global<u32> = Global::new(0);

/// 1 where flows without connections are counted and told of.
#[unsafe(no_mangle)]
pub(crate) static WITH_DATAGRAMS: Global<u32> = Global::new(0);

/// 1 where what can be read from first bytes is copied.
#[unsafe(no_mangle)]
pub(crate) static WITH_PAYLOADS: Global<u32> = Global::new(0);

/// Reasons of dropped packets that are told of: bit n for `enum skb_drop_reason` n of this kernel.
#[unsafe(no_mangle)]
pub(crate) static DROP_REASONS: [u64; 8] = [0; 8];

/// The offset of a kernel field, by its name in [`Offsets`].
macro_rules! offset {
    ($name:ident) => {
        $crate::settings::frozen(&raw const $crate::settings::OFFSETS.$name)
    };
}

/// Reads a field through a pointer that the verifier knows the kernel type of: one load, faults handled by the kernel.
macro_rules! field {
    ($pointer:expr, $name:ident as $ty:ty) => {
        $crate::settings::load::<$ty>($pointer, $crate::settings::offset!($name))
    };
}

#[inline(always)]
pub(crate) fn frozen(offset: *const u32) -> usize {
    // SAFETY: a field of a plain static; volatile, because the loader changes what the compiler sees as its value.
    unsafe { core::ptr::read_volatile(offset) as usize }
}

/// A word of a frozen table, by an index that the program finds out.
#[inline(always)]
pub(crate) fn frozen_word(table: *const [u64; 8], index: u32) -> u64 {
    // SAFETY: within the table; volatile as above.
    unsafe { core::ptr::read_volatile(table.cast::<u64>().add(index as usize & 7)) }
}

/// Reads from memory of the programs themselves: a map's or a ring's.
#[inline(always)]
pub(crate) fn own<T: Copy>(pointer: *const u8, offset: usize) -> T {
    // SAFETY: the verifier checks the access against the size of the memory.
    unsafe { *pointer.wrapping_add(offset).cast::<T>() }
}

#[inline(always)]
pub(crate) fn load<T: Copy>(pointer: *const u8, offset: usize) -> T {
    if TYPED_TASKS.load() == 0 {
        return read(pointer, offset);
    }
    // SAFETY: the verifier checks the access against the type of the pointer in the kernel's BTF.
    unsafe { *pointer.add(offset).cast::<T>() }
}

pub(crate) use {field, offset};

/// Whether this kernel has a field.
pub(crate) const fn known(offset: usize) -> bool {
    offset != UNKNOWN_OFFSET as usize
}
