//! Reading who a task is.

use agent_common::{Header, Kind, WIRE_VERSION};
use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_ktime_get_boot_ns};

use crate::path::read;
use crate::settings::{TYPED_TASKS, field, load, offset};

/// Size of `struct upid` (include/linux/pid.h): an int and a pointer.
const UPID_BYTES: usize = 16;

/// A `task_struct` pointer that the verifier knows as such.
pub(crate) type Task = *const u8;

/// Thread group id.
#[inline(always)]
pub(crate) fn tgid(task: Task) -> u32 {
    field!(task, task_tgid as u32)
}

/// Whether the task is a thread and not the leader of its group.
#[inline(always)]
pub(crate) fn is_thread(task: Task) -> bool {
    field!(task, task_pid as u32) != tgid(task)
}

/// Whether it has no memory of its own.
#[inline(always)]
pub(crate) fn is_kernel_thread(task: Task) -> bool {
    field!(task, task_mm as *const u8).is_null()
}

/// Start of the process: of its group leader.
#[inline(always)]
pub(crate) fn start_ns(task: Task) -> u64 {
    let leader = field!(task, task_group_leader as *const u8);
    field!(leader, task_start as u64)
}

/// Id of the task's cgroup in the v2 hierarchy.
#[inline(always)]
pub(crate) fn cgroup_id(task: Task) -> u64 {
    let css_set = field!(task, task_cgroups as *const u8);
    let cgroup = field!(css_set, css_set_cgroup as *const u8);
    let node = field!(cgroup, cgroup_kn as *const u8);
    field!(node, kernfs_id as u64)
}

/// Inode number of the task's network namespace; 0 for a task that has given up its namespaces.
#[inline(always)]
pub(crate) fn net_ns(task: Task) -> u32 {
    let nsproxy = field!(task, task_nsproxy as *const u8);
    if nsproxy.is_null() {
        return 0;
    }
    net_ns_of(nsproxy)
}

#[inline(always)]
fn net_ns_of(nsproxy: *const u8) -> u32 {
    let net = field!(nsproxy, nsproxy_net as *const u8);
    field!(net, net_ns_inum as u32)
}

/// Real user, effective user and real group of credentials.
#[inline(always)]
pub(crate) fn ids(cred: *const u8) -> (u32, u32, u32) {
    (field!(cred, cred_uid as u32), field!(cred, cred_euid as u32), field!(cred, cred_gid as u32))
}

/// Fills a header about a task, in place. What callers know already is not read again: each read of a pointer out of a task costs
/// the verifier several searches through all types of the kernel (kernel/bpf/btf.c, `btf_nested_type_is_trusted()`).
#[inline(always)]
pub(crate) fn write_header(header: *mut Header, kind: Kind, size: u32, task: Task, cgroup_id: u64) {
    let cred = field!(task, task_cred as *const u8);
    let user_ns = field!(cred, cred_user_ns as *const u8);
    let nsproxy = field!(task, task_nsproxy as *const u8);
    let (mut net_ns, mut mnt_ns, mut pid_ns) = (0, 0, 0);
    if !nsproxy.is_null() {
        net_ns = net_ns_of(nsproxy);
        let mnt = field!(nsproxy, nsproxy_mnt as *const u8);
        mnt_ns = field!(mnt, mnt_ns_inum as u32);
        let pid = field!(nsproxy, nsproxy_pid as *const u8);
        pid_ns = field!(pid, pid_ns_inum as u32);
    }
    let (uid, euid, gid) = ids(cred);
    // SAFETY: the caller's record begins with this header; the verifier checks the bounds.
    unsafe {
        header.write(Header {
            size,
            kind,
            version: WIRE_VERSION,
            boot_ns: bpf_ktime_get_boot_ns(),
            pid: tgid(task),
            uid,
            start_ns: start_ns(task),
            cgroup_id,
            net_ns,
            mnt_ns,
            pid_ns,
            user_ns: field!(user_ns, user_ns_inum as u32),
            euid,
            gid,
        });
    }
}

/// Thread group id in the innermost pid namespace of the task.
#[inline(always)]
pub(crate) fn ns_pid(task: Task) -> u32 {
    let leader = field!(task, task_group_leader as *const u8);
    let pid = field!(leader, task_thread_pid as *const u8);
    let level = field!(pid, pid_level as u32) as usize;
    // One `struct upid` a level; its first member is the number.
    read(pid, offset!(pid_numbers) + level * UPID_BYTES)
}

/// The task whose program runs.
#[inline(always)]
pub(crate) fn current() -> Task {
    // SAFETY: helper calls that return the current task.
    unsafe {
        if TYPED_TASKS.load() == 1 {
            bpf_get_current_task_btf().cast::<u8>().cast_const()
        } else {
            bpf_get_current_task() as Task
        }
    }
}

/// A capability set of a `struct cred`, at the given offset: two words in every kernel, whatever it calls them.
#[inline(always)]
pub(crate) fn capabilities(cred: *const u8, offset: usize) -> u64 {
    u64::from(load::<u32>(cred, offset)) | u64::from(load::<u32>(cred, offset + 4)) << 32
}
