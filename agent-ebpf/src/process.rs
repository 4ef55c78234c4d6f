//! Process life: fork, exec, exit.
//!
//! All three are scheduler tracepoints, which see a process however it came about (clone, vfork, usermode helper,
//! io_uring worker). Threads are seen and filtered: the unit is the process.

use agent_common::{ARGS_BYTES_MAX, EXEC_ARGS_TRUNCATED, ExecRecord, ExitRecord, ForkRecord, Kind};
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::maps::{Count, Scratch, count, output, reserve, scratch, submit};
use crate::path;
use crate::settings::{EXIT_HAS_GROUP_DEAD, field, offset};
use crate::task::{self, Task};

/// `SIGNAL_GROUP_EXIT` of include/linux/sched/signal.h.
const SIGNAL_GROUP_EXIT: u32 = 4;

/// proto: `void sched_process_fork(struct task_struct *parent, struct task_struct *child)`
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn process_fork(ctx: BtfTracePointContext) -> i32 {
    count(Kind::PROCESS_FORK, Count::Seen);
    let (parent, child): (Task, Task) = (ctx.arg(0), ctx.arg(1));
    if task::is_thread(child) {
        count(Kind::PROCESS_FORK, Count::Filtered);
        return 0;
    }
    let Some(record) = reserve::<ForkRecord>(Kind::PROCESS_FORK) else { return 0 };
    // SAFETY: `record` is room for a whole ForkRecord.
    unsafe {
        task::write_header(
            &raw mut (*record).header,
            Kind::PROCESS_FORK,
            size_of::<ForkRecord>() as u32,
            child,
        );
        (*record).parent_pid = task::tgid(parent);
        (*record).reserved = 0;
        (*record).parent_start_ns = task::start_ns(parent);
    }
    submit(Kind::PROCESS_FORK, record);
    0
}

/// proto: `void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn process_exec(ctx: BtfTracePointContext) -> i32 {
    count(Kind::PROCESS_EXEC, Count::Seen);
    let (task, bprm): (Task, *const u8) = (ctx.arg(0), ctx.arg(2));
    let Some(buffer) = scratch(Scratch::Exec) else {
        count(Kind::PROCESS_EXEC, Count::Dropped);
        return 0;
    };
    let mut end = size_of::<ExecRecord>();

    let mm = field!(task, task_mm as *const u8);
    let (args_start, args_end) = (field!(mm, mm_arg_start as u64), field!(mm, mm_arg_end as u64));
    let mut args_bytes = args_end.wrapping_sub(args_start) as usize;
    let mut flags = 0;
    if args_bytes > ARGS_BYTES_MAX {
        args_bytes = ARGS_BYTES_MAX;
        flags |= EXEC_ARGS_TRUNCATED;
    }
    // SAFETY: the verifier bounds the write: at most ARGS_BYTES_MAX bytes at a fixed position.
    let read =
        unsafe { bpf_probe_read_user(buffer.add(end).cast(), args_bytes as u32, args_start as *const _) };
    if read != 0 {
        args_bytes = 0;
    }
    end += args_bytes;

    let fs = field!(task, task_fs as *const u8);
    // SAFETY: address arithmetic on BTF-typed pointers; the reads behind it are probe reads.
    let (root, pwd, binary) = unsafe {
        let file = field!(bprm, bprm_file as *const u8);
        (fs.add(offset!(fs_root)), fs.add(offset!(fs_pwd)), file.add(offset!(file_path)))
    };
    let after_binary = path::append(buffer, end, binary, root);
    let after_cwd = path::append(buffer, after_binary, pwd, root);

    let parent = field!(task, task_real_parent as Task);
    let record = buffer.cast::<ExecRecord>();
    // SAFETY: the scratch buffer is larger than an ExecRecord.
    unsafe {
        task::write_header(&raw mut (*record).header, Kind::PROCESS_EXEC, after_cwd as u32, task);
        (*record).parent_pid = task::tgid(parent);
        (*record).args_bytes = args_bytes as u16;
        (*record).binary_bytes = (after_binary - end) as u16;
        (*record).parent_start_ns = task::start_ns(parent);
        (*record).cwd_bytes = (after_cwd - after_binary) as u16;
        (*record).flags = flags;
        (*record).reserved = 0;
    }
    output(Kind::PROCESS_EXEC, buffer, path::bounded(after_cwd) as u64);
    0
}

/// proto: `void sched_process_exit(struct task_struct *p, bool group_dead)`; before 6.17 without `group_dead`.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn process_exit(ctx: BtfTracePointContext) -> i32 {
    count(Kind::PROCESS_EXIT, Count::Seen);
    let task: Task = ctx.arg(0);
    let signal = field!(task, task_signal as *const u8);
    let last = if EXIT_HAS_GROUP_DEAD.load() == 1 {
        ctx.arg::<u64>(1) as u8 != 0
    } else {
        // Two threads that end at once may both find it zero; the agent takes the first record only.
        field!(signal, signal_live as u32) == 0
    };
    if !last {
        count(Kind::PROCESS_EXIT, Count::Filtered);
        return 0;
    }
    let group_exit = field!(signal, signal_flags as u32) & SIGNAL_GROUP_EXIT != 0;
    let leader = field!(task, task_group_leader as Task);
    let wait_status = if group_exit {
        field!(signal, signal_exit_code as u32)
    } else {
        field!(leader, task_exit_code as u32)
    };
    let Some(record) = reserve::<ExitRecord>(Kind::PROCESS_EXIT) else { return 0 };
    // SAFETY: `record` is room for a whole ExitRecord.
    unsafe {
        task::write_header(
            &raw mut (*record).header,
            Kind::PROCESS_EXIT,
            size_of::<ExitRecord>() as u32,
            task,
        );
        (*record).wait_status = wait_status;
        (*record).reserved = 0;
    }
    submit(Kind::PROCESS_EXIT, record);
    0
}
