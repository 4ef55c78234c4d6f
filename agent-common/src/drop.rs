//! Packets that the kernel threw away.

use crate::{Header, SocketState};

/// Drops that are told apart at a time.
pub const DROPS_MAX: usize = 16_384;

/// Largest `enum skb_drop_reason` that is told of.
pub const DROP_REASONS_MAX: usize = 512;

/// [`DropKey::tcp_flags`] as RFC 9293 has them: a SYN.
pub const TCP_FLAG_SYN: u8 = 2;
/// See [`TCP_FLAG_SYN`].
pub const TCP_FLAG_ACK: u8 = 16;

/// Whose packets, and why they were dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct DropKey {
    /// Cookie of the socket that sent or should have got them; 0 where there is none.
    pub cookie: u64,
    /// Source address; IPv4 in v4-mapped form.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Source port, host byte order; of ICMP as in [`crate::FlowKey::local_port`].
    pub source_port: u16,
    /// Destination port; of ICMP as in [`crate::FlowKey::remote_port`].
    pub destination_port: u16,
    /// `enum skb_drop_reason` of this kernel.
    pub reason: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// TCP flags of the first of them.
    pub tcp_flags: u8,
    /// Inode number of the network namespace; 0 where not known.
    pub net_ns: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<DropKey>() == 56);

/// What is counted of a drop.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct DropState {
    /// Packets.
    pub packets: u64,
    /// CLOCK_BOOTTIME of the first, nanoseconds.
    pub first_ns: u64,
    /// CLOCK_BOOTTIME of the latest.
    pub last_ns: u64,
    /// The socket's owner.
    pub owner: SocketState,
}

const _: () = assert!(size_of::<DropState>() == 24 + size_of::<SocketState>());

/// The first packet of a drop. The header's process is the socket's owner.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DropRecord {
    /// The owner: pid 0 where there is none or it is not known.
    pub header: Header,
    /// What was dropped.
    pub key: DropKey,
}

const _: () = assert!(size_of::<DropRecord>() == 120);
