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
    /// The kernel answers by itself, as to an echo request.
    Kernel,
    /// No socket has to do with the packet.
    NoSocket,
}

impl OwnerUnknown {
    /// All reasons, for metric families that exist from the start.
    pub const ALL: [Self; 5] =
        [Self::BeforeStart, Self::NoStorage, Self::NoProbe, Self::Kernel, Self::NoSocket];

    /// The name used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeStart => "before-start",
            Self::NoStorage => "no-storage",
            Self::NoProbe => "no-probe",
            Self::Kernel => "kernel",
            Self::NoSocket => "no-socket",
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
    /// From the attempt to the establishment of a connection, nanoseconds; of client sockets that were seen to connect.
    pub handshake_ns: Option<u64>,
    /// What an ICMP flow asks for.
    pub icmp: Option<Icmp>,
}

/// What an ICMP flow asks for: of an echo the request, whichever of the two was seen first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Icmp {
    /// Type (IANA, ICMP Type Numbers or ICMPv6 "type" Numbers).
    #[serde(rename = "type")]
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
    /// Identifier of an echo; 0 for others.
    pub id: u16,
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
    /// Nothing was sent or received for a while; of flows without connections.
    Idle,
    /// The socket was closed; of flows without connections.
    Released,
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
            Self::Idle => "idle",
            Self::Released => "released",
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
    /// What the protocol counts besides.
    #[serde(flatten)]
    pub packets: Packets,
}

/// What a socket counts besides bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Packets {
    /// TCP.
    Segments {
        /// Segments sent, retransmissions included.
        segments_sent: u32,
        /// Segments received.
        segments_received: u32,
        /// Segments retransmitted.
        retransmits: u32,
        /// Smoothed round-trip time, microseconds.
        srtt_us: u32,
        /// Minimum round-trip time, microseconds.
        min_rtt_us: u32,
    },
    /// UDP, ICMP, SCTP and others.
    Datagrams {
        /// Datagrams sent.
        datagrams_sent: u64,
        /// Datagrams received.
        datagrams_received: u64,
    },
}

impl Default for Packets {
    fn default() -> Self {
        Self::Segments { segments_sent: 0, segments_received: 0, retransmits: 0, srtt_us: 0, min_rtt_us: 0 }
    }
}

/// Packets of a flow that the kernel threw away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FlowDrop {
    /// The kernel's reason, as `enum skb_drop_reason` names it without its prefix, such as `NO_SOCKET`.
    pub reason: String,
    /// How many packets so far.
    pub packets: u64,
}

/// First bytes that a flow carried, for what can be read from them.
#[derive(Clone, PartialEq, Debug)]
pub struct Payload {
    /// The flow.
    pub flow: Flow,
    /// What they are taken for.
    pub kind: PayloadKind,
    /// Whether this socket sent them.
    pub sent: bool,
    /// The bytes, as many as were copied.
    pub bytes: Vec<u8>,
    /// How many there were.
    pub whole_bytes: u32,
    /// Sequence number of the first, of TCP.
    pub sequence: u32,
}

/// What first bytes are taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadKind {
    /// A DNS message; over TCP a piece of messages of which each has its length before it.
    Dns,
    /// A TLS `ClientHello`, or its beginning.
    ClientHello,
    /// More of a `ClientHello`.
    ClientHelloMore,
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
