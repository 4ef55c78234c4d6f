//! The last rung, beside system calls: socket operations that are asked for through io_uring, when they are submitted.

use agent_common::{EVENT_IO_URING, Operation};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use super::{Name, listening, made, named};
use crate::event::Outcome;
use crate::fd;
use crate::path::read;
use crate::settings::offset;
use crate::sock::Socket;
use crate::task;

/// Opcodes of include/uapi/linux/io_uring.h.
const CONNECT: u8 = 16;
const SOCKET: u8 = 45;
const BIND: u8 = 56;
const LISTEN: u8 = 57;

const SUBMITTED: Outcome = Outcome { flags: EVENT_IO_URING, result: 0 };

/// proto: `void io_uring_submit_req(struct io_kiocb *req)`
#[btf_tracepoint(function = "io_uring_submit_req")]
pub(crate) fn socket_ring(ctx: BtfTracePointContext) -> i32 {
    let request: *const u8 = ctx.arg(0);
    let opcode: u8 = read(request, offset!(io_opcode));
    if !matches!(opcode, CONNECT | SOCKET | BIND | LISTEN) {
        return 0;
    }
    if opcode == SOCKET {
        let family: u32 = read(request, offset!(io_socket_family));
        let protocol: u32 = read(request, offset!(io_socket_protocol));
        made(family as u16, read(request, offset!(io_socket_type)), protocol as u16, SUBMITTED);
        return 0;
    }
    let Some(socket) = Socket::of_file(fd::file(task::current(), read(request, offset!(io_fd)))) else {
        // One of the ring's own table of files, or no socket.
        return 0;
    };
    if opcode == LISTEN {
        listening(socket, read(request, offset!(io_listen_backlog)), SUBMITTED);
    } else if opcode == CONNECT {
        let at = read(request, offset!(io_connect_address));
        let name = Name { at, bytes: read(request, offset!(io_connect_bytes)), in_kernel: false };
        named(Operation::CONNECT, socket, name, SUBMITTED);
    } else {
        let at = copied(read(request, offset!(io_async)));
        let name = Name { at, bytes: read(request, offset!(io_bind_bytes)), in_kernel: true };
        named(Operation::BIND, socket, name, SUBMITTED);
    }
    0
}

/// The address of a bind, which the kernel has copied from the caller: into a message, or in newer kernels alone. A message
/// begins with a pointer or nothing, and the families that are told of are no multiples of 8.
#[inline(always)]
fn copied(data: u64) -> u64 {
    let family: u16 = read(data as *const u8, 0);
    if family.is_multiple_of(8) { data.wrapping_add(offset!(io_message_address) as u64) } else { data }
}
