//! Processes.

use std::sync::Arc;

use serde::Serialize;

use crate::ExecId;

/// Namespace inode numbers, as `readlink /proc/PID/ns/*` shows them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize)]
pub struct Namespaces {
    /// Network namespace.
    pub net: u32,
    /// Mount namespace.
    pub mnt: u32,
    /// Pid namespace of the process's children (`nsproxy->pid_ns_for_children`).
    pub pid: u32,
    /// User namespace.
    pub user: u32,
}

/// How a process ended, in the terms of wait(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ExitStatus {
    /// Argument of `exit`, where the process ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// Signal number, where a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<u8>,
    /// Whether a core was dumped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub core_dumped: bool,
}

impl ExitStatus {
    /// Decodes a wait status word: signal in bits 0-6, core flag in bit 7, code in bits 8-15 (wait(2), `W*` macros).
    #[must_use]
    pub const fn from_wait_status(status: u32) -> Self {
        let signal = (status & 0x7f) as u8;
        Self {
            code: if signal == 0 { Some((status >> 8) as u8) } else { None },
            signal: if signal == 0 { None } else { Some(signal) },
            core_dumped: status & 0x80 != 0,
        }
    }
}

/// How a process came to be known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessOrigin {
    /// The agent saw it begin.
    Observed,
    /// It was running when the agent started.
    BeforeStart,
    /// Its beginning was lost or is long forgotten: only what the present record says of it is known.
    Unseen,
}

/// Whether a process still runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessState {
    /// Running.
    Running,
    /// Ended; kept for a while so that late records still find it.
    Exited(ExitStatus),
}

/// What is known about one process. Its texts are shared: with those it forks, and with every record of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Process {
    /// Identity.
    pub exec_id: ExecId,
    /// Identity of the process that forked it, where known.
    pub parent: Option<ExecId>,
    /// Absolute path of the executable as its mount namespace shows it; empty where it could not be read.
    pub binary: Arc<str>,
    /// Argument vector, redacted.
    pub args: Arc<[String]>,
    /// Whether arguments were cut at the record limit.
    pub args_truncated: bool,
    /// Working directory at exec; empty where it could not be read.
    pub cwd: Arc<str>,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id, where known.
    pub egid: Option<u32>,
    /// Permitted capabilities, bit n for capability n, where known.
    pub permitted: Option<u64>,
    /// Process id in its own pid namespace; 0 where not known.
    pub ns_pid: u32,
    /// Id of the cgroup v2 directory: its inode number.
    pub cgroup_id: u64,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// How it came to be known.
    pub origin: ProcessOrigin,
    /// Running or not.
    pub state: ProcessState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_status_words() {
        assert_eq!(
            ExitStatus::from_wait_status(0x0300),
            ExitStatus { code: Some(3), signal: None, core_dumped: false }
        );
        assert_eq!(
            ExitStatus::from_wait_status(9),
            ExitStatus { code: None, signal: Some(9), core_dumped: false }
        );
        assert_eq!(
            ExitStatus::from_wait_status(0x8b),
            ExitStatus { code: None, signal: Some(11), core_dumped: true }
        );
    }
}
