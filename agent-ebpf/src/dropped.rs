//! Packets that the kernel throws away for a reason that says something of the network: to closed ports, by netfilter, for
//! want of a route or of room.

use core::ffi::c_void;

use agent_common::{DROPS_MAX, DropKey, DropRecord, DropState, Kind, SocketState};
use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST};
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_map_update_elem};
use aya_ebpf::macros::{btf_map, btf_tracepoint};
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, add, count, lose};
use crate::limit;
use crate::maps::{lookup, socket_state};
use crate::owner::write_owner;
use crate::packet::{self, Addresses, Transport};
use crate::path::read;
use crate::ring::{reserve, submit};
use crate::settings::{DROP_REASONS, field, frozen_word, offset};

/// `ETH_P_IP` and `ETH_P_IPV6` of the UAPI, in network byte order.
const ETH_IPV4: u16 = u16::to_be(0x0800);
const ETH_IPV6: u16 = u16::to_be(0x86dd);
/// `EEXIST` of the UAPI.
const EEXIST: i64 = 17;

/// Drops by ends and reason; one map for all CPUs.
#[btf_map]
static DROPS: HashMap<DropKey, DropState, DROPS_MAX, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// proto: `void kfree_skb(struct sk_buff *skb, void *location, enum skb_drop_reason reason, struct sock *rx_sk)`, the last
/// since 6.11, the reason since 5.17.
#[btf_tracepoint(function = "kfree_skb")]
pub(crate) fn packet_dropped(ctx: BtfTracePointContext) -> i32 {
    count(Kind::DROP, Count::Seen);
    let reason: u32 = ctx.arg(2);
    if !is_told(reason) {
        count(Kind::DROP, Count::Filtered);
        return 0;
    }
    let skb: *const u8 = ctx.arg(0);
    match key_of(skb, reason) {
        Some(key) => dropped(skb, &key),
        None => count(Kind::DROP, Count::Filtered),
    }
    0
}

#[inline(always)]
fn is_told(reason: u32) -> bool {
    reason < 512 && frozen_word(&raw const DROP_REASONS, reason >> 6) & (1 << (reason & 63)) != 0
}

/// What tells it from others; none for what is no IP packet.
#[inline(always)]
fn key_of(skb: *const u8, reason: u32) -> Option<DropKey> {
    let head = field!(skb, skb_head as *const u8);
    let network = usize::from(field!(skb, skb_network as u16));
    let (addresses, transport) = match field!(skb, skb_protocol as u16) {
        ETH_IPV4 => packet::ipv4(&read(head, network))?,
        ETH_IPV6 => packet::ipv6(&read(head, network)),
        _ => return None,
    };
    let Transport { protocol, offset } = transport;
    let Addresses { source, destination } = addresses;
    let header: [u8; 14] = read(head, network + offset as usize);
    let (first, second) = ([header[0], header[1]], [header[2], header[3]]);
    let (source_port, destination_port) = match protocol {
        packet::ICMP | packet::ICMPV6 => (0, u16::from_be_bytes(first)),
        packet::TCP | packet::UDP | 33 | 132 | 136 => (u16::from_be_bytes(first), u16::from_be_bytes(second)),
        _ => (0, 0),
    };
    // SAFETY: four words are 16 bytes, whatever they hold.
    let bytes = |words: [u32; 4]| unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) };
    let sock = field!(skb, skb_sock as *const u8);
    let (mut cookie, mut net_ns) = (0, 0);
    if sock.is_null() {
        let device = field!(skb, skb_device as *const u8);
        if !device.is_null() {
            let net: *const u8 = read(device, offset!(device_net));
            net_ns = read(net, offset!(net_ns_inum));
        }
    } else {
        cookie = read(sock, offset!(sock_cookie));
        let net: *const u8 = read(sock, offset!(sock_net));
        net_ns = read(net, offset!(net_ns_inum));
    }
    Some(DropKey {
        cookie,
        source: bytes(source),
        destination: bytes(destination),
        source_port,
        destination_port,
        reason: reason as u16,
        protocol,
        tcp_flags: if protocol == packet::TCP { header[13] } else { 0 },
        net_ns,
        reserved: 0,
    })
}

#[inline(always)]
fn dropped(skb: *const u8, key: &DropKey) {
    if more(key) {
        return count(Kind::DROP, Count::Filtered);
    }
    let sock = field!(skb, skb_sock as *mut c_void);
    let mut owner = SocketState::default();
    if !sock.is_null()
        && let Some(state) = socket_state(sock, false)
    {
        owner = *state;
    }
    if !limit::has_room(Kind::DROP, owner.cgroup_id) {
        return;
    }
    // SAFETY: a helper call without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let state = DropState { packets: 1, first_ns: now, last_ns: now, owner };
    // SAFETY: key and value are on the stack.
    let result = unsafe {
        let map = (&raw const DROPS).cast_mut().cast();
        bpf_map_update_elem(map, (&raw const *key).cast(), (&raw const state).cast(), u64::from(BPF_NOEXIST))
    };
    if result == -EEXIST {
        more(key);
        return count(Kind::DROP, Count::Filtered);
    }
    if result != 0 {
        return lose(Kind::DROP, owner.cgroup_id, Count::Dropped);
    }
    let Some(record) = reserve::<DropRecord>(Kind::DROP, owner.cgroup_id) else { return };
    write_owner(record.cast(), Kind::DROP, size_of::<DropRecord>() as u32, &owner);
    // SAFETY: `record` is room for a whole DropRecord.
    unsafe { (*record).key = *key };
    submit(Kind::DROP, record);
}

/// Counts one more of a drop that is known.
#[inline(always)]
fn more(key: &DropKey) -> bool {
    let Some(state) = lookup(&raw const DROPS, &raw const *key) else { return false };
    let state = state.cast::<DropState>();
    // SAFETY: counters in a value of the map.
    unsafe {
        (*state).last_ns = bpf_ktime_get_boot_ns();
        add(&raw mut (*state).packets, 1);
    }
    true
}
