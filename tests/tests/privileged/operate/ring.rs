use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

const ENTRIES: u32 = 4;
/// Bytes of `struct io_uring_sqe` and `struct io_uring_cqe` (include/uapi/linux/io_uring.h).
const SQE_BYTES: usize = 64;
const CQE_BYTES: usize = 16;
const OFF_SQES: i64 = 0x1000_0000;
const ENTER_GETEVENTS: u32 = 1;
const REGISTER_PROBE: u32 = 8;
const FEAT_SINGLE_MMAP: u32 = 1;
const OP_SUPPORTED: u16 = 1;
/// Operations that a probe can tell of.
const OPS_MAX: usize = 128;

/// `struct io_uring_params`
#[derive(Default)]
#[repr(C)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: SqOffsets,
    cq: CqOffsets,
}

#[derive(Default)]
#[repr(C)]
struct SqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: [u32; 3],
}

#[derive(Default)]
#[repr(C)]
struct CqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    reserved: [u32; 4],
}

const _: () = assert!(size_of::<Params>() == 120);

/// `struct io_uring_probe`
#[repr(C)]
struct Probe {
    last_op: u8,
    ops_len: u8,
    reserved: [u16; 7],
    ops: [ProbeOp; OPS_MAX],
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct ProbeOp {
    op: u8,
    reserved: u8,
    flags: u16,
    more: u32,
}

const _: () = assert!(size_of::<Probe>() == 16 + 8 * OPS_MAX);

/// An io_uring that does one thing at a time.
pub(super) struct Ring {
    fd: i32,
    params: Params,
    rings: *mut u8,
    entries: *mut u8,
}

impl Ring {
    /// None where the kernel has none, or does not let this process use it.
    pub(super) fn new() -> Option<Self> {
        let mut params = Params::default();
        // SAFETY: the kernel fills the struct, which is as large as its own.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, &raw mut params) } as i32;
        if fd < 0 || params.features & FEAT_SINGLE_MMAP == 0 {
            return None;
        }
        let sq_bytes = params.sq.array as usize + params.sq_entries as usize * size_of::<u32>();
        let cq_bytes = params.cq.cqes as usize + params.cq_entries as usize * CQE_BYTES;
        let map = |bytes: usize, offset: i64| {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a new mapping of the ring's descriptor.
            let start =
                unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd, offset) };
            assert_ne!(start, libc::MAP_FAILED, "map the ring");
            start.cast::<u8>()
        };
        let rings = map(sq_bytes.max(cq_bytes), 0);
        let entries = map(params.sq_entries as usize * SQE_BYTES, OFF_SQES);
        Some(Self { fd, params, rings, entries })
    }

    /// Numbers of the operations that this kernel can do.
    pub(super) fn opcodes(&self) -> Vec<u8> {
        let ops = [ProbeOp::default(); OPS_MAX];
        let mut probe = Probe { last_op: 0, ops_len: 0, reserved: [0; 7], ops };
        // SAFETY: the kernel fills the struct, whose length it is told.
        let result = unsafe {
            libc::syscall(libc::SYS_io_uring_register, self.fd, REGISTER_PROBE, &raw mut probe, OPS_MAX)
        };
        let known = if result < 0 { 0 } else { usize::from(probe.ops_len) };
        let known = probe.ops[..known].iter().filter(|op| op.flags & OP_SUPPORTED != 0);
        known.map(|op| op.op).collect()
    }

    /// Has the entry at an address done, and answers its result.
    pub(super) fn submit(&mut self, entry: u64) -> i64 {
        let Params { sq, cq, .. } = &self.params;
        let tail = self.word(sq.tail).load(Ordering::Relaxed);
        let slot = tail & self.word(sq.ring_mask).load(Ordering::Relaxed);
        // SAFETY: the entry lies in the arena; the slot in the mapped array, and the kernel has taken all before it.
        unsafe {
            let entry = ptr::with_exposed_provenance::<u8>(entry as usize);
            ptr::copy_nonoverlapping(entry, self.entries.add(slot as usize * SQE_BYTES), SQE_BYTES);
        }
        self.word(sq.array + slot * 4).store(slot, Ordering::Relaxed);
        self.word(sq.tail).store(tail.wrapping_add(1), Ordering::Release);
        // SAFETY: submits the one entry and waits for its end.
        let taken = unsafe { libc::syscall(libc::SYS_io_uring_enter, self.fd, 1, 1, ENTER_GETEVENTS, 0, 0) };
        assert_eq!(taken, 1, "submit to the ring: {}", std::io::Error::last_os_error());
        let head = self.word(cq.head).load(Ordering::Relaxed);
        assert_ne!(head, self.word(cq.tail).load(Ordering::Acquire), "the kernel waited for a completion");
        let slot = head & self.word(cq.ring_mask).load(Ordering::Relaxed);
        // user_data, then the result.
        let result = self.word(cq.cqes + slot * CQE_BYTES as u32 + 8).load(Ordering::Relaxed);
        self.word(cq.head).store(head.wrapping_add(1), Ordering::Release);
        i64::from(result.cast_signed())
    }

    /// A number in the mapped rings.
    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the kernel's offsets lie within the mapping, and are aligned; both sides use atomic access.
        unsafe { AtomicU32::from_ptr(self.rings.add(offset as usize).cast()) }
    }
}
