//! Flows without connections: counted in a map of the kernel's, told when they begin and when their socket is closed. Of TCP
//! the programs look at no more than whether a packet opens TLS or asks a name server.

mod icmp;

use core::mem::MaybeUninit;

use agent_common::{
    DATAGRAM_CLIENT, DATAGRAM_FLOWS_MAX, DATAGRAM_GUESSED, DATAGRAM_RELEASED, DatagramRecord, DatagramState,
    FlowKey, HAD_DATAGRAMS, Kind, OWNER_BEFORE_START, SERVES_DATAGRAMS, SocketState,
};
use aya_ebpf::bindings::{__sk_buff, BPF_F_NO_PREALLOC, BPF_NOEXIST};
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::helpers::generated::{
    bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_map_update_elem, bpf_sk_fullsock,
};
use aya_ebpf::macros::{btf_map, cgroup_skb, cgroup_sock};
use aya_ebpf::programs::{SkBuffContext, SockContext};

use crate::account::{Count, add, count, lose};
use crate::limit;
use crate::maps::{lookup, socket_state};
use crate::owner::{NOBODY, write_owner};
use crate::packet::{self, Packet};
use crate::payload;
use crate::ring::{reserve, submit};
use crate::settings::{WITH_DATAGRAMS, WITH_PAYLOADS};

/// What lets a packet and a socket call go on.
const ALLOW: i32 = 1;
/// `EEXIST` of the UAPI.
const EEXIST: i64 = 17;
const UDP_HEADER_BYTES: u32 = 8;
/// A common header and a DATA chunk's header (RFC 9260): what follows is not told apart by chunks.
const SCTP_HEADER_BYTES: u32 = 12;

/// Flows by socket and ends; one map for all CPUs.
#[btf_map]
static DATAGRAMS: HashMap<FlowKey, DatagramState, DATAGRAM_FLOWS_MAX, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

/// A packet that is about to be given to a socket.
#[cgroup_skb(ingress)]
pub(crate) fn packet_ingress(ctx: SkBuffContext) -> i32 {
    passes(ctx.skb.skb, false);
    ALLOW
}

/// A packet that a socket sends.
#[cgroup_skb(egress)]
pub(crate) fn packet_egress(ctx: SkBuffContext) -> i32 {
    passes(ctx.skb.skb, true);
    ALLOW
}

/// A socket is closed.
#[cgroup_sock(sock_release)]
pub(crate) fn socket_release(ctx: SockContext) -> i32 {
    let Some(state) = socket_state(ctx.sock.cast(), false) else { return ALLOW };
    if state.flags & HAD_DATAGRAMS != 0 {
        count(Kind::DATAGRAM, Count::Seen);
        // SAFETY: a helper call on the context.
        let cookie = unsafe { bpf_get_socket_cookie(ctx.sock.cast()) };
        tell(&FlowKey { cookie, ..FlowKey::default() }, state, DATAGRAM_RELEASED);
    }
    ALLOW
}

#[inline(always)]
fn passes(skb: *mut __sk_buff, sent: bool) {
    if packet::is_empty_segment(skb) {
        return;
    }
    let Some(packet) = Packet::of(skb) else { return };
    if packet.transport.protocol == packet::TCP {
        if WITH_PAYLOADS.load() == 1 {
            payload::tcp(skb, &packet, sent);
        }
    } else {
        datagram(skb, &packet, sent);
    }
}

/// The socket of a packet, for who owns it.
#[inline(always)]
pub(crate) fn state_of(skb: *mut __sk_buff) -> Option<&'static mut SocketState> {
    // SAFETY: a context field, checked for null before and after the helper's call.
    unsafe {
        let sock = (*skb).__bindgen_anon_2.sk;
        if sock.is_null() {
            return None;
        }
        let full = bpf_sk_fullsock(sock.cast());
        if full.is_null() { None } else { socket_state(full.cast(), false) }
    }
}

#[inline(always)]
fn datagram(skb: *mut __sk_buff, packet: &Packet, sent: bool) {
    let mut key = packet.key(sent);
    let (mut is_client, mut is_sure, mut header_bytes) = (sent, true, UDP_HEADER_BYTES);
    let mut may_be_kernels = false;
    match key.protocol {
        packet::ICMP | packet::ICMPV6 => {
            let Some(message) = icmp::Message::of(packet) else { return };
            (key.local_port, key.remote_port) = (message.id, message.asked);
            is_client = sent == message.is_request;
            is_sure = message.is_request;
            may_be_kernels = sent && message.is_kernels;
        }
        _ => {
            // UDP, UDP-Lite, SCTP and DCCP begin with their ports; of others there is nothing to tell flows apart by.
            if has_ports(key.protocol) {
                let Some([source, destination]) = packet.read::<[u16; 2]>(0) else { return };
                let (source, destination) = (u16::from_be(source), u16::from_be(destination));
                (key.local_port, key.remote_port) =
                    if sent { (source, destination) } else { (destination, source) };
            }
            if key.protocol != packet::UDP {
                header_bytes = if key.protocol == SCTP { SCTP_HEADER_BYTES } else { 0 };
            }
        }
    }
    if may_be_kernels && state_of(skb).is_none() {
        // SAFETY: a context field.
        let [first, second, third, _] = unsafe { (*skb).ifindex }.to_le_bytes();
        key.interface = [first, second, third];
    } else {
        // SAFETY: a helper call on the context.
        key.cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
    }
    if WITH_DATAGRAMS.load() == 1 {
        let flow = Seen { bytes: packet.payload_bytes(header_bytes), sent, is_client, is_sure };
        counted(skb, &key, packet, &flow);
    }
    if WITH_PAYLOADS.load() == 1 && key.protocol == packet::UDP {
        payload::udp(skb, packet, &key, sent);
    }
}

/// IP protocol number of SCTP.
const SCTP: u8 = 132;

const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, packet::UDP | SCTP | 33 | 136)
}

struct Seen {
    bytes: u32,
    sent: bool,
    is_client: bool,
    is_sure: bool,
}

#[inline(always)]
fn counted(skb: *mut __sk_buff, key: &FlowKey, packet: &Packet, seen: &Seen) {
    let (datagrams, bytes) = (packet.datagrams(), u64::from(seen.bytes));
    if !more(key, datagrams, bytes, seen.sent) {
        begins(skb, key, datagrams, seen);
    }
}

/// Counts more of a flow; false where there is no such flow yet.
#[inline(always)]
fn more(key: &FlowKey, datagrams: u64, bytes: u64, sent: bool) -> bool {
    let Some(state) = lookup(&raw const DATAGRAMS, &raw const *key) else { return false };
    let state = state.cast::<DatagramState>();
    // SAFETY: counters in a value of the map.
    unsafe {
        (*state).last_ns = bpf_ktime_get_boot_ns();
        if sent {
            add(&raw mut (*state).datagrams_sent, datagrams);
            add(&raw mut (*state).bytes_sent, bytes);
        } else {
            add(&raw mut (*state).datagrams_received, datagrams);
            add(&raw mut (*state).bytes_received, bytes);
        }
    }
    true
}

// Not inlined, nor is the copying of payloads: together they would need more stack than there is.
#[inline(never)]
fn begins(skb: *mut __sk_buff, key: &FlowKey, datagrams: u64, seen: &Seen) {
    count(Kind::DATAGRAM, Count::Seen);
    let mut flags = if seen.is_client { DATAGRAM_CLIENT } else { 0 };
    let mut socket = state_of(skb);
    let owner: *const SocketState = match &mut socket {
        Some(state) => &raw mut **state,
        None => &raw const NOBODY,
    };
    // SAFETY: a value of the map, or a constant.
    let owner = unsafe { &*owner };
    let is_older = socket.is_none() || owner.flags & OWNER_BEFORE_START != 0;
    if !seen.is_sure || is_older || (seen.is_client && owner.flags & SERVES_DATAGRAMS != 0) {
        flags |= DATAGRAM_GUESSED;
    }
    if !limit::has_room(Kind::DATAGRAM, owner.cgroup_id) {
        return;
    }
    // SAFETY: a helper call without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let bytes = u64::from(seen.bytes);
    let mut state = MaybeUninit::<DatagramState>::uninit();
    // SAFETY: room for a whole one; every field is written, in place, since there is no stack for a second.
    unsafe {
        let state = state.as_mut_ptr();
        (*state).bytes_sent = if seen.sent { bytes } else { 0 };
        (*state).bytes_received = if seen.sent { 0 } else { bytes };
        (*state).datagrams_sent = if seen.sent { datagrams } else { 0 };
        (*state).datagrams_received = if seen.sent { 0 } else { datagrams };
        (*state).first_ns = now;
        (*state).last_ns = now;
        // As one of places that do not overlap, which is copied by words; an assignment becomes a loop over bytes.
        core::ptr::copy_nonoverlapping(owner, &raw mut (*state).owner, 1);
        (*state).flags = flags;
        (*state).reserved = 0;
    }
    // SAFETY: key and value are on the stack.
    let result = unsafe {
        let map = (&raw const DATAGRAMS).cast_mut().cast();
        bpf_map_update_elem(map, (&raw const *key).cast(), state.as_ptr().cast(), u64::from(BPF_NOEXIST))
    };
    if result == -EEXIST {
        // Another CPU has begun it.
        more(key, datagrams, bytes, seen.sent);
        return count(Kind::DATAGRAM, Count::Filtered);
    }
    if result != 0 {
        return lose(Kind::DATAGRAM, owner.cgroup_id, Count::Dropped);
    }
    tell(key, owner, flags);
    if let Some(socket) = socket {
        socket.flags |= if seen.is_client { HAD_DATAGRAMS } else { HAD_DATAGRAMS | SERVES_DATAGRAMS };
    }
}

#[inline(always)]
fn tell(key: &FlowKey, owner: &SocketState, flags: u32) {
    let Some(record) = reserve::<DatagramRecord>(Kind::DATAGRAM, owner.cgroup_id) else { return };
    write_owner(record.cast(), Kind::DATAGRAM, size_of::<DatagramRecord>() as u32, owner);
    // SAFETY: `record` is room for a whole DatagramRecord.
    unsafe {
        (*record).key = *key;
        (*record).owner_flags = owner.flags;
        (*record).flags = flags;
    }
    submit(Kind::DATAGRAM, record);
}
