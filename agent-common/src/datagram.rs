//! Flows without connections: UDP, ICMP, SCTP and others, counted in the kernel.

use crate::{Header, SocketState};

/// [`DatagramRecord::flags`]: the flow began with a datagram that this socket sent.
pub const DATAGRAM_CLIENT: u32 = 1;
/// [`DatagramRecord::flags`]: who began it is inferred: the socket may have had datagrams of this flow before.
pub const DATAGRAM_GUESSED: u32 = 2;
/// [`DatagramRecord::flags`]: the socket is being closed, and with it all its flows; of the key only the cookie counts.
pub const DATAGRAM_RELEASED: u32 = 4;

/// Flows that are counted at a time.
pub const DATAGRAM_FLOWS_MAX: usize = 65_536;

/// Which flow: a socket and the two ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(C)]
pub struct FlowKey {
    /// Socket cookie; 0 where there is no socket, and of what the kernel sends by itself: its sockets for that are one a CPU.
    pub cookie: u64,
    /// Address of this end; IPv4 in v4-mapped form.
    pub local: [u8; 16],
    /// Address of the other end.
    pub remote: [u8; 16],
    /// Port of this end, host byte order; of ICMP the identifier of an echo, else 0.
    pub local_port: u16,
    /// Port of the other end; of ICMP the type in the upper byte and the code, of an echo those of its request.
    pub remote_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Lowest three bytes of the number of the interface, of what the kernel sends by itself: it tells namespaces apart, as well
    /// as can be. Else zero.
    pub interface: [u8; 3],
}

const _: () = assert!(size_of::<FlowKey>() == 48);

/// What is counted of a flow, and whose it is.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct DatagramState {
    /// Payload bytes sent: what follows the transport header, of ICMP the ICMP header (8 bytes).
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// CLOCK_BOOTTIME of the first datagram, nanoseconds.
    pub first_ns: u64,
    /// CLOCK_BOOTTIME of the latest.
    pub last_ns: u64,
    /// The socket's owner when the flow began.
    pub owner: SocketState,
    /// `DATAGRAM_*` flags.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<DatagramState>() == 56 + size_of::<SocketState>());

/// A flow without connection began, or the socket of such flows is closed. The header's process is the socket's owner.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DatagramRecord {
    /// The owner: pid 0 where it is not known.
    pub header: Header,
    /// Which flow.
    pub key: FlowKey,
    /// `OWNER_*` flags of the socket.
    pub owner_flags: u32,
    /// `DATAGRAM_*` flags.
    pub flags: u32,
}

const _: () = assert!(size_of::<DatagramRecord>() == 120);
