//! Copies of what can be read from first bytes: questions to name servers with their answers, and what opens TLS.

use agent_common::{
    CLIENT_HELLO_SEGMENTS_MAX, FlowKey, Kind, PAYLOAD_BYTES_MAX, PAYLOAD_CLIENT_HELLO,
    PAYLOAD_CLIENT_HELLO_MORE, PAYLOAD_DNS, PAYLOAD_SMALL_BYTES_MAX, PAYLOAD_STREAM_BYTES_MAX, PayloadRecord,
    SocketState,
};
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_skb_load_bytes};

use crate::account::{Count, count};
use crate::datagram::state_of;
use crate::limit;
use crate::owner::{NOBODY, write_owner};
use crate::packet::Packet;
use crate::ring::{reserve, submit};
use crate::room::Room;

/// Where name servers listen (RFC 1035, RFC 7766).
const DNS_PORT: u16 = 53;
const UDP_HEADER_BYTES: u32 = 8;
/// `ContentType` handshake, the major version of every TLS record, and `HandshakeType` of a `ClientHello` (RFC 8446).
const HANDSHAKE: u8 = 22;
const TLS_MAJOR: u8 = 3;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER_BYTES: u32 = 5;
/// What stands before the body of a message: the header of its record, type and length.
const MESSAGE_START_BYTES: u32 = RECORD_HEADER_BYTES + 4;
/// Headers of further records, over which a message may be spread: of eight.
const MORE_RECORDS_BYTES: u32 = 8 * RECORD_HEADER_BYTES;

type SmallRoom = Room<PayloadRecord, PAYLOAD_SMALL_BYTES_MAX>;
type LargeRoom = Room<PayloadRecord, PAYLOAD_BYTES_MAX>;

/// What is to be copied.
#[derive(Clone, Copy)]
struct Part {
    kind: u32,
    /// Bytes from the start of the packet.
    offset: u32,
    bytes: u32,
    sent: bool,
    /// Of TCP.
    sequence: u32,
}

/// Copies a message to or from a name server that this socket asks.
#[inline(always)]
pub(crate) fn udp(skb: *mut __sk_buff, packet: &Packet, key: &FlowKey, sent: bool) {
    let bytes = packet.payload_bytes(UDP_HEADER_BYTES);
    if key.remote_port == DNS_PORT && bytes > 0 {
        let offset = packet.transport.offset + UDP_HEADER_BYTES;
        copy(skb, key, &Part { kind: PAYLOAD_DNS, offset, bytes, sent, sequence: 0 });
    }
}

/// As [`udp`], over TCP; and a `ClientHello` from either end.
#[inline(always)]
pub(crate) fn tcp(skb: *mut __sk_buff, packet: &Packet, sent: bool) {
    let Some(header) = packet.read::<[u16; 7]>(0) else { return };
    // The data offset is the upper half of the byte at 12, in words.
    let header_bytes = u32::from(header[6] as u8 >> 4) * 4;
    let mut bytes = packet.payload_bytes(header_bytes);
    if bytes == 0 {
        return;
    }
    let (source, destination) = (u16::from_be(header[0]), u16::from_be(header[1]));
    let sequence = u32::from(u16::from_be(header[2])) << 16 | u32::from(u16::from_be(header[3]));
    let remote = if sent { destination } else { source };
    let kind = if remote == DNS_PORT {
        PAYLOAD_DNS
    } else {
        let Some((kind, part)) = client_hello(skb, packet, header_bytes, bytes, (sequence, sent)) else {
            return;
        };
        bytes = part;
        kind
    };
    let mut key = packet.key(sent);
    (key.local_port, key.remote_port) = if sent { (source, destination) } else { (destination, source) };
    // SAFETY: a helper call on the context.
    key.cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    let mut part = Part { kind, offset: packet.transport.offset + header_bytes, bytes, sent, sequence };
    // Not as a loop: kernels before 6.3 refuse one whose first instruction follows a call.
    const { assert!(PAYLOAD_STREAM_BYTES_MAX == 4 * PAYLOAD_BYTES_MAX) };
    if has_more(skb, &key, &mut part) && has_more(skb, &key, &mut part) && has_more(skb, &key, &mut part) {
        copy(skb, &key, &part);
    }
}

/// Copies a piece, and says whether there is more, which the part then stands for.
#[inline(always)]
fn has_more(skb: *mut __sk_buff, key: &FlowKey, part: &mut Part) -> bool {
    let bytes = part.bytes;
    if bytes <= PAYLOAD_BYTES_MAX as u32 {
        copy(skb, key, part);
        return false;
    }
    part.bytes = PAYLOAD_BYTES_MAX as u32;
    copy(skb, key, part);
    part.offset += part.bytes;
    part.sequence = part.sequence.wrapping_add(part.bytes);
    part.bytes = bytes - part.bytes;
    if part.kind == PAYLOAD_CLIENT_HELLO {
        part.kind = PAYLOAD_CLIENT_HELLO_MORE;
    }
    true
}

/// What a segment has of a `ClientHello`, and how many bytes from its start: the beginning, after which more is awaited where
/// it is not all, or more. None where it has nothing of one.
#[inline(always)]
fn client_hello(
    skb: *mut __sk_buff,
    packet: &Packet,
    header_bytes: u32,
    bytes: u32,
    (sequence, sent): (u32, bool),
) -> Option<(u32, u32)> {
    if let Some([HANDSHAKE, TLS_MAJOR, _, high, low, CLIENT_HELLO]) = packet.read::<[u8; 6]>(header_bytes) {
        let record = RECORD_HEADER_BYTES + (u32::from(high) << 8 | u32::from(low));
        let message = match packet.read::<[u8; 3]>(header_bytes + 6) {
            Some([_, high, low]) => MESSAGE_START_BYTES + (u32::from(high) << 8 | u32::from(low)),
            None => 0,
        };
        let whole = if message > record { message + MORE_RECORDS_BYTES } else { record };
        let whole =
            if whole < PAYLOAD_STREAM_BYTES_MAX as u32 { whole } else { PAYLOAD_STREAM_BYTES_MAX as u32 };
        if bytes < whole
            && let Some(state) = state_of(skb)
        {
            state.hello_end = sequence.wrapping_add(whole);
            state.hello_segments = CLIENT_HELLO_SEGMENTS_MAX;
            state.hello_sent = u16::from(sent);
        }
        return Some((PAYLOAD_CLIENT_HELLO, bytes));
    }
    let state = state_of(skb)?;
    if state.hello_segments == 0 || (state.hello_sent == 1) != sent {
        return None;
    }
    state.hello_segments -= 1;
    let left = state.hello_end.wrapping_sub(sequence);
    // Behind the end, which wraps around.
    if left == 0 || left > PAYLOAD_STREAM_BYTES_MAX as u32 {
        return None;
    }
    Some((PAYLOAD_CLIENT_HELLO_MORE, if bytes < left { bytes } else { left }))
}

#[inline(always)]
fn copy(skb: *mut __sk_buff, key: &FlowKey, part: &Part) {
    let what = u64::from(part.kind) << 1 | u64::from(part.sent);
    payload_copy(skb, key, what, u64::from(part.offset) << 32 | u64::from(part.bytes), part.sequence);
}

/// A global function, which the verifier follows once by itself and not for each piece. A key is all that it is given in
/// memory: the stacks of those that call each other may have 512 bytes together, and on 6.1 a whole part was too much.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn payload_copy(
    skb: *mut __sk_buff,
    key: *const FlowKey,
    what: u64,
    place: u64,
    sequence: u32,
) -> u32 {
    let (kind, sent) = ((what >> 1) as u32, what & 1 == 1);
    let part = Part { kind, offset: (place >> 32) as u32, bytes: place as u32, sent, sequence };
    // SAFETY: null or a key: the verifier knows the size, and wants to be shown that it is there.
    if let Some(key) = unsafe { key.as_ref() } {
        tell(skb, key, &part);
    }
    0
}

#[inline(always)]
fn tell(skb: *mut __sk_buff, key: &FlowKey, part: &Part) {
    count(Kind::PAYLOAD, Count::Seen);
    let owner: &SocketState = match state_of(skb) {
        Some(state) => state,
        None => &NOBODY,
    };
    if !limit::has_room(Kind::PAYLOAD, owner.cgroup_id) {
        return;
    }
    // Room by size class: what is reserved is taken from the ring until the reader comes.
    if part.bytes <= PAYLOAD_SMALL_BYTES_MAX as u32 {
        let Some(room) = reserve::<SmallRoom>(Kind::PAYLOAD, owner.cgroup_id) else { return };
        // SAFETY: the room begins with the record, and the text follows it.
        unsafe { fill(&raw mut (*room).record, &raw mut (*room).text, skb, key, owner, *part) };
        submit(Kind::PAYLOAD, room);
    } else {
        let Some(room) = reserve::<LargeRoom>(Kind::PAYLOAD, owner.cgroup_id) else { return };
        // SAFETY: as above.
        unsafe { fill(&raw mut (*room).record, &raw mut (*room).text, skb, key, owner, *part) };
        submit(Kind::PAYLOAD, room);
    }
}

/// Writes a record with as many of the bytes as there is room for; with none where they cannot be read.
///
/// # Safety
/// Record and text are room in a ring, one after the other.
#[inline(always)]
unsafe fn fill<const N: usize>(
    record: *mut PayloadRecord,
    text: *mut [u8; N],
    skb: *mut __sk_buff,
    key: &FlowKey,
    owner: &SocketState,
    part: Part,
) {
    let wanted = if part.bytes < N as u32 { part.bytes } else { N as u32 };
    // From 1 to N, in a way that the verifier sees and the compiler cannot take away as needless.
    let mut less_one = wanted.wrapping_sub(1);
    // SAFETY: one AND on a register.
    unsafe { core::arch::asm!("{0} &= {1}", inout(reg) less_one, const N - 1) };
    let mut copied = less_one + 1;
    // SAFETY: room for N bytes.
    if unsafe { bpf_skb_load_bytes(skb.cast(), part.offset, text.cast(), copied) } != 0 {
        copied = 0;
    }
    let size = size_of::<PayloadRecord>() as u32 + copied;
    write_owner(record.cast(), Kind::PAYLOAD, size, owner);
    // SAFETY: as promised.
    unsafe {
        (*record).key = *key;
        (*record).owner_flags = owner.flags;
        (*record).kind = part.kind;
        (*record).sent = u32::from(part.sent);
        (*record).whole_bytes = part.bytes;
        (*record).sequence = part.sequence;
        (*record).reserved = 0;
    }
}
