//! The account of records between kernel and node.

use serde::Serialize;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// The kinds of record that the kernel side emits, each with counters of its own; in wire order.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum RecordKind {
            $($(#[$doc])* $name,)+
        }

        impl RecordKind {
            /// All kinds, in wire order.
            pub const ALL: [Self; 19] = [$(Self::$name,)+];

            /// The name used in records and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

kinds! {
    /// A process was forked.
    ProcessFork "process-fork",
    /// A process replaced its image.
    ProcessExec "process-exec",
    /// A process ended.
    ProcessExit "process-exit",
    /// A TCP connection was established.
    TcpOpen "tcp-open",
    /// A TCP connection ended.
    TcpClose "tcp-close",
    /// A TCP connection attempt failed.
    TcpFail "tcp-fail",
    /// A cgroup was made or removed.
    Cgroup "cgroup",
    /// Users, groups or capability sets changed.
    Credentials "credentials",
    /// A capability of the watched set was asked for.
    Capability "capability",
    /// Something was done to a file.
    File "file",
    /// Namespaces or mounts were changed.
    Namespace "namespace",
    /// Code or an observer entered the kernel.
    Kernel "kernel",
    /// Code or control entered a process.
    Memory "memory",
    /// A socket was made, bound, put to listen or connected.
    Socket "socket",
    /// A signal went to another container, or to the agent.
    Signal "signal",
    /// A socket became standard input, output or error.
    Stdio "stdio",
    /// A flow without connection began, or its socket was closed.
    Datagram "datagram",
    /// A packet carried something that can be read.
    Payload "payload",
    /// The kernel threw a packet away.
    Drop "drop",
}

impl Serialize for RecordKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Totals of one kind since the kernel programs were loaded. When the rings are drained,
/// `seen = filtered + suppressed + emitted + dropped` and `emitted = received + lost_at_restart`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct KindCounters {
    /// The hook fired.
    pub seen: u64,
    /// Not wanted, by design (a thread and no process, for one).
    pub filtered: u64,
    /// Wanted, but its cgroup had used up its rate.
    pub suppressed: u64,
    /// Put into a ring.
    pub emitted: u64,
    /// No room in the ring.
    pub dropped: u64,
    /// Taken out of the ring.
    pub received: u64,
    /// Taken out of the ring by an agent that was killed before it handed them on.
    pub lost_at_restart: u64,
}

impl KindCounters {
    /// Whether everything that was seen is accounted for.
    #[must_use]
    pub const fn balances(&self) -> bool {
        self.unbalanced() == 0 && self.waiting() == 0
    }

    /// What is in the rings still.
    #[must_use]
    pub const fn waiting(&self) -> i64 {
        self.emitted.wrapping_sub(self.received).wrapping_sub(self.lost_at_restart).cast_signed()
    }

    /// What was seen and is in no other count of the kernel side: 0 whenever no kernel program is running.
    #[must_use]
    pub const fn unbalanced(&self) -> i64 {
        let told =
            self.filtered.wrapping_add(self.suppressed).wrapping_add(self.emitted).wrapping_add(self.dropped);
        self.seen.wrapping_sub(told).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balance_counts_what_was_suppressed() {
        let counters = KindCounters {
            seen: 10,
            filtered: 1,
            suppressed: 2,
            emitted: 4,
            dropped: 3,
            received: 3,
            lost_at_restart: 1,
        };
        assert!(counters.balances());
        assert_eq!(KindCounters { received: 1, ..counters }.waiting(), 2);
        let missing = KindCounters { seen: 12, ..counters };
        assert_eq!((missing.unbalanced(), missing.balances()), (2, false));
        assert_eq!(KindCounters { seen: 9, ..counters }.unbalanced(), -1);
    }
}
