//! Values that the agent fixes before the programs load. They lie in a frozen map, so the verifier treats them as
//! constants and removes the branches that they rule out.

use agent_common::{Offsets, UNKNOWN_OFFSET};
use aya_ebpf::Global;

/// Written by the loader under this name.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::UNKNOWN;

/// 1 where the tracepoint sched_process_exit says in its second argument that the last thread ended (since 6.17).
#[unsafe(no_mangle)]
pub(crate) static EXIT_HAS_GROUP_DEAD: Global<u32> = Global::new(0);

/// Bytes in the ring from which on a record wakes the reader; below, the reader's own tick finds it.
#[unsafe(no_mangle)]
pub(crate) static WAKEUP_BYTES: Global<u64> = Global::new(0);

/// 1 where `sock_ops` programs may ask who the current process is (since 5.11, and with BTF).
#[unsafe(no_mangle)]
pub(crate) static OWNERS_IN_SOCK_OPS: Global<u32> = Global::new(0);

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

#[inline(always)]
pub(crate) fn load<T: Copy>(pointer: *const u8, offset: usize) -> T {
    // SAFETY: the verifier checks the access against the type of the pointer in the kernel's BTF.
    unsafe { *pointer.add(offset).cast::<T>() }
}

pub(crate) use {field, offset};

/// Whether this kernel has a field.
pub(crate) const fn known(offset: usize) -> bool {
    offset != UNKNOWN_OFFSET as usize
}
