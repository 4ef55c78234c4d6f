//! The first rungs of mprotect(2): hooks that know what the memory was before.

use agent_common::{Kind, MEMORY_WAS_WRITABLE, Operation};
use aya_ebpf::macros::{fentry, lsm};
use aya_ebpf::programs::{FEntryContext, LsmContext};

use super::{Asked, PROT_EXEC, tell};
use crate::account::{Count, count};
use crate::event::Outcome;
use crate::settings::field;

/// `VM_WRITE` of include/linux/mm.h.
const VM_WRITE: u64 = 2;
/// `PROT_WRITE` of the UAPI.
const PROT_WRITE: u32 = 2;

/// proto: `int file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`
#[lsm(hook = "file_mprotect")]
pub(crate) fn memory_mprotect_lsm(ctx: LsmContext) -> i32 {
    protected(ctx.arg(0), ctx.arg::<u64>(2) as u32);
    ctx.arg::<i32>(3)
}

/// As [`memory_mprotect_lsm`].
#[fentry(function = "security_file_mprotect")]
pub(crate) fn memory_mprotect_fentry(ctx: FEntryContext) -> i32 {
    protected(ctx.arg(0), ctx.arg::<u64>(2) as u32);
    0
}

/// Tells of memory that becomes executable, and that somebody could or can write to, or that does not hold what its file
/// holds: taking the right to write away first hides nothing.
#[inline(always)]
fn protected(vma: *const u8, protection: u32) {
    count(Kind::MEMORY, Count::Seen);
    let was_writable = field!(vma, vma_flags as u64) & VM_WRITE != 0;
    let is_wanted = protection & PROT_EXEC != 0
        && (was_writable
            || protection & PROT_WRITE != 0
            || field!(vma, vma_file as *const u8).is_null()
            || !field!(vma, vma_anon as *const u8).is_null());
    if !is_wanted {
        return count(Kind::MEMORY, Count::Filtered);
    }
    let start = field!(vma, vma_start as u64);
    let asked = Asked {
        address: start,
        length: field!(vma, vma_end as u64) - start,
        request: protection,
        flags: if was_writable { MEMORY_WAS_WRITABLE } else { 0 },
        ..Asked::default()
    };
    tell(Operation::MPROTECT, Outcome::UNKNOWN, &asked);
}
