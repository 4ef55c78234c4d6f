//! The account of records between kernel and node.

use serde::Serialize;

/// The kinds of record that the kernel side emits, each with counters of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// A process was forked.
    ProcessFork,
    /// A process replaced its image.
    ProcessExec,
    /// A process ended.
    ProcessExit,
    /// A TCP connection was established.
    TcpOpen,
    /// A TCP connection ended.
    TcpClose,
    /// A TCP connection attempt failed.
    TcpFail,
    /// A cgroup was made or removed.
    Cgroup,
}

impl RecordKind {
    /// All kinds, in wire order.
    pub const ALL: [Self; 7] = [
        Self::ProcessFork,
        Self::ProcessExec,
        Self::ProcessExit,
        Self::TcpOpen,
        Self::TcpClose,
        Self::TcpFail,
        Self::Cgroup,
    ];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProcessFork => "process-fork",
            Self::ProcessExec => "process-exec",
            Self::ProcessExit => "process-exit",
            Self::TcpOpen => "tcp-open",
            Self::TcpClose => "tcp-close",
            Self::TcpFail => "tcp-fail",
            Self::Cgroup => "cgroup",
        }
    }
}

/// Totals of one kind since the agent started. When the rings are drained,
/// `seen = filtered + emitted + dropped` and `emitted = received`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct KindCounters {
    /// The hook fired.
    pub seen: u64,
    /// Not wanted, by design (a thread and no process, for one).
    pub filtered: u64,
    /// Put into a ring.
    pub emitted: u64,
    /// No room in the ring.
    pub dropped: u64,
    /// Taken out of the ring.
    pub received: u64,
}

impl KindCounters {
    /// Whether everything that was seen is accounted for.
    #[must_use]
    pub const fn balances(&self) -> bool {
        self.seen == self.filtered + self.emitted + self.dropped && self.emitted == self.received
    }
}
