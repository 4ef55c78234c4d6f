//! The last rung: socket calls that have ended.

use agent_common::{Kind, Operation};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use super::{Name, listening, made, named};
use crate::account::{Count, count};
use crate::event::Outcome;
use crate::fd;
use crate::room::user;
use crate::sock::Socket;
use crate::syscall::handed_over;
use crate::task;

/// Calls of socketcall(2), of include/uapi/linux/net.h.
const SYS_SOCKET: u64 = 1;
const SYS_BIND: u64 = 2;
const SYS_CONNECT: u64 = 3;
const SYS_LISTEN: u64 = 4;

/// socket(2), bind(2), listen(2) and connect(2); where the table's entry has `how` 1, socketcall(2), which is all of them.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn socket_syscall(ctx: BtfTracePointContext) -> i32 {
    let Some((call, entry)) = handed_over(&ctx) else { return 0 };
    let mut operation = entry.operation;
    let mut arguments = [call.argument(0), call.argument(1), call.argument(2)];
    if entry.how == 1 {
        operation = match arguments[0] {
            SYS_SOCKET => Operation::SOCKET,
            SYS_BIND => Operation::BIND,
            SYS_CONNECT => Operation::CONNECT,
            SYS_LISTEN => Operation::LISTEN,
            _ => return 0,
        };
        arguments = user::<[u32; 3]>(arguments[1]).map(u64::from);
    }
    let [first, second, third] = arguments;
    let outcome = Outcome::of(&call);
    if operation == Operation::SOCKET {
        made(first as u16, second as u32, third as u16, outcome);
        return 0;
    }
    let Some(socket) = Socket::of_file(fd::file(task::current(), first as i32)) else {
        count(Kind::SOCKET, Count::Seen);
        count(Kind::SOCKET, Count::Filtered);
        return 0;
    };
    if operation == Operation::LISTEN {
        listening(socket, second as i32, outcome);
        return 0;
    }
    let name = Name { at: second, bytes: third as i32, in_kernel: false };
    named(operation, socket, name, outcome);
    0
}
