//! Design 2: one ring for everything, and the reader woken for each record.

use aya_ebpf::Global;
use aya_ebpf::btf_maps::RingBuf;
use aya_ebpf::helpers::generated::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns};
use aya_ebpf::macros::{btf_map, btf_tracepoint};
use aya_ebpf::programs::BtfTracePointContext;

use crate::tally::{Count, count};

/// `BPF_RB_FORCE_WAKEUP`.
const WAKEUP: u64 = 2;
/// Words of a record: what such an agent tells of a process and a path takes about 256 bytes.
const WORDS: usize = 32;

/// Offset of the number of the call in `struct pt_regs`; set by the loader.
#[unsafe(no_mangle)]
static EACH_NUMBER_OFFSET: Global<u64> = Global::new(0);
/// Number of `openat`; set by the loader.
#[unsafe(no_mangle)]
static EACH_OPENAT: Global<u64> = Global::new(0);

#[btf_map]
static EACH_RING: RingBuf<[u64; WORDS], { 8 << 20 }> = RingBuf::new();

/// proto: `void task_newtask(struct task_struct *task, unsigned long clone_flags)`
#[btf_tracepoint(function = "task_newtask")]
pub(crate) fn each_fork(_ctx: BtfTracePointContext) -> i32 {
    tell(1)
}

/// proto: `void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn each_exec(_ctx: BtfTracePointContext) -> i32 {
    tell(2)
}

/// proto: `void sched_process_exit(struct task_struct *p)`
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn each_exit(_ctx: BtfTracePointContext) -> i32 {
    tell(3)
}

/// proto: `void sys_exit(struct pt_regs *regs, long ret)`
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn each_open(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    // SAFETY: a member of the structure that the tracepoint hands over; the verifier knows its type.
    let number = unsafe { *regs.add(EACH_NUMBER_OFFSET.load() as usize).cast::<u32>() };
    if u64::from(number) == EACH_OPENAT.load() { tell(4) } else { 0 }
}

#[inline(always)]
fn tell(kind: u64) -> i32 {
    count(Count::Seen);
    let Some(mut room) = EACH_RING.reserve(0) else {
        count(Count::Dropped);
        return 0;
    };
    let record = room.as_mut_ptr().cast::<u64>();
    // SAFETY: within the reserved room; the rest of it holds what was there, as a kernel's own ring would.
    unsafe {
        *record = kind;
        *record.add(1) = bpf_ktime_get_boot_ns();
        *record.add(2) = bpf_get_current_pid_tgid();
        let _ = bpf_get_current_comm(record.add(3).cast(), 16);
    }
    room.submit(WAKEUP);
    0
}
