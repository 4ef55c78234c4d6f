//! Rooms in a ring for records that strings follow: of a fixed size, so that a record can be put together in the ring.

use agent_common::{EVENT_TRUNCATED, EVENT_UNREADABLE};
use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};

use core::mem::MaybeUninit;

use crate::event::Outcome;

/// A record, and room for what follows it. The record's own size says how much of the room is used.
#[repr(C)]
pub(crate) struct Room<R, const TEXT: usize> {
    pub(crate) record: R,
    pub(crate) text: [u8; TEXT],
}

/// Reads a string of the caller to a place with room for `most` bytes, and answers its bytes without the closing NUL. An
/// address of 0 is no string.
#[inline(always)]
pub(crate) fn user_text(into: *mut u8, at: u64, most: usize, outcome: &mut Outcome) -> usize {
    if at == 0 {
        return 0;
    }
    // SAFETY: the caller's room; a bad address is an error.
    let written = unsafe { bpf_probe_read_user_str(into.cast(), most as u32, at as *const _) };
    if written < 0 {
        outcome.flags |= EVENT_UNREADABLE;
        return 0;
    }
    if written as usize >= most {
        outcome.flags |= EVENT_TRUNCATED;
    }
    // Of an empty string, kernels before 6.12 do not count the closing NUL (mm/maccess.c, strncpy_from_user_nofault()).
    written as usize - usize::from(written > 0)
}

/// Reads integers of the caller; zero where the address is bad.
#[inline(always)]
pub(crate) fn user<T: Copy>(at: u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: a probe read, which clears what it could not read.
    unsafe {
        bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, at as *const _);
        value.assume_init()
    }
}
