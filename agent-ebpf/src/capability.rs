//! Capabilities: the first time that a program needs one of the dangerous ones.

use agent_common::{CapabilityRecord, Kind, Operation};
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::btf_maps::LruHashMap;
use aya_ebpf::helpers::generated::{bpf_map_update_elem, bpf_task_pt_regs};
use aya_ebpf::macros::{btf_map, btf_tracepoint, fexit};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext};

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::maps::lookup;
use crate::ring::{reserve, submit};
use crate::settings::{
    CALL_NUMBER, CAPABILITIES, RESERVING_CALLS, RESERVING_COMPAT_CALLS, field, frozen_word, load,
};
use crate::syscall::is_compat;
use crate::task::{self, Task};

/// Program images whose uses are remembered; the one that was not asked for longest is told of again.
const IMAGES_MAX: usize = 16384;
/// `CAP_SYS_ADMIN` of the UAPI.
const CAP_SYS_ADMIN: u32 = 21;
/// `CAP_OPT_NOAUDIT` of include/linux/security.h: the kernel asks for its own sake, and the answer is no failure.
const CAP_OPT_NOAUDIT: u32 = 2;

/// A program image: a process between one exec and the next.
#[derive(Clone, Copy)]
#[repr(C)]
struct Image {
    start_ns: u64,
    exec_id: u64,
    pid: u32,
    reserved: u32,
}

/// What was told of an image: capabilities that it was granted, and those that it was denied.
type Told = [u64; 2];

#[btf_map]
static CAPABILITIES_TOLD: LruHashMap<Image, Told, IMAGES_MAX> = LruHashMap::new();

/// proto: `int security_capable(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)`, with its
/// result
#[fexit(function = "security_capable")]
pub(crate) fn capability_fexit(ctx: FExitContext) -> i32 {
    let quiet = ctx.arg::<u64>(3) as u32 & CAP_OPT_NOAUDIT != 0;
    asked(ctx.arg(0), ctx.arg(1), ctx.arg::<u64>(2) as u32, ctx.arg::<u64>(4) as i32, quiet);
    0
}

/// proto: `void cap_capable(const struct cred *cred, struct user_namespace *target_ns, const struct user_namespace
/// *capable_ns, int cap, int ret)`, since 6.14
#[btf_tracepoint(function = "cap_capable")]
pub(crate) fn capability_tracepoint(ctx: BtfTracePointContext) -> i32 {
    let capability = ctx.arg::<u64>(3) as u32;
    let quiet = capability == CAP_SYS_ADMIN && is_reserving(task::current());
    asked(ctx.arg(0), ctx.arg(1), capability, ctx.arg::<u64>(4) as i32, quiet);
    0
}

/// Whether the task reserves memory: who has `CAP_SYS_ADMIN` may have a little more of it (mm/util.c,
/// `__vm_enough_memory()`), so that every process is asked, and the tracepoint does not tell these questions apart.
#[inline(always)]
fn is_reserving(task: Task) -> bool {
    // SAFETY: a helper call with the current task.
    let regs = unsafe { bpf_task_pt_regs(task.cast_mut().cast()) } as *const u8;
    let number = load::<u64>(regs, CALL_NUMBER.load() as usize) as u32;
    // A page fault has no number.
    if number >= u64::BITS * RESERVING_CALLS.len() as u32 {
        return true;
    }
    let calls = if is_compat(task) { &raw const RESERVING_COMPAT_CALLS } else { &raw const RESERVING_CALLS };
    frozen_word(calls, number / u64::BITS) >> (number % u64::BITS) & 1 == 1
}

#[inline(always)]
fn asked(cred: *const u8, ns: *const u8, capability: u32, result: i32, quiet: bool) {
    count(Kind::CAPABILITY, Count::Seen);
    let is_watched = capability < u64::BITS && CAPABILITIES.load() >> capability & 1 == 1;
    if !is_watched || quiet {
        return count(Kind::CAPABILITY, Count::Filtered);
    }
    let task = task::current();
    // Questions about another task, and about credentials that the kernel puts on for a while, are not its use.
    if task::is_kernel_thread(task) || cred != field!(task, task_cred as *const u8) {
        return count(Kind::CAPABILITY, Count::Filtered);
    }
    let image = Image {
        start_ns: task::start_ns(task),
        exec_id: field!(task, task_exec_id as u64),
        pid: task::tgid(task),
        reserved: 0,
    };
    let Some(told) = told(&image) else { return count(Kind::CAPABILITY, Count::Filtered) };
    // SAFETY: one of the two words of the value.
    let told = unsafe { told.cast::<u64>().add(usize::from(result != 0)) };
    // SAFETY: a value of the map.
    if unsafe { *told } >> capability & 1 == 1 {
        return count(Kind::CAPABILITY, Count::Filtered);
    }
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::CAPABILITY, task, cgroup_id) {
        return;
    }
    let Some(record) = reserve::<CapabilityRecord>(Kind::CAPABILITY, cgroup_id) else { return };
    let size = size_of::<CapabilityRecord>() as u32;
    let outcome = Outcome::known(result);
    // SAFETY: a value of the map, of which another CPU may tell the same; and room for a whole CapabilityRecord.
    unsafe {
        *told |= 1 << capability;
        write_head(
            &raw mut (*record).head,
            Kind::CAPABILITY,
            Operation::CAPABLE,
            outcome,
            size,
            task,
            cgroup_id,
        );
        (*record).capability = capability;
        (*record).user_ns = field!(ns, user_ns_inum as u32);
    }
    submit(Kind::CAPABILITY, record);
}

/// What was told of an image; nothing yet of a new one.
#[inline(always)]
fn told(image: &Image) -> Option<*mut Told> {
    let map = &raw const CAPABILITIES_TOLD;
    if let Some(told) = lookup(map, &raw const *image) {
        return Some(told.cast());
    }
    let nothing: Told = [0; 2];
    // SAFETY: key and value are on the stack; of two that insert at once, one finds the other's.
    unsafe {
        let image = (&raw const *image).cast();
        bpf_map_update_elem(
            map.cast_mut().cast(),
            image,
            (&raw const nothing).cast(),
            u64::from(BPF_NOEXIST),
        );
    }
    lookup(map, &raw const *image).map(<*mut u8>::cast)
}
