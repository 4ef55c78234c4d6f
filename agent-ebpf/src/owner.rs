//! Who owns a socket: recorded on the socket itself, by the process itself.

use core::ffi::c_void;

use agent_common::{Header, Kind, OWNER_KNOWN, SocketState, WIRE_VERSION};
use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::{cgroup_sock, cgroup_sock_addr};
use aya_ebpf::programs::{SockAddrContext, SockContext};

use crate::maps::socket_state;
use crate::settings::{OWNERS_IN_SOCK_OPS, WITH_DATAGRAMS, field};
use crate::task::{self, current};

/// The owner where none is known. Not on the stack, of which there is little.
pub(crate) static NOBODY: SocketState = SocketState {
    start_ns: 0,
    cgroup_id: 0,
    opened_ns: 0,
    pid: 0,
    uid: 0,
    euid: 0,
    gid: 0,
    net_ns: 0,
    flags: 0,
    tcp_flags: 0,
    told_retransmits: 0,
    handshake_ns: 0,
    told_ns: 0,
    told_acked: 0,
    told_received: 0,
    hello_end: 0,
    hello_segments: 0,
    hello_sent: 0,
};

/// `SOCK_STREAM` of the UAPI.
const SOCK_STREAM: u32 = 1;
/// `IPPROTO_TCP` of the UAPI.
const IPPROTO_TCP: u32 = 6;
/// What lets a socket call go on.
const ALLOW: i32 = 1;

/// Writes the current process onto a socket.
#[inline(always)]
pub(crate) fn take(sock: *mut c_void) {
    let Some(state) = socket_state(sock, true) else { return };
    write_current(state);
}

/// Writes the current process onto a socket that nobody was seen to make: the kernel makes the TCP sockets of a
/// multipath one itself (net/mptcp/subflow.c). It makes some of them later, by itself, and then stands for nobody.
#[inline(always)]
pub(crate) fn take_unowned(state: &mut SocketState) {
    if OWNERS_IN_SOCK_OPS.load() == 1 && state.flags & OWNER_KNOWN == 0 && !task::is_kernel_thread(current())
    {
        write_current(state);
    }
}

#[inline(always)]
fn write_current(state: &mut SocketState) {
    let task = current();
    let (uid, euid, gid) = task::ids(field!(task, task_cred as *const u8));
    state.start_ns = task::start_ns(task);
    state.cgroup_id = task::cgroup_id(task);
    state.pid = task::tgid(task);
    state.uid = uid;
    state.euid = euid;
    state.gid = gid;
    state.net_ns = task::net_ns(task);
    state.flags = OWNER_KNOWN;
}

/// Whether it is told whose this socket is: TCP's always, others where flows without connections are told of.
#[inline(always)]
fn is_watched(sock: *const bpf_sock) -> bool {
    is_tcp(sock) || WITH_DATAGRAMS.load() == 1
}

#[inline(always)]
pub(crate) fn is_tcp(sock: *const bpf_sock) -> bool {
    // SAFETY: context fields of a socket program.
    unsafe { (*sock).type_ == SOCK_STREAM && (*sock).protocol == IPPROTO_TCP }
}

/// Every new socket, in the context of its maker.
#[cgroup_sock(sock_create)]
pub(crate) fn socket_create(ctx: SockContext) -> i32 {
    if is_watched(ctx.sock) {
        take(ctx.sock.cast());
    }
    ALLOW
}

/// Whoever connects is the owner, whoever made the socket.
#[cgroup_sock_addr(connect4)]
pub(crate) fn socket_connect4(ctx: SockAddrContext) -> i32 {
    connect(&ctx)
}

/// As [`socket_connect4`].
#[cgroup_sock_addr(connect6)]
pub(crate) fn socket_connect6(ctx: SockAddrContext) -> i32 {
    connect(&ctx)
}

#[inline(always)]
fn connect(ctx: &SockAddrContext) -> i32 {
    // SAFETY: context fields; `sk` is null-checked below.
    let (kind, protocol, sock) =
        unsafe { ((*ctx.sock_addr).type_, (*ctx.sock_addr).protocol, (*ctx.sock_addr).__bindgen_anon_1.sk) };
    let is_watched = WITH_DATAGRAMS.load() == 1 || (kind == SOCK_STREAM && protocol == IPPROTO_TCP);
    if is_watched && !sock.is_null() {
        take(sock.cast());
    }
    ALLOW
}

/// Fills a header about the owner of a socket, in place.
#[inline(always)]
pub(crate) fn write_owner(header: *mut Header, kind: Kind, size: u32, owner: &SocketState) {
    // SAFETY: the caller's record begins with this header; the verifier checks the bounds.
    unsafe {
        header.write(Header {
            size,
            kind,
            version: WIRE_VERSION,
            boot_ns: bpf_ktime_get_boot_ns(),
            pid: owner.pid,
            uid: owner.uid,
            start_ns: owner.start_ns,
            cgroup_id: owner.cgroup_id,
            net_ns: owner.net_ns,
            mnt_ns: 0,
            pid_ns: 0,
            user_ns: 0,
            euid: owner.euid,
            gid: owner.gid,
        });
    }
}
