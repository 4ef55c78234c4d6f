//! Whoever listens is the owner of what is accepted: three rungs of one ladder, best first.
//!
//! The LSM hook and the function behind it see the call to listen itself. Where the kernel admits neither, the last
//! rung takes the process that binds, which differs only when a socket is bound by one process and listened on by
//! another.

use aya_ebpf::macros::{cgroup_sock, fentry, lsm};
use aya_ebpf::programs::{FEntryContext, LsmContext, SockContext};

use crate::owner::{is_tcp, take};
use crate::settings::field;

/// What lets a socket call go on.
const ALLOW: i32 = 1;

/// proto: `int socket_listen(struct socket *sock, int backlog)`
#[lsm(hook = "socket_listen")]
pub(crate) fn listen_lsm(ctx: LsmContext) -> i32 {
    let sock = field!(ctx.arg::<*const u8>(0), socket_sk as *mut core::ffi::c_void);
    if !sock.is_null() {
        take(sock);
    }
    // The answer of the hooks before this one: watching only.
    ctx.arg::<i32>(2)
}

/// proto: `int security_socket_listen(struct socket *sock, int backlog)`
#[fentry(function = "security_socket_listen")]
pub(crate) fn listen_fentry(ctx: FEntryContext) -> i32 {
    let sock = field!(ctx.arg::<*const u8>(0), socket_sk as *mut core::ffi::c_void);
    if !sock.is_null() {
        take(sock);
    }
    0
}

/// Sockets bound to an IPv4 address.
#[cgroup_sock(post_bind4)]
pub(crate) fn listen_bind4(ctx: SockContext) -> i32 {
    bound(&ctx)
}

/// Sockets bound to an IPv6 address.
#[cgroup_sock(post_bind6)]
pub(crate) fn listen_bind6(ctx: SockContext) -> i32 {
    bound(&ctx)
}

#[inline(always)]
fn bound(ctx: &SockContext) -> i32 {
    if is_tcp(ctx.sock) {
        take(ctx.sock.cast());
    }
    ALLOW
}
