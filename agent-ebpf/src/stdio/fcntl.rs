//! fcntl(2), which copies descriptors as well, among much else.

use agent_common::Operation;
use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;

use crate::syscall::{Call, ends};

/// Commands that copy, of the UAPI.
const F_DUPFD: u32 = 0;
const F_DUPFD_CLOEXEC: u32 = 1030;

ends! {
    stdio_fcntl stdio_fcntl_compat ("__x64_sys_fcntl", "__ia32_compat_sys_fcntl64") DUP;
}

/// The older call of the 32-bit interface.
#[fexit(function = "__ia32_compat_sys_fcntl")]
pub(crate) fn stdio_fcntl_compat_old(ctx: FExitContext) -> i32 {
    finished(Operation::DUP, &Call::new(ctx.arg(0), ctx.arg(1), true));
    0
}

/// Everything else is not even counted: locks and flags are asked for often.
#[inline(always)]
pub(super) fn finished(operation: Operation, call: &Call) {
    if matches!(call.argument(1) as u32, F_DUPFD | F_DUPFD_CLOEXEC) {
        super::finished(operation, call);
    }
}
