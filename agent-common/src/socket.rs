//! What is kept on each socket.

/// [`SocketState::flags`]: the owner fields are filled.
pub const OWNER_KNOWN: u32 = 1;
/// [`SocketState::flags`]: taken from /proc at start, since socket or listener are older than the agent.
pub const OWNER_BEFORE_START: u32 = 2;
/// [`SocketState::flags`]: the connection itself is older than the agent, and its end was not told yet. What an older listener
/// accepts does not have this.
pub const CONNECTION_FOUND: u32 = 16;

/// [`SocketState::flags`]: flows without connections were told of this socket.
pub const HAD_DATAGRAMS: u32 = 4;
/// [`SocketState::flags`]: a flow began with a datagram that came to this socket.
pub const SERVES_DATAGRAMS: u32 = 8;

/// Value of the socket storage map. Cloned by the kernel from a listener to the sockets it accepts
/// (`BPF_F_CLONE`), which is how an inbound connection knows its process.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct SocketState {
    /// Start of the owning process, nanoseconds since boot.
    pub start_ns: u64,
    /// Its cgroup v2 id.
    pub cgroup_id: u64,
    /// CLOCK_BOOTTIME of establishment, of the connection attempt before that, or of when it was found; 0 for listeners.
    pub opened_ns: u64,
    /// Its thread group id.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
    /// Its effective user id.
    pub euid: u32,
    /// Its real group id.
    pub gid: u32,
    /// Its network namespace.
    pub net_ns: u32,
    /// `OWNER_*` flags.
    pub flags: u32,
    /// `FLAG_*` of the TCP record that this connection will have.
    pub tcp_flags: u32,
    /// `tcp_sock.total_retrans` as it was told last.
    pub told_retransmits: u32,
    /// From attempt to establishment, nanoseconds; 0 where that was not seen, and of accepted sockets.
    pub handshake_ns: u64,
    /// CLOCK_BOOTTIME of the last update; 0 before the first.
    pub told_ns: u64,
    /// `tcp_sock.bytes_acked` as it was told last, or at the beginning.
    pub told_acked: u64,
    /// `tcp_sock.bytes_received`, likewise.
    pub told_received: u64,
    /// Sequence number behind a `ClientHello` of which segments are awaited.
    pub hello_end: u32,
    /// How many more segments are looked at for it; 0 where none is awaited.
    pub hello_segments: u16,
    /// 1 where this socket sends it.
    pub hello_sent: u16,
}

const _: () = assert!(size_of::<SocketState>() == 96);
