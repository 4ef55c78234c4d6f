//! First bytes of flows, for what can be read from them.

use crate::{FlowKey, Header};

/// [`PayloadRecord::kind`]: a DNS message; over TCP with its length before it.
pub const PAYLOAD_DNS: u32 = 1;
/// [`PayloadRecord::kind`]: a TLS record with a `ClientHello`.
pub const PAYLOAD_CLIENT_HELLO: u32 = 2;

/// Bytes copied of one packet where they are few, and at most.
pub const PAYLOAD_SMALL_BYTES_MAX: usize = 512;
/// See [`PAYLOAD_SMALL_BYTES_MAX`].
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// Bytes that a packet carried. They follow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PayloadRecord {
    /// The socket's owner: pid 0 where it is not known.
    pub header: Header,
    /// Which flow.
    pub key: FlowKey,
    /// `OWNER_*` flags of the socket.
    pub owner_flags: u32,
    /// `PAYLOAD_*`
    pub kind: u32,
    /// 1 where this socket sent them.
    pub sent: u32,
    /// How many there were.
    pub whole_bytes: u32,
}

const _: () = assert!(size_of::<PayloadRecord>() == 128);
