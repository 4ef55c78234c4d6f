//! The rings: one for what must never be lost to a flood, and bulk rings for the rest.

use agent_common::Kind;
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::btf_maps::RingBuf;
use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use aya_ebpf::macros::btf_map;

use crate::account::{Count, count, lose};
use crate::settings::{BULK_RING_MASK, PRIORITY_WAKEUP_BYTES, WAKEUP_BYTES};

// The agent sets the sizes when it loads the programs.
#[btf_map]
static PRIORITY: RingBuf<u64, 4096> = RingBuf::new();
#[btf_map]
static BULK0: RingBuf<u64, 4096> = RingBuf::new();
#[btf_map]
static BULK1: RingBuf<u64, 4096> = RingBuf::new();
#[btf_map]
static BULK2: RingBuf<u64, 4096> = RingBuf::new();
#[btf_map]
static BULK3: RingBuf<u64, 4096> = RingBuf::new();

type Ring = *mut RingBuf<u64, 4096>;

/// Does something with the ring that a record of this kind belongs into: each ring in a branch of its own, because the
/// verifier wants every call to name one map. The number of rings in use is frozen, so the other branches are dead code.
macro_rules! with_ring {
    ($kind:expr, $ring:ident => $call:expr) => {
        if $kind.is_priority() {
            let $ring: Ring = (&raw const PRIORITY).cast_mut();
            $call
        } else {
            // SAFETY: a helper call without arguments.
            match unsafe { bpf_get_smp_processor_id() } & BULK_RING_MASK.load() {
                0 => {
                    let $ring: Ring = (&raw const BULK0).cast_mut();
                    $call
                }
                1 => {
                    let $ring: Ring = (&raw const BULK1).cast_mut();
                    $call
                }
                2 => {
                    let $ring: Ring = (&raw const BULK2).cast_mut();
                    $call
                }
                _ => {
                    let $ring: Ring = (&raw const BULK3).cast_mut();
                    $call
                }
            }
        }
    };
}

/// Room in the ring for a record of a fixed type; counted as dropped where there is none.
#[inline(always)]
pub(crate) fn reserve<T>(kind: Kind, cgroup_id: u64) -> Option<*mut T> {
    let room = with_ring!(kind, ring => {
        // SAFETY: a helper call; the verifier checks that the room is used within its size and given back.
        unsafe { bpf_ringbuf_reserve(ring.cast(), size_of::<T>() as u64, 0) }
    });
    let room = room.cast::<T>();
    if room.is_null() {
        lose(kind, cgroup_id, Count::Dropped);
        return None;
    }
    Some(room)
}

/// Hands a reserved record to the reader.
#[inline(always)]
pub(crate) fn submit<T>(kind: Kind, room: *mut T) {
    let flags = with_ring!(kind, ring => wakeup_flags(kind, ring));
    // SAFETY: `room` came from `reserve` and is not used after this.
    unsafe { bpf_ringbuf_submit(room.cast(), flags) };
    count(kind, Count::Emitted);
}

/// Copies a finished record of `bytes` bytes into the ring.
#[inline(always)]
pub(crate) fn output(kind: Kind, cgroup_id: u64, record: *mut u8, bytes: u64) {
    // SAFETY: a helper call; the verifier checks that the record lies within the scratch buffer.
    let result = with_ring!(kind, ring => unsafe {
        bpf_ringbuf_output(ring.cast(), record.cast(), bytes, wakeup_flags(kind, ring))
    });
    if result == 0 {
        count(kind, Count::Emitted);
    } else {
        lose(kind, cgroup_id, Count::Dropped);
    }
}

/// A wakeup costs the traced process many times what the record does, so only a filling ring asks for one.
#[inline(always)]
fn wakeup_flags(kind: Kind, ring: Ring) -> u64 {
    // SAFETY: a helper call without side effects.
    let waiting = unsafe { bpf_ringbuf_query(ring.cast(), u64::from(BPF_RB_AVAIL_DATA)) };
    let enough = if kind.is_priority() { PRIORITY_WAKEUP_BYTES.load() } else { WAKEUP_BYTES.load() };
    u64::from(if waiting >= enough { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}
