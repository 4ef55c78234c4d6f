//! Code and control that enter processes, and memory that becomes executable.

mod mem_file;
mod protection;

use agent_common::{Kind, MEMORY_WRITABLE_UNKNOWN, MemoryRecord, NAME_BYTES_MAX, Operation};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::ring::{reserve, submit};
use crate::room::{Room, user, user_text};
use crate::syscall::{Call, ends, handed_over};
use crate::task;

pub(crate) use mem_file::opened;

/// The record with room for a name.
type MemoryRoom = Room<MemoryRecord, NAME_BYTES_MAX>;

/// Requests of ptrace(2) that attach or write, of the UAPI; those of this list on every architecture but for the
/// registers, which only some have.
const PTRACE_TRACEME: u32 = 0;
const PTRACE_POKETEXT: u32 = 4;
const PTRACE_POKEDATA: u32 = 5;
const PTRACE_POKEUSR: u32 = 6;
const PTRACE_SETREGS: u32 = 13;
const PTRACE_ATTACH: u32 = 16;
const PTRACE_SETREGSET: u32 = 0x4205;
const PTRACE_SEIZE: u32 = 0x4206;
/// `PROT_EXEC` of the UAPI.
const PROT_EXEC: u32 = 4;

/// What was done; the fields of a [`MemoryRecord`].
#[derive(Clone, Copy, Default)]
struct Asked {
    target_start_ns: u64,
    target_pid: u32,
    target_ns_pid: u32,
    address: u64,
    length: u64,
    request: u32,
    flags: u32,
    /// A text of the caller; address 0 for none.
    name: u64,
}

impl Asked {
    /// Nothing where it is of no interest.
    #[inline(always)]
    fn of(operation: Operation, call: &Call) -> Option<Self> {
        let nothing = Self { flags: MEMORY_WRITABLE_UNKNOWN, ..Self::default() };
        Some(match operation {
            Operation::PTRACE => {
                let request = call.argument(0) as u32;
                match request {
                    PTRACE_TRACEME => Self { request, ..nothing },
                    PTRACE_POKETEXT | PTRACE_POKEDATA | PTRACE_POKEUSR | PTRACE_SETREGS | PTRACE_ATTACH
                    | PTRACE_SETREGSET | PTRACE_SEIZE => Self {
                        request,
                        target_ns_pid: call.argument(1) as u32,
                        address: call.argument(2),
                        ..nothing
                    },
                    _ => return None,
                }
            }
            Operation::VM_WRITEV => {
                let remote = call.argument(3);
                // The first `struct iovec` of the target: address and length.
                let [address, length] = if call.compat {
                    user::<[u32; 2]>(remote).map(u64::from)
                } else {
                    user::<[u64; 2]>(remote)
                };
                Self { target_ns_pid: call.argument(0) as u32, address, length, ..nothing }
            }
            Operation::MEMFD_CREATE => {
                Self { name: call.argument(0), request: call.argument(1) as u32, ..nothing }
            }
            Operation::MPROTECT => {
                let request = call.argument(2) as u32;
                if request & PROT_EXEC == 0 {
                    return None;
                }
                let (address, length) = (call.argument(0), call.argument(1));
                Self { address, length, request, ..nothing }
            }
            _ => Self { request: call.argument(0) as u32, ..nothing },
        })
    }
}

ends! {
    memory_ptrace memory_ptrace_compat ("__x64_sys_ptrace", "__ia32_compat_sys_ptrace") PTRACE;
    memory_vm_writev memory_vm_writev_compat ("__x64_sys_process_vm_writev", "__ia32_sys_process_vm_writev") VM_WRITEV;
    memory_memfd_create memory_memfd_create_compat ("__x64_sys_memfd_create", "__ia32_sys_memfd_create") MEMFD_CREATE;
    memory_userfaultfd memory_userfaultfd_compat ("__x64_sys_userfaultfd", "__ia32_sys_userfaultfd") USERFAULTFD;
}

/// The last rung for all of them.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn memory_syscall(ctx: BtfTracePointContext) -> i32 {
    if let Some((call, entry)) = handed_over(&ctx) {
        finished(entry.operation, &call);
    }
    0
}

#[inline(always)]
fn finished(operation: Operation, call: &Call) {
    count(Kind::MEMORY, Count::Seen);
    match Asked::of(operation, call) {
        Some(asked) => tell(operation, Outcome::of(call), &asked),
        None => count(Kind::MEMORY, Count::Filtered),
    }
}

/// Makes the record of what is wanted, unless its cgroup has told too much already.
#[inline(always)]
fn tell(operation: Operation, outcome: Outcome, asked: &Asked) {
    let task = task::current();
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::MEMORY, task, cgroup_id) {
        return;
    }
    let Some(room) = reserve::<MemoryRoom>(Kind::MEMORY, cgroup_id) else { return };
    let mut outcome = outcome;
    // SAFETY: `room` begins with a whole MemoryRecord, and the text follows it.
    unsafe {
        let text = (&raw mut (*room).text).cast::<u8>();
        let name_bytes = user_text(text, asked.name, NAME_BYTES_MAX, &mut outcome);
        let size = size_of::<MemoryRecord>() + name_bytes;
        let record = &raw mut (*room).record;
        write_head(&raw mut (*record).head, Kind::MEMORY, operation, outcome, size as u32, task, cgroup_id);
        (*record).target_start_ns = asked.target_start_ns;
        (*record).target_pid = asked.target_pid;
        (*record).target_ns_pid = asked.target_ns_pid;
        (*record).address = asked.address;
        (*record).length = asked.length;
        (*record).request = asked.request;
        (*record).flags = asked.flags;
        (*record).name_bytes = name_bytes as u32;
        (*record).reserved = 0;
    }
    submit(Kind::MEMORY, room);
}
