//! Socket addresses (`struct sockaddr`), in the caller's memory or in the kernel's.

use agent_common::EVENT_UNREADABLE;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user};

use crate::event::Outcome;
use crate::path::{bounded, read};
use crate::room::user;
use crate::sock::Address;

/// `sun_path` of `struct sockaddr_un`, bytes.
const PATH_BYTES_MAX: usize = 108;
/// Room for it with a NUL: more than the largest value of the mask on its length.
pub(super) const PATH_ROOM_BYTES: usize = 136;
/// Where parts of an address lie, bytes: the same of all families that have them.
const PORT: u64 = 2;
const PATH: u64 = 2;
const V4: u64 = 4;
const V6: u64 = 8;

/// An address that a call was given. Each part is read by itself: an address may be the last in its page.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) at: u64,
    /// How long the caller says that it is.
    pub(super) bytes: i32,
    pub(super) in_kernel: bool,
}

impl Name {
    /// No address. No `Option`: the compiler would carry around what is not there, and the verifier refuses to.
    pub(super) const NONE: Self = Self { at: 0, bytes: 0, in_kernel: false };

    #[inline(always)]
    fn part<T: Copy>(self, offset: u64) -> T {
        let at = self.at + offset;
        if self.in_kernel { read(at as *const u8, 0) } else { user(at) }
    }

    #[inline(always)]
    pub(super) fn family(self) -> u16 {
        self.part(0)
    }

    /// The port; of a packet socket, its protocol.
    #[inline(always)]
    pub(super) fn port(self) -> u16 {
        u16::from_be(self.part(PORT))
    }

    #[inline(always)]
    pub(super) fn v4(self) -> Address {
        Address::v4(self.part(V4), self.port())
    }

    #[inline(always)]
    pub(super) fn v6(self) -> Address {
        Address { words: self.part(V6), port: self.port() }
    }

    /// Reads the address of a Unix socket, and answers its bytes: a path without its NUL, or all of an abstract name.
    #[inline(always)]
    pub(super) fn path(self, into: *mut u8, outcome: &mut Outcome) -> usize {
        if self.at == 0 {
            return 0;
        }
        let mut bytes = (i64::from(self.bytes) - PATH as i64) as usize;
        // Also what is negative.
        if bytes > PATH_BYTES_MAX {
            bytes = 0;
        }
        let bytes = bounded::<256>(bytes);
        let from = (self.at + PATH) as *const core::ffi::c_void;
        // SAFETY: the room is larger than the mask; a bad address is an error.
        unsafe {
            let failed = if self.in_kernel {
                bpf_probe_read_kernel(into.cast(), bytes as u32, from)
            } else {
                bpf_probe_read_user(into.cast(), bytes as u32, from)
            };
            if failed != 0 {
                outcome.flags |= EVENT_UNREADABLE;
                return 0;
            }
            *into.add(bytes) = 0;
            if *into == 0 {
                return bytes;
            }
            // A path may end before the address does: its length is asked for by copying it onto itself.
            let text = bpf_probe_read_kernel_str(into.cast(), PATH_ROOM_BYTES as u32, into.cast());
            if text <= 0 { 0 } else { text as usize - 1 }
        }
    }
}
