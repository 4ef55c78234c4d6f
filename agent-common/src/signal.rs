//! Signal records.

use crate::EventHead;

/// A process sent a signal to one of another cgroup, or to the agent. `head.result` is not used.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SignalRecord {
    /// The sender.
    pub head: EventHead,
    /// Start of the target, nanoseconds since boot.
    pub target_start_ns: u64,
    /// Cgroup v2 id of the target.
    pub target_cgroup_id: u64,
    /// Thread group id of the target in the initial pid namespace.
    pub target_pid: u32,
    /// Signal number.
    pub signal: u32,
    /// What became of it: `TRACE_SIGNAL_*` of include/trace/events/signal.h (0 delivered, 1 ignored, 2 already pending,
    /// 3 overflow, 4 lost information).
    pub outcome: u32,
    /// `si_code`: 0 kill(2), -1 sigqueue(3), -6 tgkill(2).
    pub code: i32,
}

const _: () = assert!(size_of::<SignalRecord>() == 104);
