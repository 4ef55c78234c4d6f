//! Process life: fork and exit; exec has its own file.
//!
//! All are tracepoints of the scheduler, which see a process however it came about (clone, vfork, usermode helper,
//! io_uring worker). Threads are seen and filtered: the unit is the process.

use agent_common::{ExitRecord, ForkRecord, Kind};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count};
use crate::limit::forget_agent;
use crate::ring::{reserve, submit};
use crate::settings::{EXIT_HAS_GROUP_DEAD, field};
use crate::task::{self, Task};

/// `SIGNAL_GROUP_EXIT` of include/linux/sched/signal.h.
const SIGNAL_GROUP_EXIT: u32 = 4;

/// proto: `void task_newtask(struct task_struct *task, u64 clone_flags)`, in the context of who forks
#[btf_tracepoint(function = "task_newtask")]
pub(crate) fn process_fork(ctx: BtfTracePointContext) -> i32 {
    count(Kind::PROCESS_FORK, Count::Seen);
    let child: Task = ctx.arg(0);
    if task::is_thread(child) {
        count(Kind::PROCESS_FORK, Count::Filtered);
        return 0;
    }
    let cgroup_id = task::cgroup_id(child);
    let Some(record) = reserve::<ForkRecord>(Kind::PROCESS_FORK, cgroup_id) else { return 0 };
    let parent = task::current();
    // SAFETY: `record` is room for a whole ForkRecord.
    unsafe {
        task::write_header(
            &raw mut (*record).header,
            Kind::PROCESS_FORK,
            size_of::<ForkRecord>() as u32,
            child,
            cgroup_id,
        );
        (*record).parent_pid = task::tgid(parent);
        (*record).ns_pid = task::ns_pid(child);
        (*record).parent_start_ns = task::start_ns(parent);
        (*record).clone_flags = ctx.arg(1);
    }
    submit(Kind::PROCESS_FORK, record);
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
    forget_agent(task::tgid(task));
    let group_exit = field!(signal, signal_flags as u32) & SIGNAL_GROUP_EXIT != 0;
    let leader = field!(task, task_group_leader as Task);
    let wait_status = if group_exit {
        field!(signal, signal_exit_code as u32)
    } else {
        field!(leader, task_exit_code as u32)
    };
    let cgroup_id = task::cgroup_id(task);
    let Some(record) = reserve::<ExitRecord>(Kind::PROCESS_EXIT, cgroup_id) else { return 0 };
    // SAFETY: `record` is room for a whole ExitRecord.
    unsafe {
        task::write_header(
            &raw mut (*record).header,
            Kind::PROCESS_EXIT,
            size_of::<ExitRecord>() as u32,
            task,
            cgroup_id,
        );
        (*record).wait_status = wait_status;
        (*record).reserved = 0;
    }
    submit(Kind::PROCESS_EXIT, record);
    0
}
