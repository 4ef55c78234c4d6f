//! Design 1: programs at the entry and the exit of every system call, which return at once where nobody asked about the
//! call.

use aya_ebpf::Global;
use aya_ebpf::btf_maps::{Array, RingBuf};
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns};
use aya_ebpf::macros::{btf_map, btf_tracepoint};
use aya_ebpf::programs::BtfTracePointContext;

use crate::tally::{Count, count};

/// Numbers of system calls that the table has room for.
const CALLS: usize = 1024;
/// `BPF_RB_NO_WAKEUP`: the reader looks by itself.
const NO_WAKEUP: u64 = 1;

/// Offset of the number of the call in `struct pt_regs`; set by the loader.
#[unsafe(no_mangle)]
static CALL_NUMBER_OFFSET: Global<u64> = Global::new(0);

/// 1 for the calls that are asked about.
#[btf_map]
static WANTED: Array<u8, CALLS> = Array::new();

#[btf_map]
static EARLY_RING: RingBuf<[u64; 8], { 8 << 20 }> = RingBuf::new();

#[inline(always)]
fn is_wanted(number: u32) -> bool {
    WANTED.get(number).is_some_and(|wanted| *wanted == 1)
}

/// proto: `void sys_enter(struct pt_regs *regs, long id)`
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn early_enter(ctx: BtfTracePointContext) -> i32 {
    let number: i64 = ctx.arg(1);
    if is_wanted(number as u32) {
        tell(0, number as u64, 0);
    }
    0
}

/// proto: `void sys_exit(struct pt_regs *regs, long ret)`
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn early_exit(ctx: BtfTracePointContext) -> i32 {
    let (regs, result): (*const u8, i64) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: a member of the structure that the tracepoint hands over; the verifier knows its type.
    let number = unsafe { *regs.add(CALL_NUMBER_OFFSET.load() as usize).cast::<u32>() };
    if is_wanted(number) {
        tell(1, u64::from(number), result as u64);
    }
    0
}

#[inline(always)]
fn tell(phase: u64, number: u64, result: u64) {
    count(Count::Seen);
    let Some(mut room) = EARLY_RING.reserve(0) else { return count(Count::Dropped) };
    // SAFETY: helper calls without arguments.
    let (time, pid) = unsafe { (bpf_ktime_get_boot_ns(), bpf_get_current_pid_tgid()) };
    room.write([time, pid, phase, number, result, 0, 0, 0]);
    room.submit(NO_WAKEUP);
}
