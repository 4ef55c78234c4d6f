//! What the headers of a packet say.

use core::mem::MaybeUninit;

use agent_common::FlowKey;
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;

/// IP protocol numbers (IANA).
pub(crate) const ICMP: u8 = 1;
/// See [`ICMP`].
pub(crate) const TCP: u8 = 6;
/// See [`ICMP`].
pub(crate) const UDP: u8 = 17;
/// See [`ICMP`].
pub(crate) const ICMPV6: u8 = 58;
/// Extension headers of IPv6 that may stand before the transport header (RFC 8200): hop-by-hop, routing, destination.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
/// Extension headers that are stepped over.
const EXTENSIONS_MAX: usize = 2;

const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
/// The 13 bits of an IPv4 header that say which part of a datagram follows.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Source and destination, four words each in network byte order; IPv4 in v4-mapped form.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) source: [u32; 4],
    pub(crate) destination: [u32; 4],
}

/// What follows the IP header.
#[derive(Clone, Copy)]
pub(crate) struct Transport {
    pub(crate) protocol: u8,
    /// Bytes from the start of the IP header.
    pub(crate) offset: u32,
}

/// Makes v4-mapped addresses of the words of an IPv4 header.
#[inline(always)]
pub(crate) const fn mapped(address: u32) -> [u32; 4] {
    [0, 0, u32::to_be(0xffff), address]
}

/// Reads an IPv4 header; none for all parts of a datagram but its first.
#[inline(always)]
pub(crate) fn ipv4(header: &[u32; 5]) -> Option<(Addresses, Transport)> {
    if u16::from_be((header[1] >> 16) as u16) & FRAGMENT_OFFSET != 0 {
        return None;
    }
    let addresses = Addresses { source: mapped(header[3]), destination: mapped(header[4]) };
    let transport = Transport { protocol: (header[2] >> 8) as u8, offset: (header[0] & 15) * 4 };
    Some((addresses, transport))
}

/// Reads an IPv6 header.
#[inline(always)]
pub(crate) const fn ipv6(header: &[u32; 10]) -> (Addresses, Transport) {
    let addresses = Addresses {
        source: [header[2], header[3], header[4], header[5]],
        destination: [header[6], header[7], header[8], header[9]],
    };
    (addresses, Transport { protocol: (header[1] >> 16) as u8, offset: IPV6_HEADER_BYTES as u32 })
}

/// A packet of a socket.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    skb: *const __sk_buff,
    pub(crate) addresses: Addresses,
    pub(crate) transport: Transport,
}

impl Packet {
    /// The packet whose IP header is where the data begins, as programs at sockets get it.
    #[inline(always)]
    pub(crate) fn of(skb: *const __sk_buff) -> Option<Self> {
        let start: [u32; 5] = bytes_at(skb, 0)?;
        // Little-endian words: the first byte is the lowest, and the version its upper half.
        let version = start[0] >> 4 & 15;
        if version == 4 {
            let (addresses, transport) = ipv4(&start)?;
            return Some(Self { skb, addresses, transport });
        }
        if version != 6 {
            return None;
        }
        let (addresses, mut transport) = ipv6(&bytes_at(skb, 0)?);
        for _ in 0..EXTENSIONS_MAX {
            if !EXTENSIONS.contains(&transport.protocol) {
                break;
            }
            let [next, units]: [u8; 2] = bytes_at(skb, transport.offset)?;
            transport = Transport { protocol: next, offset: transport.offset + 8 + u32::from(units) * 8 };
        }
        Some(Self { skb, addresses, transport })
    }

    /// Bytes at a distance from the transport header.
    #[inline(always)]
    pub(crate) fn read<T: Copy>(&self, offset: u32) -> Option<T> {
        bytes_at(self.skb, self.transport.offset + offset)
    }

    /// How much follows the transport header's first `header` bytes.
    #[inline(always)]
    pub(crate) fn payload_bytes(&self, header: u32) -> u32 {
        // SAFETY: a context field.
        unsafe { (*self.skb).len }.saturating_sub(self.transport.offset + header)
    }

    /// How many datagrams it is: the kernel hands large writes on in one piece, to be cut by the device.
    #[inline(always)]
    pub(crate) fn datagrams(&self) -> u64 {
        // SAFETY: a context field.
        let segments = unsafe { (*self.skb).gso_segs };
        if segments == 0 { 1 } else { u64::from(segments) }
    }

    /// The key of its flow without cookie and ports, seen from the socket that sends or gets it.
    #[inline(always)]
    pub(crate) fn key(&self, sent: bool) -> FlowKey {
        let Addresses { source, destination } = self.addresses;
        let (local, remote) = if sent { (source, destination) } else { (destination, source) };
        // SAFETY: four words are 16 bytes, whatever they hold.
        let bytes = |words: [u32; 4]| unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) };
        FlowKey {
            local: bytes(local),
            remote: bytes(remote),
            protocol: self.transport.protocol,
            ..FlowKey::default()
        }
    }
}

/// Whether a packet is a segment of TCP that carries nothing, as far as its first piece shows. Most packets of short
/// connections are, and there is nothing to tell of them: a few loads, where [`Packet::of`] takes calls of the kernel.
#[inline(always)]
pub(crate) fn is_empty_segment(skb: *const __sk_buff) -> bool {
    /// Where the headers of IPv4, IPv6 and TCP have their lengths, or what follows them.
    const IPV4_PROTOCOL: usize = 9;
    const IPV6_NEXT_HEADER: usize = 6;
    const TCP_DATA_OFFSET: usize = 12;
    // SAFETY: context fields.
    let (data, end, bytes) = unsafe { ((*skb).data as usize, (*skb).data_end as usize, (*skb).len as usize) };
    if data + IPV4_HEADER_BYTES > end {
        return false;
    }
    // SAFETY: within the first piece, as the verifier checks.
    let byte = |at: usize| unsafe { ((data + at) as *const u8).read_volatile() };
    let (header_bytes, protocol) = match byte(0) >> 4 {
        4 => (usize::from(byte(0) & 15) * 4, byte(IPV4_PROTOCOL)),
        6 => (IPV6_HEADER_BYTES, byte(IPV6_NEXT_HEADER)),
        _ => return false,
    };
    let data_offset = data + header_bytes + TCP_DATA_OFFSET;
    if protocol != TCP || data_offset + 1 > end {
        return false;
    }
    // SAFETY: as above.
    let words = unsafe { (data_offset as *const u8).read_volatile() } >> 4;
    bytes <= header_bytes + usize::from(words) * 4
}

#[inline(always)]
fn bytes_at<T: Copy>(skb: *const __sk_buff, offset: u32) -> Option<T> {
    const { assert!(size_of::<T>() <= IPV6_HEADER_BYTES && IPV4_HEADER_BYTES < IPV6_HEADER_BYTES) };
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes the whole value or fails.
    unsafe {
        let to = value.as_mut_ptr().cast();
        if bpf_skb_load_bytes(skb.cast(), offset, to, size_of::<T>() as u32) != 0 {
            return None;
        }
        Some(value.assume_init())
    }
}
