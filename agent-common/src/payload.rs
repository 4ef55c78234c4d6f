//! First bytes of flows, for what can be read from them.

use crate::{FlowKey, Header};

/// [`PayloadRecord::kind`]: a DNS message; over TCP with its length before it.
pub const PAYLOAD_DNS: u32 = 1;
/// [`PayloadRecord::kind`]: a TLS record with a `ClientHello`.
pub const PAYLOAD_CLIENT_HELLO: u32 = 2;

/// [`PayloadRecord::kind`]: more of a `ClientHello` that began in another segment.
pub const PAYLOAD_CLIENT_HELLO_MORE: u32 = 3;

/// Most bytes of a `ClientHello`, or of one segment to or from a name server, that are copied: in pieces of
/// [`PAYLOAD_BYTES_MAX`].
pub const PAYLOAD_STREAM_BYTES_MAX: usize = 16 * 1024;
/// Most segments after its first that are looked at for the rest of a `ClientHello`, those that come twice included.
pub const CLIENT_HELLO_SEGMENTS_MAX: u16 = 32;

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
    /// How many there were: of a segment that is copied in pieces, in this piece.
    pub whole_bytes: u32,
    /// Sequence number of the first of them, of TCP.
    pub sequence: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<PayloadRecord>() == 136);
