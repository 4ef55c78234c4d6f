//! Code that enters the kernel: modules, BPF programs, another kernel; and observers of other tasks.

use agent_common::{KERNEL_NAME_IS_PATH, KernelRecord, Kind, Operation, TEXT_BYTES_MAX};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::path::{self, Location};
use crate::ring::{reserve, submit};
use crate::room::{Room, user, user_text};
use crate::settings::offset;
use crate::syscall::{Call, ends, handed_over};
use crate::task::{self, Task};

/// The record with room for its name, bytes.
const ROOM_BYTES: usize = 2048;
type KernelRoom = Room<KernelRecord, { ROOM_BYTES - size_of::<KernelRecord>() }>;
/// Most bytes of a path.
const PATH_BYTES_MAX: usize = 900;

/// `enum bpf_cmd` of the UAPI.
const BPF_MAP_CREATE: u32 = 0;
const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_DETACH: u32 = 9;
const BPF_LINK_UPDATE: u32 = 29;
const BPF_LINK_DETACH: u32 = 34;
/// `union bpf_attr` of the UAPI: where the name of a map and of a program lie, bytes.
const MAP_NAME: u64 = 28;
const PROG_NAME: u64 = 48;
/// `BPF_OBJ_NAME_LEN` of the UAPI.
const BPF_NAME_BYTES: usize = 16;
/// `struct perf_event_attr` of the UAPI: where the config lies, bytes.
const PERF_CONFIG: u64 = 8;

/// What a call asked for. No enum for the name: older verifiers refuse what is written by halves.
struct Asked {
    operation: Operation,
    value: u64,
    command: u32,
    target_pid: i32,
    cpu: i32,
    /// A text of the caller; address 0 for none.
    text: u64,
    /// Room that it has there with its NUL, bytes.
    text_bytes: usize,
    /// An open file whose path is the name; -1 for none.
    file: i32,
}

impl Asked {
    /// Nothing where it is of no interest.
    #[inline(always)]
    fn of(operation: Operation, call: &Call, task: Task) -> Option<Self> {
        let nothing = Self {
            operation,
            value: 0,
            command: 0,
            target_pid: 0,
            cpu: 0,
            text: 0,
            text_bytes: TEXT_BYTES_MAX,
            file: -1,
        };
        Some(match operation {
            Operation::INIT_MODULE => Self { text: call.argument(2), ..nothing },
            Operation::FINIT_MODULE => {
                Self { file: call.argument(0) as i32, value: call.argument(2), ..nothing }
            }
            Operation::DELETE_MODULE => Self { text: call.argument(0), value: call.argument(1), ..nothing },
            Operation::KEXEC_LOAD => Self { value: call.argument(3), ..nothing },
            Operation::KEXEC_FILE_LOAD => {
                Self { file: call.argument(0) as i32, value: call.argument(4), ..nothing }
            }
            Operation::PERF_EVENT_OPEN => {
                let (target_pid, cpu) = (call.argument(1) as i32, call.argument(2) as i32);
                // One's own process, on whatever CPU.
                if target_pid == 0 {
                    return None;
                }
                let attributes = call.argument(0);
                let (command, value) = (user(attributes), user(attributes + PERF_CONFIG));
                Self { command, value, target_pid, cpu, ..nothing }
            }
            _ => return Self::bpf(nothing, call, task),
        })
    }

    #[inline(always)]
    fn bpf(nothing: Self, call: &Call, task: Task) -> Option<Self> {
        let (command, attributes, size) =
            (call.argument(0) as u32, call.argument(1), call.argument(2) as u32);
        let named = |operation, name: u64| {
            // Older programs give a shorter union, without the name.
            let has_name = u64::from(size) >= name + BPF_NAME_BYTES as u64;
            let text = if has_name { attributes + name } else { 0 };
            // With a byte more than it has: a name that fills its room with its NUL is whole.
            let text_bytes = BPF_NAME_BYTES + 1;
            let value = u64::from(user::<u32>(attributes));
            Self { operation, command, value, text, text_bytes, ..nothing }
        };
        let asked = match command {
            BPF_PROG_LOAD => named(Operation::BPF_PROG_LOAD, PROG_NAME),
            BPF_MAP_CREATE => named(Operation::BPF_MAP_CREATE, MAP_NAME),
            BPF_PROG_DETACH | BPF_LINK_UPDATE | BPF_LINK_DETACH => {
                Self { operation: Operation::BPF_DETACH, command, ..nothing }
            }
            _ => return None,
        };
        if limit::is_agent(task::tgid(task)) { None } else { Some(asked) }
    }
}

ends! {
    kernel_init_module kernel_init_module_compat ("__x64_sys_init_module", "__ia32_sys_init_module") INIT_MODULE;
    kernel_finit_module kernel_finit_module_compat ("__x64_sys_finit_module", "__ia32_sys_finit_module") FINIT_MODULE;
    kernel_delete_module kernel_delete_module_compat ("__x64_sys_delete_module", "__ia32_sys_delete_module") DELETE_MODULE;
    kernel_bpf kernel_bpf_compat ("__x64_sys_bpf", "__ia32_sys_bpf") BPF;
    kernel_perf_event_open kernel_perf_event_open_compat ("__x64_sys_perf_event_open", "__ia32_sys_perf_event_open") PERF_EVENT_OPEN;
    kernel_kexec_load kernel_kexec_load_compat ("__x64_sys_kexec_load", "__ia32_compat_sys_kexec_load") KEXEC_LOAD;
    kernel_kexec_file_load kernel_kexec_file_load_compat ("__x64_sys_kexec_file_load", "__ia32_sys_kexec_file_load") KEXEC_FILE_LOAD;
}

/// The last rung for all of them.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn kernel_syscall(ctx: BtfTracePointContext) -> i32 {
    if let Some((call, entry)) = handed_over(&ctx) {
        finished(entry.operation, &call);
    }
    0
}

#[inline(always)]
fn finished(operation: Operation, call: &Call) {
    count(Kind::KERNEL, Count::Seen);
    let task = task::current();
    let Some(asked) = Asked::of(operation, call, task) else { return count(Kind::KERNEL, Count::Filtered) };
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::KERNEL, task, cgroup_id) {
        return;
    }
    let Some(room) = reserve::<KernelRoom>(Kind::KERNEL, cgroup_id) else { return };
    let mut outcome = Outcome::of(call);
    let at = size_of::<KernelRecord>();
    let buffer = room.cast::<u8>();
    let (mut end, mut flags) = (at, 0);
    if asked.file >= 0 {
        let file = crate::fd::file(task, asked.file);
        if !file.is_null() {
            let location = Location::of_path(file.wrapping_add(offset!(file_path)));
            end = path::append::<ROOM_BYTES>(buffer, at, location, Location::NONE, PATH_BYTES_MAX);
        }
        flags = KERNEL_NAME_IS_PATH;
    } else {
        end += user_text(buffer.wrapping_add(at), asked.text, asked.text_bytes, &mut outcome);
    }
    // SAFETY: `room` begins with a whole KernelRecord.
    unsafe {
        let record = &raw mut (*room).record;
        write_head(
            &raw mut (*record).head,
            Kind::KERNEL,
            asked.operation,
            outcome,
            end as u32,
            task,
            cgroup_id,
        );
        (*record).value = asked.value;
        (*record).command = asked.command;
        (*record).target_pid = asked.target_pid;
        (*record).cpu = asked.cpu;
        (*record).flags = flags;
        (*record).name_bytes = (end - at) as u32;
        (*record).reserved = 0;
    }
    submit(Kind::KERNEL, room);
}
