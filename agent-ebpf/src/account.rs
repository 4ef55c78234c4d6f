//! The loss account: counts by kind, and whose records were lost.

use core::mem::MaybeUninit;

use agent_common::{KIND_COUNT, Kind, KindCount, Ledger, Loss, LossKey};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::btf_maps::{Array, LruHashMap, PerCpuArray};
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_map_update_elem};
use aya_ebpf::macros::btf_map;

use crate::maps::{lookup, slot};

/// Pairs of cgroup and kind whose losses are told apart; of more, the sums alone are known.
const LOSSES_MAX: usize = 4096;
/// Losses further apart than this are two gaps, nanoseconds.
const GAP_PAUSE_NS: u64 = 1_000_000_000;

#[btf_map]
static COUNTS: PerCpuArray<[KindCount; KIND_COUNT], 1> = PerCpuArray::new();

#[btf_map]
static LOSSES: LruHashMap<LossKey, Loss, LOSSES_MAX> = LruHashMap::new();

/// The reader's own part of the account: it lies here to outlive the reader where the maps are pinned.
#[btf_map]
static LEDGER: Array<Ledger, 1> = Array::new();

/// What the reader has told of [`LOSSES`].
#[btf_map]
static LOSSES_TOLD: LruHashMap<LossKey, Loss, LOSSES_MAX> = LruHashMap::new();

/// Entries of [`KindCount`] by position.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Seen = 0,
    Filtered = 1,
    Suppressed = 2,
    Emitted = 3,
    Dropped = 4,
}

/// Counts. Atomic, because a socket program can interrupt another one of the same CPU.
#[inline(always)]
pub(crate) fn count(kind: Kind, what: Count) {
    if let Some(counts) = slot(&raw const COUNTS, 0) {
        let index = kind.0 as usize * (size_of::<KindCount>() / size_of::<u64>()) + what as usize;
        // SAFETY: kind and entry are constants within the value.
        unsafe { add_one(counts.cast::<u64>().add(index)) };
    }
}

/// Counts what was lost, and remembers whose it was.
#[inline(always)]
pub(crate) fn lose(kind: Kind, cgroup_id: u64, what: Count) {
    count(kind, what);
    let key = LossKey { cgroup_id, kind: u32::from(kind.0), reserved: 0 };
    // SAFETY: a helper call without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    if lookup(&raw const LOSSES, &raw const key).is_none() {
        let mut empty = MaybeUninit::<Loss>::zeroed();
        // SAFETY: key and value are on the stack; of two that insert at once, one finds the other's.
        unsafe {
            (*empty.as_mut_ptr()).first_ns = now;
            let map = (&raw const LOSSES).cast_mut().cast();
            bpf_map_update_elem(map, (&raw const key).cast(), empty.as_ptr().cast(), u64::from(BPF_NOEXIST));
        }
    }
    let Some(loss) = lookup(&raw const LOSSES, &raw const key) else { return };
    let loss = loss.cast::<Loss>();
    // SAFETY: a value of the map; only the counts need to be exact.
    unsafe {
        if now.wrapping_sub((*loss).last_ns) > GAP_PAUSE_NS {
            (*loss).first_ns = now;
        }
        (*loss).last_ns = now;
        if what as u32 == Count::Suppressed as u32 {
            add_one(&raw mut (*loss).suppressed);
        } else {
            add_one(&raw mut (*loss).dropped);
        }
    }
}

/// Adds to a counter that other CPUs add to as well: an instruction of its own, because the compiler's atomics need
/// compare-and-swap on this target.
///
/// # Safety
/// The counter lies in a map value.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, number: u64) {
    // SAFETY: as promised.
    unsafe { core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) number) };
}

/// # Safety
/// As [`add`].
#[inline(always)]
unsafe fn add_one(counter: *mut u64) {
    // SAFETY: as promised.
    unsafe { add(counter, 1) };
}
