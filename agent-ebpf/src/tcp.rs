//! TCP connections: one record at establishment, one at the end, none per packet.

use core::ffi::c_void;

use agent_common::{
    CONNECTION_FOUND, FLAG_CLIENT, FLAG_FIN_ACKED, FLAG_FIN_RECEIVED, Kind, SocketState, TCP_NO_ERROR_KNOWN,
    TcpRecord,
};
use aya_ebpf::bindings::{
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB, BPF_SOCK_OPS_TCP_LISTEN_CB, bpf_sock_ops,
};
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_skc_to_tcp_sock};
use aya_ebpf::macros::sock_ops;
use aya_ebpf::programs::SockOpsContext;

use crate::account::{Count, count};
use crate::maps::socket_state;
use crate::owner::{take_unowned, write_owner};
use crate::ring::{reserve, submit};
use crate::settings::{field, known, offset};

/// TCP states of include/net/tcp_states.h.
const TCP_SYN_SENT: u32 = 2;
pub(crate) const TCP_FIN_WAIT2: u32 = 5;
pub(crate) const TCP_CLOSE: u32 = 7;
pub(crate) const TCP_CLOSE_WAIT: u32 = 8;
const TCP_LAST_ACK: u32 = 9;
const TCP_LISTEN: u32 = 10;
const TCP_CLOSING: u32 = 11;
/// `AF_INET` of the UAPI.
const AF_INET: u32 = 2;
/// Bit number of `SOCK_DONE` in `sk_flags` (include/net/sock.h): set when a FIN arrives.
const SOCK_DONE: u64 = 1;

/// Reads a context field as one load at a constant offset: the verifier refuses the address arithmetic by which the
/// compiler would merge loads of different fields.
macro_rules! context {
    ($ops:expr, $($field:tt)+) => {
        core::ptr::read_volatile(&raw const (*$ops).$($field)+)
    };
}

#[sock_ops]
pub(crate) fn tcp_events(ctx: SockOpsContext) -> u32 {
    match ctx.op() {
        BPF_SOCK_OPS_TCP_LISTEN_CB => listening(&ctx),
        BPF_SOCK_OPS_TCP_CONNECT_CB => attempt(&ctx),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => established(&ctx, FLAG_CLIENT),
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => established(&ctx, 0),
        BPF_SOCK_OPS_STATE_CB => state_change(&ctx),
        _ => {}
    }
    1
}

#[inline(always)]
fn sock_of(ctx: &SockOpsContext) -> *mut c_void {
    // SAFETY: a context field; null where there is no full socket.
    unsafe { (*ctx.ops).__bindgen_anon_2.sk.cast() }
}

/// The same socket as a pointer that the verifier knows as a `tcp_sock`, or null.
#[inline(always)]
pub(crate) fn tcp_sock(sock: *mut c_void) -> *const u8 {
    // SAFETY: a helper call on a socket that is not null.
    unsafe { bpf_skc_to_tcp_sock(sock) }.cast::<u8>().cast_const()
}

/// Inode number of the socket's own network namespace; its owner may have moved since, or not be known.
#[inline(always)]
pub(crate) fn net_ns(tcp: *const u8, otherwise: u32) -> u32 {
    if tcp.is_null() || !known(offset!(sock_net)) {
        return otherwise;
    }
    let net = field!(tcp, sock_net as *const u8);
    field!(net, net_ns_inum as u32)
}

/// Asks the kernel to call again when this socket changes its state, and leaves what other programs asked for.
#[inline(always)]
fn ask_for_end(ctx: &SockOpsContext) {
    let flags = ctx.cb_flags() | BPF_SOCK_OPS_STATE_CB_FLAG;
    // Refused only for flags that this kernel does not know, and then it refused them at their first setting.
    let _ = ctx.set_cb_flags(flags as i32);
}

/// A socket listens, in the context of who calls listen.
#[inline(always)]
fn listening(ctx: &SockOpsContext) {
    let sock = sock_of(ctx);
    if sock.is_null() {
        return;
    }
    if let Some(state) = socket_state(sock, true) {
        take_unowned(state);
    }
}

/// A connection attempt begins: its time is kept and its end asked for, since it may never be established.
#[inline(always)]
fn attempt(ctx: &SockOpsContext) {
    let sock = sock_of(ctx);
    if sock.is_null() {
        return;
    }
    if let Some(state) = socket_state(sock, true) {
        // SAFETY: a helper call without arguments.
        state.opened_ns = unsafe { bpf_ktime_get_boot_ns() };
        state.tcp_flags = FLAG_CLIENT;
        state.flags &= !CONNECTION_FOUND;
        state.handshake_ns = 0;
        take_unowned(state);
    }
    ask_for_end(ctx);
}

#[inline(always)]
fn established(ctx: &SockOpsContext, tcp_flags: u32) {
    count(Kind::TCP_OPEN, Count::Seen);
    let sock = sock_of(ctx);
    let mut owner = SocketState::default();
    if !sock.is_null() {
        if let Some(state) = socket_state(sock, true) {
            begin(ctx, state, tcp_flags);
            owner = *state;
        }
        owner.net_ns = net_ns(tcp_sock(sock), owner.net_ns);
    }
    ask_for_end(ctx);
    emit(Kind::TCP_OPEN, ctx, &owner, tcp_flags, TCP_SYN_SENT, 0);
}

/// Writes the beginning of a connection onto its socket, which may have had another one before.
#[inline(always)]
fn begin(ctx: &SockOpsContext, state: &mut SocketState, tcp_flags: u32) {
    // SAFETY: a helper call without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let attempted = tcp_flags & state.tcp_flags & FLAG_CLIENT != 0 && state.opened_ns != 0;
    state.handshake_ns = if attempted { now.wrapping_sub(state.opened_ns) } else { 0 };
    state.opened_ns = now;
    state.tcp_flags = tcp_flags;
    state.flags &= !CONNECTION_FOUND;
    state.told_ns = 0;
    let ops: *const bpf_sock_ops = ctx.ops;
    // SAFETY: the program's context.
    unsafe {
        state.told_retransmits = context!(ops, total_retrans);
        state.told_acked = context!(ops, bytes_acked);
        state.told_received = context!(ops, bytes_received);
    }
}

/// Which FINs `bytes_acked` and `bytes_received` count, by the state that a socket is in or has left.
#[inline(always)]
pub(crate) fn fin_flags(tcp_state: u32, error: u32, fin_received: bool) -> u32 {
    let both = tcp_state == TCP_LAST_ACK || tcp_state == TCP_CLOSING;
    let received = if fin_received || both || tcp_state == TCP_CLOSE_WAIT { FLAG_FIN_RECEIVED } else { 0 };
    let acked = tcp_state == TCP_FIN_WAIT2 || (both && (error == 0 || error == TCP_NO_ERROR_KNOWN));
    if acked { received | FLAG_FIN_ACKED } else { received }
}

/// Whether the peer's FIN was received.
#[inline(always)]
pub(crate) fn is_fin_received(tcp: *const u8) -> bool {
    field!(tcp, sock_flags as u64) & (1 << SOCK_DONE) != 0
}

#[inline(always)]
fn state_change(ctx: &SockOpsContext) {
    let (old, new) = (ctx.arg(0), ctx.arg(1));
    if new != TCP_CLOSE || old == TCP_LISTEN || old == TCP_CLOSE {
        return;
    }
    let kind = if old == TCP_SYN_SENT { Kind::TCP_FAIL } else { Kind::TCP_CLOSE };
    count(kind, Count::Seen);
    let sock = sock_of(ctx);
    let mut owner = SocketState::default();
    let (mut error, mut fin_received) = (TCP_NO_ERROR_KNOWN, false);
    if !sock.is_null() {
        if let Some(state) = socket_state(sock, false) {
            owner = *state;
            // The end is told here, so not by the program for ends that nobody asked for.
            state.flags &= !CONNECTION_FOUND;
        }
        let tcp = tcp_sock(sock);
        owner.net_ns = net_ns(tcp, owner.net_ns);
        if !tcp.is_null() && known(offset!(sock_err)) && known(offset!(sock_flags)) {
            error = field!(tcp, sock_err as u32);
            fin_received = is_fin_received(tcp);
        }
    }
    let flags = owner.tcp_flags | fin_flags(old, error, fin_received);
    if kind == Kind::TCP_FAIL {
        emit(Kind::TCP_FAIL, ctx, &owner, flags, old, error);
    } else {
        emit(Kind::TCP_CLOSE, ctx, &owner, flags, old, error);
    }
}

/// Makes a v4-mapped address of an IPv4 address in network byte order.
#[inline(always)]
fn write_address(into: *mut [u8; 16], family: u32, v4: u32, v6: [u32; 4]) {
    let words = if family == AF_INET { [0, 0, u32::to_be(0xffff), v4] } else { v6 };
    // SAFETY: 16 bytes, which lie at a multiple of 8 in the record.
    unsafe { into.cast::<[u32; 4]>().write(words) };
}

#[inline(always)]
fn emit(kind: Kind, ctx: &SockOpsContext, owner: &SocketState, flags: u32, old_state: u32, error: u32) {
    let Some(record) = reserve::<TcpRecord>(kind, owner.cgroup_id) else { return };
    write_owner(record.cast(), kind, size_of::<TcpRecord>() as u32, owner);
    let ops: *const bpf_sock_ops = ctx.ops;
    // SAFETY: `record` is room for a whole TcpRecord; `ops` is the program's context.
    unsafe {
        (*record).cookie = bpf_get_socket_cookie(ctx.ops.cast());
        (*record).opened_ns = owner.opened_ns;
        let family = context!(ops, family);
        let local_v6 = [
            context!(ops, local_ip6[0]),
            context!(ops, local_ip6[1]),
            context!(ops, local_ip6[2]),
            context!(ops, local_ip6[3]),
        ];
        let remote_v6 = [
            context!(ops, remote_ip6[0]),
            context!(ops, remote_ip6[1]),
            context!(ops, remote_ip6[2]),
            context!(ops, remote_ip6[3]),
        ];
        write_address(&raw mut (*record).local, family, context!(ops, local_ip4), local_v6);
        write_address(&raw mut (*record).remote, family, context!(ops, remote_ip4), remote_v6);
        (*record).local_port = (*ops).local_port as u16;
        // The context shows the remote port in network byte order in the upper half (net/core/filter.c).
        (*record).remote_port = u16::from_be(((*ops).remote_port >> 16) as u16);
        (*record).flags = flags;
        (*record).owner_flags = owner.flags;
        (*record).old_state = old_state;
        (*record).error = error;
        (*record).retransmits = (*ops).total_retrans;
        (*record).bytes_acked = (*ops).bytes_acked;
        (*record).bytes_received = (*ops).bytes_received;
        (*record).segments_out = (*ops).segs_out;
        (*record).segments_in = (*ops).segs_in;
        (*record).srtt_us_8 = (*ops).srtt_us;
        (*record).min_rtt_us = (*ops).rtt_min;
        (*record).handshake_ns = owner.handshake_ns;
    }
    submit(kind, record);
}
