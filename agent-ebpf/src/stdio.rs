//! Sockets in the place of standard input, output and error: what a reverse shell begins with.

mod fcntl;

use agent_common::{Kind, Operation, StdioRecord};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::fd;
use crate::limit;
use crate::ring::{reserve, submit};
use crate::sock::Socket;
use crate::syscall::{Call, ends, handed_over};
use crate::task;

/// The largest of the three descriptors.
const STDERR: i64 = 2;

ends! {
    stdio_dup stdio_dup_compat ("__x64_sys_dup", "__ia32_sys_dup") DUP;
    stdio_dup2 stdio_dup2_compat ("__x64_sys_dup2", "__ia32_sys_dup2") DUP;
    stdio_dup3 stdio_dup3_compat ("__x64_sys_dup3", "__ia32_sys_dup3") DUP;
}

/// The last rung for all of them; fcntl(2) where the table's entry has `how` 1.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn stdio_syscall(ctx: BtfTracePointContext) -> i32 {
    if let Some((call, entry)) = handed_over(&ctx) {
        if entry.how == 1 {
            fcntl::finished(entry.operation, &call);
        } else {
            finished(entry.operation, &call);
        }
    }
    0
}

/// The first argument of each is the descriptor that is copied, and the result is the new one.
#[inline(always)]
fn finished(operation: Operation, call: &Call) {
    count(Kind::STDIO, Count::Seen);
    let (from, to) = (call.argument(0) as i32, call.result);
    if !(0..=STDERR).contains(&to) || i64::from(from) == to {
        return count(Kind::STDIO, Count::Filtered);
    }
    let task = task::current();
    let Some(socket) = Socket::of_file(fd::file(task, to as i32)) else {
        return count(Kind::STDIO, Count::Filtered);
    };
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::STDIO, task, cgroup_id) {
        return;
    }
    let Some(record) = reserve::<StdioRecord>(Kind::STDIO, cgroup_id) else { return };
    let (local, remote) = (socket.local(), socket.remote());
    let size = size_of::<StdioRecord>() as u32;
    // SAFETY: `record` is room for a whole StdioRecord.
    unsafe {
        write_head(&raw mut (*record).head, Kind::STDIO, operation, Outcome::of(call), size, task, cgroup_id);
        (*record).from_fd = from;
        (*record).to_fd = to as i32;
        (*record).family = socket.family();
        (*record).socket_type = socket.socket_type();
        (*record).local_port = local.port;
        (*record).remote_port = remote.port;
        (&raw mut (*record).local).cast::<[u32; 4]>().write(local.words);
        (&raw mut (*record).remote).cast::<[u32; 4]>().write(remote.words);
    }
    submit(Kind::STDIO, record);
}
