//! Signals across containers.

use std::borrow::Cow;

use serde::Serialize;

use crate::{ExecId, TargetView};

/// A process sent a signal to one of another cgroup, or to the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalEvent {
    /// The process that it was sent to.
    pub target: ExecId,
    /// Cgroup v2 id of that process.
    pub target_cgroup_id: u64,
    /// Signal number.
    pub signal: u32,
    /// `TRACE_SIGNAL_*` of include/trace/events/signal.h.
    pub outcome: u32,
    /// `si_code`
    pub code: i32,
}

/// A signal as records show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SignalView {
    /// The process that it was sent to.
    pub target: TargetView,
    /// Signal number.
    pub signal: u32,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'static, str>>,
    /// What became of it: `delivered`, `ignored`, `pending` (it was already), `overflow` or `lost`.
    pub outcome: Cow<'static, str>,
    /// `si_code`: 0 kill(2), -1 sigqueue(3), -6 tgkill(2).
    pub code: i32,
}

impl SignalView {
    /// The view of an event.
    #[must_use]
    pub fn new(event: SignalEvent, target: TargetView) -> Self {
        let SignalEvent { target: _, target_cgroup_id: _, signal, outcome, code } = event;
        Self { target, signal, name: signal_name(signal), outcome: outcome_name(outcome), code }
    }
}

/// `SIGRTMIN` of the C libraries, which keep the first two for themselves.
const RT_MIN: u32 = 34;
const RT_MAX: u32 = 64;

/// Names by number from 1 (include/uapi/asm-generic/signal.h, the same on x86).
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The name of a signal, where it has one.
#[must_use]
pub fn signal_name(signal: u32) -> Option<Cow<'static, str>> {
    match signal {
        RT_MIN..=RT_MAX => Some(match signal - RT_MIN {
            0 => Cow::Borrowed("SIGRTMIN"),
            n => Cow::Owned(format!("SIGRTMIN+{n}")),
        }),
        _ => NAMES.get((signal as usize).checked_sub(1)?).copied().map(Cow::Borrowed),
    }
}

fn outcome_name(outcome: u32) -> Cow<'static, str> {
    Cow::Borrowed(match outcome {
        0 => "delivered",
        1 => "ignored",
        2 => "pending",
        3 => "overflow",
        4 => "lost",
        other => return Cow::Owned(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (signal, expected) in [
            (0, None),
            (9, Some("SIGKILL")),
            (31, Some("SIGSYS")),
            (32, None),
            (34, Some("SIGRTMIN")),
            (35, Some("SIGRTMIN+1")),
            (65, None),
            (u32::MAX, None),
        ] {
            assert_eq!(signal_name(signal).as_deref(), expected, "{signal}");
        }
        assert_eq!(outcome_name(1), "ignored");
    }
}
