//! Namespaces and mounts: who leaves its container's walls, or moves them.

use agent_common::{Kind, NamespaceRecord, Operation, TEXT_BYTES_MAX};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count};
use crate::event::{Outcome, write_head};
use crate::file::Starts;
use crate::limit;
use crate::path::{self, Location, bounded};
use crate::ring::{reserve, submit};
use crate::room::{Room, user_text};
use crate::settings::own;
use crate::syscall::{Call, ends, handed_over};
use crate::task;

/// The record with room for its strings, bytes: three texts, of which two and the folder lie in the lower half.
const ROOM_BYTES: usize = 4096;
type NamespaceRoom = Room<NamespaceRecord, { ROOM_BYTES - size_of::<NamespaceRecord>() }>;
/// Most bytes of the folder.
const BASE_BYTES_MAX: usize = 900;
/// `AT_FDCWD` of the UAPI.
const AT_FDCWD: i32 = -100;

/// What a call asked for; texts by their addresses, 0 for those that it has not.
struct Asked {
    flags: u64,
    source: u64,
    target: u64,
    fs_type: u64,
    /// Descriptor of the folder that the target starts from.
    folder: i32,
}

impl Asked {
    #[inline(always)]
    fn of(operation: Operation, call: &Call) -> Self {
        let nothing = Self { flags: 0, source: 0, target: 0, fs_type: 0, folder: AT_FDCWD };
        match operation {
            Operation::UNSHARE => Self { flags: call.argument(0), ..nothing },
            Operation::SETNS => Self { flags: call.argument(1), ..nothing },
            Operation::MOUNT => Self {
                source: call.argument(0),
                target: call.argument(1),
                fs_type: call.argument(2),
                flags: call.argument(3),
                ..nothing
            },
            Operation::UMOUNT => Self { target: call.argument(0), flags: call.argument(1), ..nothing },
            Operation::PIVOT_ROOT => Self { target: call.argument(0), source: call.argument(1), ..nothing },
            Operation::MOVE_MOUNT => Self {
                source: call.argument(1),
                folder: call.argument(2) as i32,
                target: call.argument(3),
                flags: call.argument(4),
                ..nothing
            },
            _ => Self { target: call.argument(0), ..nothing },
        }
    }
}

ends! {
    namespace_unshare namespace_unshare_compat ("__x64_sys_unshare", "__ia32_sys_unshare") UNSHARE;
    namespace_setns namespace_setns_compat ("__x64_sys_setns", "__ia32_sys_setns") SETNS;
    namespace_mount namespace_mount_compat ("__x64_sys_mount", "__ia32_sys_mount") MOUNT;
    namespace_umount namespace_umount_compat ("__x64_sys_umount", "__ia32_sys_umount") UMOUNT;
    namespace_pivot_root namespace_pivot_root_compat ("__x64_sys_pivot_root", "__ia32_sys_pivot_root") PIVOT_ROOT;
    namespace_chroot namespace_chroot_compat ("__x64_sys_chroot", "__ia32_sys_chroot") CHROOT;
    namespace_move_mount namespace_move_mount_compat ("__x64_sys_move_mount", "__ia32_sys_move_mount") MOVE_MOUNT;
}

/// The last rung for all of them.
#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn namespace_syscall(ctx: BtfTracePointContext) -> i32 {
    if let Some((call, entry)) = handed_over(&ctx) {
        finished(entry.operation, &call);
    }
    0
}

#[inline(always)]
fn finished(operation: Operation, call: &Call) {
    count(Kind::NAMESPACE, Count::Seen);
    let task = task::current();
    let cgroup_id = task::cgroup_id(task);
    if !limit::admits(Kind::NAMESPACE, task, cgroup_id) {
        return;
    }
    let Some(room) = reserve::<NamespaceRoom>(Kind::NAMESPACE, cgroup_id) else { return };
    let (asked, starts) = (Asked::of(operation, call), Starts::of(task));
    let mut outcome = Outcome::of(call);
    let buffer = room.cast::<u8>();
    let text = |at: usize, address: u64, outcome: &mut Outcome| {
        let at = bounded::<ROOM_BYTES>(at);
        at + user_text(buffer.wrapping_add(at), address, TEXT_BYTES_MAX, outcome)
    };
    let at_source = size_of::<NamespaceRecord>();
    let at_target = bounded::<ROOM_BYTES>(text(at_source, asked.source, &mut outcome));
    let at_base = text(at_target, asked.target, &mut outcome);
    let is_relative = at_base != at_target && own::<u8>(buffer, at_target) != b'/';
    let base = if is_relative { starts.of_path(asked.folder, false) } else { Location::NONE };
    let mut at_type = bounded::<ROOM_BYTES>(at_base);
    if !base.dentry.is_null() {
        at_type = path::append::<ROOM_BYTES>(buffer, at_base, base, Location::NONE, BASE_BYTES_MAX);
    }
    let end = text(at_type, asked.fs_type, &mut outcome);
    // SAFETY: `room` begins with a whole NamespaceRecord.
    unsafe {
        let record = &raw mut (*room).record;
        write_head(&raw mut (*record).head, Kind::NAMESPACE, operation, outcome, end as u32, task, cgroup_id);
        (*record).flags = asked.flags;
        (*record).source_bytes = (at_target - at_source) as u16;
        (*record).target_bytes = (at_base - at_target) as u16;
        (*record).base_bytes = (at_type - at_base) as u16;
        (*record).fs_type_bytes = (end - at_type) as u16;
    }
    submit(Kind::NAMESPACE, room);
}
