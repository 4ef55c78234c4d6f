//! /proc/PID/mem, through which a process's memory is written to like a file.

use agent_common::{Kind, MEMORY_WRITABLE_UNKNOWN, MemoryRecord, Operation};

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::limit;
use crate::path::{self, Location, read};
use crate::ring::{reserve, submit};
use crate::room::Room;
use crate::settings::{known, offset};
use crate::task;

/// `PROC_SUPER_MAGIC` of include/uapi/linux/magic.h.
const PROC_FILESYSTEM: u32 = 0x9fa0;
/// Room for the record and the components of its path, bytes.
const ROOM_BYTES: usize = 2048;
type MemoryFileRoom = Room<MemoryRecord, { ROOM_BYTES - size_of::<MemoryRecord>() }>;
/// Most bytes of the path.
const PATH_BYTES_MAX: usize = 800;

/// A file was opened for writing, or is about to be: told where it is the memory of a process.
#[inline(always)]
pub(crate) fn opened(inode: *const u8, location: Location, flags: u32, outcome: Outcome) {
    let superblock: *const u8 = read(inode, offset!(inode_sb));
    if read::<u32>(superblock, offset!(sb_magic)) != PROC_FILESYSTEM {
        return;
    }
    let name: *const u8 = read(location.dentry, offset!(dentry_name));
    if read::<u32>(name, 0) != u32::from_ne_bytes(*b"mem\0") {
        return;
    }
    count(Kind::MEMORY, Count::Seen);
    let task = task::current();
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::MEMORY, task, cgroup_id) {
        return;
    }
    let Some(room) = reserve::<MemoryFileRoom>(Kind::MEMORY, cgroup_id) else { return };
    let (target_pid, target_start_ns) = target(inode);
    let at = size_of::<MemoryRecord>();
    let end = path::append::<ROOM_BYTES>(room.cast(), at, location, Location::NONE, PATH_BYTES_MAX);
    // SAFETY: `room` begins with a whole MemoryRecord.
    unsafe {
        let record = &raw mut (*room).record;
        write_head(
            &raw mut (*record).head,
            Kind::MEMORY,
            Operation::MEM_OPEN,
            outcome,
            end as u32,
            task,
            cgroup_id,
        );
        (*record).target_start_ns = target_start_ns;
        (*record).target_pid = target_pid;
        (*record).target_ns_pid = 0;
        (*record).address = 0;
        (*record).length = 0;
        (*record).request = flags;
        (*record).flags = MEMORY_WRITABLE_UNKNOWN;
        (*record).name_bytes = (end - at) as u32;
        (*record).reserved = 0;
    }
    submit(Kind::MEMORY, room);
}

/// The process that a file of /proc/PID is about, and its start; zeros where the kernel does not tell.
#[inline(always)]
fn target(inode: *const u8) -> (u32, u64) {
    if !known(offset!(proc_inode)) || !known(offset!(proc_pid)) {
        return (0, 0);
    }
    // An inode of /proc is a member of its `struct proc_inode` (fs/proc/internal.h, PROC_I()).
    let proc_inode = inode.wrapping_sub(offset!(proc_inode));
    let pid: *const u8 = read(proc_inode, offset!(proc_pid));
    // The list of the tasks with this number: the first of four, by the kind of number.
    let links: *const u8 = read(pid, offset!(pid_tasks));
    if links.is_null() {
        return (0, 0);
    }
    let target = links.wrapping_sub(offset!(task_pid_links));
    let leader: *const u8 = read(target, offset!(task_group_leader));
    (read(target, offset!(task_tgid)), read(leader, offset!(task_start)))
}
