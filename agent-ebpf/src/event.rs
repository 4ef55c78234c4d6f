//! The part that every security record begins with.

use agent_common::{EVENT_COMPAT, EVENT_RESULT_KNOWN, EventHead, Kind, Operation};

use crate::syscall::Call;
use crate::task::{self, Task};

/// What a hook knows of how an operation went.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    /// `EVENT_*` flags.
    pub(crate) flags: u16,
    /// What the system call returned.
    pub(crate) result: i32,
}

impl Outcome {
    /// The hook stands before the end.
    pub(crate) const UNKNOWN: Self = Self { flags: 0, result: 0 };

    /// The call has ended.
    #[inline(always)]
    pub(crate) const fn of(call: &Call) -> Self {
        let flags = if call.compat { EVENT_RESULT_KNOWN | EVENT_COMPAT } else { EVENT_RESULT_KNOWN };
        Self { flags, result: call.result as i32 }
    }

    /// The same without its result.
    #[inline(always)]
    pub(crate) const fn unknown(self) -> Self {
        Self { flags: self.flags & !EVENT_RESULT_KNOWN, result: 0 }
    }

    /// Another result, of a hook that knows it.
    #[inline(always)]
    pub(crate) const fn known(result: i32) -> Self {
        Self { flags: EVENT_RESULT_KNOWN, result }
    }
}

/// Fills the head of a record of `size` bytes about the task, in place.
#[inline(always)]
pub(crate) fn write_head(
    head: *mut EventHead,
    kind: Kind,
    operation: Operation,
    outcome: Outcome,
    size: u32,
    task: Task,
    cgroup_id: u64,
) {
    // SAFETY: the caller's record begins with this head; the verifier checks the bounds.
    unsafe {
        task::write_header(&raw mut (*head).header, kind, size, task, cgroup_id);
        (*head).operation = operation;
        (*head).flags = outcome.flags;
        (*head).result = outcome.result;
    }
}
