use std::ptr;

/// Room for everything that one actor is told, bytes.
const ARENA_BYTES: usize = 4 << 20;
/// Where each piece begins, so that every kernel struct lies well.
const ALIGNMENT: usize = 16;

/// Memory that system calls are pointed to; its addresses fit into 32 bits where that means something.
pub(super) struct Arena {
    start: *mut u8,
    used: usize,
}

impl Arena {
    pub(super) fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        #[cfg(not(target_arch = "x86_64"))]
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, where the kernel wants it.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), ARENA_BYTES, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        assert_ne!(start, libc::MAP_FAILED, "map the arena");
        Self { start: start.cast(), used: 0 }
    }

    /// Copies bytes in, with a NUL behind them, and answers the address of the copy.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> u64 {
        let at = self.used;
        self.used = (at + bytes.len() + 1).next_multiple_of(ALIGNMENT);
        assert!(self.used <= ARENA_BYTES, "the actor was told too much");
        // SAFETY: the piece lies within the mapping and was not given out before; new pages are zero.
        unsafe {
            let piece = self.start.add(at);
            ptr::copy_nonoverlapping(bytes.as_ptr(), piece, bytes.len());
            piece.expose_provenance() as u64
        }
    }
}
