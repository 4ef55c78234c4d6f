//! Scratch buffers, the state kept on sockets, and raw access to maps.

use core::ffi::c_void;

use agent_common::SocketState;
use aya_ebpf::bindings::bpf_map_type;
use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::helpers::generated::{bpf_map_lookup_elem, bpf_sk_storage_get};
use aya_ebpf::macros::btf_map;

/// Room for a record that is being built, bytes: twice the largest, so that one more read fits at any position.
pub(crate) const SCRATCH_BYTES: usize = 8 * 1024;
/// As [`SCRATCH_BYTES`], for exec records with their six strings.
pub(crate) const EXEC_SCRATCH_BYTES: usize = 32 * 1024;

/// Number of [`Scratch`] buffers.
pub(crate) const SCRATCHES: usize = 18;

/// Where a record is put together before its exact size is known.
#[btf_map]
static SCRATCH: PerCpuArray<[u8; SCRATCH_BYTES], SCRATCHES> = PerCpuArray::new();

/// As [`SCRATCH`], for exec records.
#[btf_map]
static EXEC_SCRATCH: PerCpuArray<[u8; EXEC_SCRATCH_BYTES], 1> = PerCpuArray::new();

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
pub(crate) fn slot<M>(map: *const M, key: u32) -> Option<*mut u8> {
    lookup(map, &raw const key)
}

/// A value of a map.
#[inline(always)]
pub(crate) fn lookup<M, K>(map: *const M, key: *const K) -> Option<*mut u8> {
    // SAFETY: a helper call whose arguments the verifier checks.
    let value = unsafe { bpf_map_lookup_elem(map.cast_mut().cast(), key.cast()) }.cast::<u8>();
    if value.is_null() { None } else { Some(value) }
}

/// Scratch buffers: one a program, because where tracepoints can be preempted one program may interrupt another. The
/// kernel itself keeps a program from interrupting itself, and counts that (`recursion_misses`).
#[derive(Clone, Copy)]
pub(crate) enum Scratch {
    CgroupMade,
    CgroupRemoved,
    FileOpen,
    FileUnlink,
    FileRmdir,
    FileMkdir,
    FileRename,
    FileLink,
    FileSymlink,
    FileChmod,
    FileChown,
    FileSetxattr,
    FileTruncate,
    FileTruncateOpen,
    FileMmap,
    FileSyscall,
    FileSyscallText,
    FileRing,
}

/// A program's scratch buffer on this CPU.
#[inline(always)]
pub(crate) fn scratch(which: Scratch) -> Option<*mut u8> {
    scratch_at(which as u32)
}

/// As [`scratch`], by its number.
#[inline(always)]
pub(crate) fn scratch_at(which: u32) -> Option<*mut u8> {
    slot(&raw const SCRATCH, which)
}

/// The scratch buffer of exec on this CPU.
#[inline(always)]
pub(crate) fn exec_scratch() -> Option<*mut u8> {
    slot(&raw const EXEC_SCRATCH, 0)
}
