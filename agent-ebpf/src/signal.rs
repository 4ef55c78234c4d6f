//! Signals that leave their container, or are sent to the agent.

use agent_common::{Kind, Operation, SignalRecord};
use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::path::read;
use crate::ring::{reserve, submit};
use crate::settings::offset;
use crate::task::{self, Task};

/// `SEND_SIG_NOINFO` and `SEND_SIG_PRIV` of include/linux/sched/signal.h: no pointers, but a signal without more to say,
/// and one of the kernel itself.
const SEND_SIG_NOINFO: u64 = 0;
const SEND_SIG_PRIV: u64 = 1;
/// `si_code` of kill(2), sigqueue(3) and tgkill(2), of the UAPI.
const SI_USER: i32 = 0;
const SI_QUEUE: i32 = -1;
const SI_TKILL: i32 = -6;

/// proto: `void signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)`
#[btf_tracepoint(function = "signal_generate")]
pub(crate) fn signal_sent(ctx: BtfTracePointContext) -> i32 {
    count(Kind::SIGNAL, Count::Seen);
    // Read as a number, because the verifier would take it for a pointer in any case.
    let info: u64 = read(ctx.as_ptr().cast_const().cast(), size_of::<u64>());
    let code = match info {
        SEND_SIG_NOINFO => SI_USER,
        SEND_SIG_PRIV => {
            count(Kind::SIGNAL, Count::Filtered);
            return 0;
        }
        info => read(info as *const u8, offset!(siginfo_code)),
    };
    let (sender, target): (Task, Task) = (task::current(), ctx.arg(2));
    if !matches!(code, SI_USER | SI_QUEUE | SI_TKILL) || task::is_kernel_thread(sender) {
        count(Kind::SIGNAL, Count::Filtered);
        return 0;
    }
    let (cgroup_id, target_cgroup_id) = (task::cgroup_id(sender), task::cgroup_id(target));
    let target_pid = task::tgid(target);
    if cgroup_id == target_cgroup_id && !limit::is_agent(target_pid) {
        count(Kind::SIGNAL, Count::Filtered);
        return 0;
    }
    if !limit::admits(Kind::SIGNAL, sender, cgroup_id) {
        return 0;
    }
    let Some(record) = reserve::<SignalRecord>(Kind::SIGNAL, cgroup_id) else { return 0 };
    let size = size_of::<SignalRecord>() as u32;
    // SAFETY: `record` is room for a whole SignalRecord.
    unsafe {
        let head = &raw mut (*record).head;
        write_head(head, Kind::SIGNAL, Operation::SIGNAL, Outcome::UNKNOWN, size, sender, cgroup_id);
        (*record).target_start_ns = task::start_ns(target);
        (*record).target_cgroup_id = target_cgroup_id;
        (*record).target_pid = target_pid;
        (*record).signal = ctx.arg::<u64>(0) as u32;
        (*record).outcome = ctx.arg::<u64>(4) as u32;
        (*record).code = code;
    }
    submit(Kind::SIGNAL, record);
    0
}
