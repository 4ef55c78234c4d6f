//! The first rungs: the security hooks, before the operation.

use agent_common::Operation;

use super::{Name, listening, made, named};
use crate::event::Outcome;
use crate::hooks::hooks;
use crate::sock::Socket;

#[inline(always)]
fn addressed(operation: Operation, socket: *const u8, address: u64, bytes: u64) {
    let name = Name { at: address, bytes: bytes as i32, in_kernel: true };
    named(operation, Socket::of(socket), name, Outcome::UNKNOWN);
}

hooks! {
    socket_create_lsm socket_create_fentry ("socket_create", "security_socket_create") |ctx, 4| {
        // Those of the kernel itself are not told.
        if ctx.arg::<u64>(3) as u32 == 0 {
            let family = ctx.arg::<u64>(0) as u16;
            made(family, ctx.arg::<u64>(1) as u32, ctx.arg::<u64>(2) as u16, Outcome::UNKNOWN);
        }
    }
    socket_bind_lsm socket_bind_fentry ("socket_bind", "security_socket_bind") |ctx, 3| {
        addressed(Operation::BIND, ctx.arg(0), ctx.arg::<u64>(1), ctx.arg::<u64>(2));
    }
    socket_listen_lsm socket_listen_fentry ("socket_listen", "security_socket_listen") |ctx, 2| {
        listening(Socket::of(ctx.arg(0)), ctx.arg::<u64>(1) as i32, Outcome::UNKNOWN);
    }
    socket_connect_lsm socket_connect_fentry ("socket_connect", "security_socket_connect") |ctx, 3| {
        addressed(Operation::CONNECT, ctx.arg(0), ctx.arg::<u64>(1), ctx.arg::<u64>(2));
    }
}
