//! The ring, its account, and the state kept on sockets.

use core::ffi::c_void;

use agent_common::{KIND_COUNT, Kind, KindCount, SocketState};
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, bpf_map_type};
use aya_ebpf::btf_maps::{PerCpuArray, RingBuf};
use aya_ebpf::helpers::generated::{
    bpf_map_lookup_elem, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
    bpf_sk_storage_get,
};
use aya_ebpf::macros::btf_map;

use crate::settings::WAKEUP_BYTES;

/// Largest record being built, bytes: the fixed part and three strings, with room for one more read at any position.
pub(crate) const SCRATCH_BYTES: usize = 16 * 1024;

/// The agent sets the size when it loads the programs.
#[btf_map]
static RECORDS: RingBuf<u64, 4096> = RingBuf::new();

#[btf_map]
static COUNTS: PerCpuArray<[KindCount; KIND_COUNT], 1> = PerCpuArray::new();

/// Where a record is put together before its exact size is known.
#[btf_map]
static SCRATCH: PerCpuArray<[u8; SCRATCH_BYTES], 3> = PerCpuArray::new();

/// Socket storage that the kernel clones from a listener to the sockets it accepts: `BPF_F_NO_PREALLOC` (1) and
/// `BPF_F_CLONE` (0x200), the latter being what aya's own type lacks.
#[repr(C)]
pub(crate) struct ClonedSkStorage<T> {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; 0x201],
}

// SAFETY: the pointers are a map definition in BTF form; no program dereferences them.
unsafe impl<T> Sync for ClonedSkStorage<T> {}

#[btf_map]
static SOCKETS: ClonedSkStorage<SocketState> = ClonedSkStorage {
    r#type: core::ptr::null(),
    key: core::ptr::null(),
    value: core::ptr::null(),
    max_entries: core::ptr::null(),
    map_flags: core::ptr::null(),
};

/// The state of a socket, made on first use where `create` is set.
#[inline(always)]
pub(crate) fn socket_state(sock: *mut c_void, create: bool) -> Option<&'static mut SocketState> {
    let map = (&raw const SOCKETS).cast_mut().cast();
    // SAFETY: a helper call whose arguments the verifier checks; the result is null or a value of the map.
    unsafe {
        bpf_sk_storage_get(map, sock, core::ptr::null_mut(), u64::from(create)).cast::<SocketState>().as_mut()
    }
}

/// A value of a per-CPU array, on this CPU.
#[inline(always)]
fn slot<M>(map: *const M, key: u32) -> Option<*mut u8> {
    // SAFETY: a helper call whose arguments the verifier checks.
    let value = unsafe { bpf_map_lookup_elem(map.cast_mut().cast(), (&raw const key).cast()) }.cast::<u8>();
    if value.is_null() { None } else { Some(value) }
}

/// Scratch buffers: one a program, because where tracepoints can be preempted one program may interrupt another. The
/// kernel itself keeps a program from interrupting itself, and counts that (`recursion_misses`).
#[derive(Clone, Copy)]
pub(crate) enum Scratch {
    Exec = 0,
    CgroupMade = 1,
    CgroupRemoved = 2,
}

/// A program's scratch buffer on this CPU.
#[inline(always)]
pub(crate) fn scratch(which: Scratch) -> Option<*mut u8> {
    slot(&raw const SCRATCH, which as u32)
}

/// Entries of [`KindCount`] by position.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Seen = 0,
    Filtered = 1,
    Emitted = 2,
    Dropped = 3,
}

/// Counts. Atomic, because a socket program can interrupt another one of the same CPU.
#[inline(always)]
pub(crate) fn count(kind: Kind, what: Count) {
    if let Some(counts) = slot(&raw const COUNTS, 0) {
        let index = kind.0 as usize * (size_of::<KindCount>() / size_of::<u64>()) + what as usize;
        // SAFETY: kind and entry are constants within the value. An instruction of its own, because the compiler's
        // atomics need compare-and-swap on this target.
        unsafe {
            let counter = counts.cast::<u64>().add(index);
            core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) 1u64);
        }
    }
}

/// Room in the ring for a record of a fixed type; counted as dropped where there is none.
#[inline(always)]
pub(crate) fn reserve<T>(kind: Kind) -> Option<*mut T> {
    let ring = (&raw const RECORDS).cast_mut().cast();
    // SAFETY: a helper call; the verifier checks that the room is used within its size and given back.
    let room = unsafe { bpf_ringbuf_reserve(ring, size_of::<T>() as u64, 0) }.cast::<T>();
    if room.is_null() {
        count(kind, Count::Dropped);
        return None;
    }
    Some(room)
}

/// Hands a reserved record to the reader.
#[inline(always)]
pub(crate) fn submit<T>(kind: Kind, room: *mut T) {
    let flags = wakeup_flags();
    // SAFETY: `room` came from `reserve` and is not used after this.
    unsafe { bpf_ringbuf_submit(room.cast(), flags) };
    count(kind, Count::Emitted);
}

/// Copies a finished record of `bytes` bytes into the ring.
#[inline(always)]
pub(crate) fn output(kind: Kind, record: *mut u8, bytes: u64) {
    let ring = (&raw const RECORDS).cast_mut().cast();
    // SAFETY: a helper call; the verifier checks that the record lies within the scratch buffer.
    let result = unsafe { bpf_ringbuf_output(ring, record.cast(), bytes, wakeup_flags()) };
    count(kind, if result == 0 { Count::Emitted } else { Count::Dropped });
}

/// A wakeup costs the traced process many times what the record does, so only a filling ring asks for one.
#[inline(always)]
fn wakeup_flags() -> u64 {
    let ring = (&raw const RECORDS).cast_mut().cast();
    // SAFETY: a helper call without side effects.
    let waiting = unsafe { bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA)) };
    u64::from(if waiting >= WAKEUP_BYTES.load() { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}
