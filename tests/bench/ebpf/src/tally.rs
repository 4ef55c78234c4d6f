//! What every design counts: what its programs saw and what found no room.

use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::macros::btf_map;

/// Things that were seen, by [`Count`].
#[btf_map]
static TALLY: PerCpuArray<u64, 2> = PerCpuArray::new();

/// A place of [`TALLY`].
#[derive(Clone, Copy)]
pub(crate) enum Count {
    /// Wanted by the design, so that a record or an entry was due.
    Seen = 0,
    /// Found no room in a ring or table.
    Dropped = 1,
}

/// Counts one.
#[inline(always)]
pub(crate) fn count(what: Count) {
    if let Some(place) = TALLY.get_ptr_mut(what as u32) {
        // SAFETY: a place of this CPU's own, which no other program of a design interrupts for long enough to matter.
        unsafe { *place += 1 };
    }
}
