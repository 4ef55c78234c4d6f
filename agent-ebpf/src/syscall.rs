//! System calls that have ended: their arguments and results.
//!
//! The last rung of every ladder is one program on the tracepoint `sys_exit`, which looks the number up in a table
//! and hands the few calls that anyone asked about to the program of their family. Arguments are still in the registers
//! then, so nothing needs to be remembered from the beginning of the call.

use core::ffi::c_void;

use agent_common::{HANDLERS, NO_ARGUMENT, SYSCALL_NUMBERS, Syscall};
use aya_ebpf::EbpfContext as _;
use aya_ebpf::btf_maps::{Array, ProgramArray};
use aya_ebpf::helpers::generated::bpf_tail_call;
use aya_ebpf::macros::{btf_map, btf_tracepoint};
use aya_ebpf::programs::BtfTracePointContext;

use crate::maps::slot;
use crate::path::read;
use crate::settings::{ARGUMENTS, CALL_NUMBER, COMPAT_ARGUMENTS, COMPAT_BIT, COMPAT_STATUS, frozen, load};
use crate::task::{self, Task};

#[btf_map]
static SYSCALLS: Array<Syscall, { 2 * SYSCALL_NUMBERS }> = Array::new();

#[btf_map]
static SYSCALL_HANDLERS: ProgramArray<HANDLERS> = ProgramArray::new();

/// A system call that has ended.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    regs: *const u8,
    /// What it returned.
    pub(crate) result: i64,
    /// Made through the 32-bit interface.
    pub(crate) compat: bool,
}

impl Call {
    /// Of the two arguments that a traced system call wrapper or the tracepoint have: registers and result.
    #[inline(always)]
    pub(crate) const fn new(regs: *const u8, result: i64, compat: bool) -> Self {
        Self { regs, result, compat }
    }

    /// An argument by a position that is a constant of the program.
    #[inline(always)]
    pub(crate) fn argument(&self, position: usize) -> u64 {
        if self.compat {
            let offset = frozen((&raw const COMPAT_ARGUMENTS).cast::<u32>().wrapping_add(position));
            u64::from(load::<u64>(self.regs, offset) as u32)
        } else {
            load(self.regs, frozen((&raw const ARGUMENTS).cast::<u32>().wrapping_add(position)))
        }
    }

    /// An argument by a position from the table, 0 for [`NO_ARGUMENT`].
    #[inline(always)]
    pub(crate) fn argument_at(&self, position: u8) -> u64 {
        if position == NO_ARGUMENT {
            return 0;
        }
        let position = (position & 7) as usize;
        if self.compat {
            let offset = frozen((&raw const COMPAT_ARGUMENTS).cast::<u32>().wrapping_add(position));
            u64::from(read::<u64>(self.regs, offset) as u32)
        } else {
            read(self.regs, frozen((&raw const ARGUMENTS).cast::<u32>().wrapping_add(position)))
        }
    }
}

/// Whether a task is in a system call of the 32-bit interface.
#[inline(always)]
pub(crate) fn is_compat(task: Task) -> bool {
    let bit = COMPAT_BIT.load();
    bit != 0 && load::<u32>(task, COMPAT_STATUS.load() as usize) & bit != 0
}

/// The table's entry for a call; none where nobody asked about it.
#[inline(always)]
fn entry(regs: *const u8, compat: bool) -> Option<&'static Syscall> {
    let number = load::<u64>(regs, CALL_NUMBER.load() as usize) as u32;
    if number >= SYSCALL_NUMBERS as u32 {
        return None;
    }
    let number = if compat { number + SYSCALL_NUMBERS as u32 } else { number };
    let entry = slot(&raw const SYSCALLS, number)?;
    // SAFETY: a value of the map.
    let entry = unsafe { &*entry.cast::<Syscall>() };
    if entry.handler == 0 { None } else { Some(entry) }
}

/// proto: `void sys_exit(struct pt_regs *regs, long ret)`
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn syscall_exit(ctx: BtfTracePointContext) -> i32 {
    if let Some(entry) = entry(ctx.arg(0), is_compat(task::current())) {
        hand_over(ctx.as_ptr(), entry.handler);
    }
    0
}

/// Goes on in another program, and returns only where that is not loaded.
#[inline(always)]
pub(crate) fn hand_over(context: *mut c_void, handler: u16) {
    let handlers = (&raw const SYSCALL_HANDLERS).cast_mut().cast();
    // SAFETY: a helper call with the context of this program.
    unsafe { bpf_tail_call(context, handlers, u32::from(handler)) };
}

/// What a handler was called for.
#[inline(always)]
pub(crate) fn handed_over(ctx: &BtfTracePointContext) -> Option<(Call, &'static Syscall)> {
    let compat = is_compat(task::current());
    let regs: *const u8 = ctx.arg(0);
    Some((Call::new(regs, ctx.arg::<i64>(1), compat), entry(regs, compat)?))
}

/// Programs at the end of system calls, each of them twice: for its native and for its 32-bit interface. They call the
/// family's function `finished` with the operation and the call.
macro_rules! ends {
    ($($native:ident $compat:ident ($native_function:literal, $compat_function:literal) $operation:ident;)+) => { $(
        #[aya_ebpf::macros::fexit(function = $native_function)]
        pub(crate) fn $native(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            finished(agent_common::Operation::$operation, &$crate::syscall::Call::new(ctx.arg(0), ctx.arg(1), false));
            0
        }

        #[aya_ebpf::macros::fexit(function = $compat_function)]
        pub(crate) fn $compat(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            finished(agent_common::Operation::$operation, &$crate::syscall::Call::new(ctx.arg(0), ctx.arg(1), true));
            0
        }
    )+ };
}

pub(crate) use ends;
