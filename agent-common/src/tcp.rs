//! TCP records.

use crate::Header;

/// [`TcpRecord::flags`]: the socket connected; else it was accepted.
pub const FLAG_CLIENT: u32 = 1;
/// [`TcpRecord::flags`]: our FIN was acknowledged, so it counts one byte in `bytes_acked`.
pub const FLAG_FIN_ACKED: u32 = 2;
/// [`TcpRecord::flags`]: the peer's FIN was received, so it counts one byte in `bytes_received`.
pub const FLAG_FIN_RECEIVED: u32 = 4;
/// [`TcpRecord::flags`]: which side this is was inferred and not seen.
pub const FLAG_GUESSED: u32 = 8;

/// [`TcpRecord::error`] where the kernel's BTF does not tell where `sk_err` is.
pub const TCP_NO_ERROR_KNOWN: u32 = u32::MAX;

/// A TCP connection at its establishment, as it goes on, at its end, or a failed attempt. The header's process is the
/// socket's owner.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TcpRecord {
    /// The owner: pid 0 where it is not known.
    pub header: Header,
    /// Socket cookie.
    pub cookie: u64,
    /// CLOCK_BOOTTIME of establishment or attempt; of when it was found, where [`crate::CONNECTION_FOUND`] says so; 0 where
    /// neither is known.
    pub opened_ns: u64,
    /// Local address; IPv4 in v4-mapped form.
    pub local: [u8; 16],
    /// Remote address; IPv4 in v4-mapped form.
    pub remote: [u8; 16],
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// `FLAG_*`
    pub flags: u32,
    /// `OWNER_*` and `CONNECTION_*` flags of the socket.
    pub owner_flags: u32,
    /// TCP state that was left, or that it is in while it goes on (`enum` in include/net/tcp_states.h): 1 established, 2 SYN sent, ….
    pub old_state: u32,
    /// `sk_err`, an errno; [`TCP_NO_ERROR_KNOWN`] where it cannot be read.
    pub error: u32,
    /// `tcp_sock.total_retrans`, segments.
    pub retransmits: u32,
    /// `tcp_sock.bytes_acked`: counts SYN and FIN as a byte each where they were acknowledged.
    pub bytes_acked: u64,
    /// `tcp_sock.bytes_received`: counts a FIN as a byte.
    pub bytes_received: u64,
    /// `tcp_sock.segs_out`
    pub segments_out: u32,
    /// `tcp_sock.segs_in`
    pub segments_in: u32,
    /// Smoothed round-trip time in eighths of a microsecond, as the kernel keeps it.
    pub srtt_us_8: u32,
    /// Minimum round-trip time, microseconds; `u32::MAX` before the first sample.
    pub min_rtt_us: u32,
    /// From attempt to establishment, nanoseconds; 0 where that was not seen, and of accepted sockets.
    pub handshake_ns: u64,
}

const _: () = assert!(size_of::<TcpRecord>() == 176);
