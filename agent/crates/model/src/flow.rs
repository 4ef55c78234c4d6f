//! Connections.

use std::net::SocketAddr;

use serde::Serialize;

use crate::{ExecId, Protocol};

/// Whether something was seen to begin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The agent saw it begin.
    Observed,
    /// It was there before the agent.
    BeforeStart,
}

/// Which end of the connection the observed socket is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The socket that called connect.
    Client,
    /// The socket that was accepted.
    Server,
}

/// Why no process is known for a socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerUnknown {
    /// The socket, or the listener it came from, is older than the agent and no process was found holding it.
    BeforeStart,
    /// The kernel gave no storage for the owner.
    NoStorage,
    /// This kernel admits no probe that sees who opens sockets.
    NoProbe,
}

impl OwnerUnknown {
    /// All reasons, for metric families that exist from the start.
    pub const ALL: [Self; 3] = [Self::BeforeStart, Self::NoStorage, Self::NoProbe];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeStart => "before-start",
            Self::NoStorage => "no-storage",
            Self::NoProbe => "no-probe",
        }
    }
}

/// The process at this end of a connection: the one that connected, or the one that listens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// Recorded on the socket.
    Known(ExecId),
    /// Not known, with the reason.
    Unknown(OwnerUnknown),
}

/// One connection as one of its sockets shows it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flow {
    /// Kernel's socket cookie, unique for this boot.
    pub cookie: u64,
    /// Protocol.
    pub protocol: Protocol,
    /// Address of the initiator, v4-mapped addresses normalised to IPv4.
    pub client: SocketAddr,
    /// Address of the responder.
    pub server: SocketAddr,
    /// Which of the two the socket is.
    pub side: Side,
    /// Whether who opened it was inferred and not seen.
    pub direction_guessed: bool,
    /// Process at this end.
    pub owner: Owner,
    /// Cgroup v2 id of the owner when it took the socket, 0 where not known.
    pub cgroup_id: u64,
    /// Inode number of the socket's network namespace, 0 where not known.
    pub netns: u32,
    /// When the connection was opened, nanoseconds of CLOCK_BOOTTIME.
    pub opened_boot_ns: u64,
    /// Seen to begin, or older than the agent.
    pub origin: Origin,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    /// Both sides finished.
    Fin,
    /// The peer reset it.
    ResetByPeer,
    /// This side gave it up without finishing (unread data, zero linger, process killed).
    AbortedLocally,
    /// Retransmissions or keepalives went unanswered.
    TimedOut,
    /// The connection attempt was refused.
    Refused,
    /// The network said that the destination cannot be reached.
    Unreachable,
    /// Another socket error.
    Error,
}

impl CloseReason {
    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::ResetByPeer => "reset-by-peer",
            Self::AbortedLocally => "aborted-locally",
            Self::TimedOut => "timed-out",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Error => "error",
        }
    }
}

/// What a socket has counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct FlowCounters {
    /// Payload bytes that the peer acknowledged.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Segments sent, retransmissions included.
    pub segments_sent: u32,
    /// Segments received.
    pub segments_received: u32,
    /// Segments retransmitted.
    pub retransmits: u32,
    /// Smoothed round-trip time, microseconds.
    pub srtt_us: u32,
    /// Minimum round-trip time, microseconds.
    pub min_rtt_us: u32,
}

/// The end of a connection, or of an attempt at one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FlowEnd {
    /// Why.
    pub reason: CloseReason,
    /// Whether it had been established before.
    pub established: bool,
    /// From opening to end, nanoseconds; none where the opening was not seen.
    pub duration_ns: Option<u64>,
    /// Totals.
    pub counters: FlowCounters,
}
