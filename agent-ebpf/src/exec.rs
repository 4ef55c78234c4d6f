//! Program execution.

use agent_common::{
    ARGS_BYTES_MAX, ENV_BYTES_MAX, EXEC_ARGS_TRUNCATED, EXEC_ARGS_UNREADABLE, EXEC_ENV_TRUNCATED,
    EXEC_ENV_UNREADABLE, EXEC_OVERLAY, EXEC_SECURE, EXEC_UNLINKED, EXEC_UPPER_LAYER, ExecRecord, Kind,
    NAME_BYTES_MAX, PATH_BYTES_MAX, TEXT_BYTES_MAX,
};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count, lose};
use crate::maps::{EXEC_SCRATCH_BYTES, exec_scratch};
use crate::path::{self, Location, read};
use crate::ring::output;
use crate::settings::{SECURE_EXEC_BIT, WITH_ENVIRONMENT, field, known, offset};
use crate::task::{self, Task};

/// `OVERLAYFS_SUPER_MAGIC` of include/uapi/linux/magic.h.
const OVERLAYFS: u32 = 0x794c_7630;
/// `MINORBITS` of include/linux/kdev_t.h.
const MINOR_BITS: u32 = 20;

/// proto: `void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn process_exec(ctx: BtfTracePointContext) -> i32 {
    count(Kind::PROCESS_EXEC, Count::Seen);
    let (task, bprm): (Task, *const u8) = (ctx.arg(0), ctx.arg(2));
    let cgroup_id = task::cgroup_id(task);
    let Some(buffer) = exec_scratch() else {
        lose(Kind::PROCESS_EXEC, cgroup_id, Count::Dropped);
        return 0;
    };
    let mut flags = 0;
    let mm = field!(task, task_mm as *const u8);

    let args = size_of::<ExecRecord>();
    let (start, end) = (field!(mm, mm_arg_start as u64), field!(mm, mm_arg_end as u64));
    let read_args = user_bytes(buffer, args, start, end, ARGS_BYTES_MAX);
    flags |= read_args.flags(EXEC_ARGS_TRUNCATED, EXEC_ARGS_UNREADABLE);
    let binary = path::bounded::<EXEC_SCRATCH_BYTES>(args + read_args.bytes);

    let fs = field!(task, task_fs as *const u8);
    let file = field!(bprm, bprm_file as *const u8);
    let location = |base: *const u8, offset| Location::of_path(base.wrapping_add(offset));
    let root = location(fs, offset!(fs_root));
    let binary_at = location(file, offset!(file_path));
    let cwd = path::append::<EXEC_SCRATCH_BYTES>(buffer, binary, binary_at, root, PATH_BYTES_MAX);
    let pwd = location(fs, offset!(fs_pwd));
    let env = path::append::<EXEC_SCRATCH_BYTES>(buffer, cwd, pwd, root, PATH_BYTES_MAX);

    let mut script = env;
    if WITH_ENVIRONMENT.load() == 1 {
        let (start, end) = (field!(mm, mm_env_start as u64), field!(mm, mm_env_end as u64));
        let read_env = user_bytes(buffer, env, start, end, ENV_BYTES_MAX);
        flags |= read_env.flags(EXEC_ENV_TRUNCATED, EXEC_ENV_UNREADABLE);
        script = path::bounded::<EXEC_SCRATCH_BYTES>(env + read_env.bytes);
    }

    // A script: binfmt_script puts the interpreter in the place of the name that was asked for.
    let (asked, interp) = (field!(bprm, bprm_filename as *const u8), field!(bprm, bprm_interp as *const u8));
    let (mut interpreter, mut end) = (script, script);
    if asked != interp {
        interpreter = kernel_text(buffer, script, asked, TEXT_BYTES_MAX);
        end = kernel_text(buffer, interpreter, interp, NAME_BYTES_MAX);
    }

    let inode = field!(file, file_inode as *const u8);
    let superblock = field!(inode, inode_sb as *const u8);
    flags |= file_flags(inode, superblock) | secure(bprm);
    let parent = field!(task, task_real_parent as Task);
    let cred = field!(task, task_cred as *const u8);
    let record = buffer.cast::<ExecRecord>();
    // SAFETY: the scratch buffer is larger than an ExecRecord.
    unsafe {
        task::write_header(&raw mut (*record).header, Kind::PROCESS_EXEC, end as u32, task, cgroup_id);
        (*record).parent_pid = task::tgid(parent);
        (*record).args_bytes = read_args.bytes as u16;
        (*record).binary_bytes = (cwd - binary) as u16;
        (*record).parent_start_ns = task::start_ns(parent);
        (*record).cwd_bytes = (env - cwd) as u16;
        (*record).flags = flags;
        (*record).env_bytes = (script - env) as u16;
        (*record).script_bytes = (interpreter - script) as u16;
        (*record).interpreter_bytes = (end - interpreter) as u16;
        (*record).reserved = 0;
        (*record).ns_pid = task::ns_pid(task);
        (*record).inode = field!(inode, inode_number as u64);
        (*record).effective = task::capabilities(cred, offset!(cred_effective));
        (*record).permitted = task::capabilities(cred, offset!(cred_permitted));
        (*record).device = field!(superblock, sb_device as u32);
        (*record).mode = u32::from(field!(inode, inode_mode as u16));
        (*record).owner = field!(inode, inode_uid as u32);
        (*record).group = field!(inode, inode_gid as u32);
        (*record).tty = terminal(task);
        (*record).egid = field!(cred, cred_egid as u32);
    }
    output(Kind::PROCESS_EXEC, cgroup_id, buffer, path::bounded::<EXEC_SCRATCH_BYTES>(end) as u64);
    0
}

/// What a read of the process's memory brought.
struct UserBytes {
    bytes: usize,
    truncated: bool,
    unreadable: bool,
}

impl UserBytes {
    #[inline(always)]
    const fn flags(&self, truncated: u16, unreadable: u16) -> u16 {
        (if self.truncated { truncated } else { 0 }) | (if self.unreadable { unreadable } else { 0 })
    }
}

/// Reads from `start` to `end` of the process's memory, at most `most` bytes, to a position of the buffer.
#[inline(always)]
fn user_bytes(buffer: *mut u8, at: usize, start: u64, end: u64, most: usize) -> UserBytes {
    let mut bytes = end.wrapping_sub(start) as usize;
    let truncated = bytes > most;
    if truncated {
        bytes = most;
    }
    // SAFETY: the verifier bounds the write: at most `most` bytes at a position in the lower half.
    let result = unsafe { bpf_probe_read_user(buffer.add(at).cast(), bytes as u32, start as *const _) };
    let unreadable = result != 0;
    UserBytes { bytes: if unreadable { 0 } else { bytes }, truncated, unreadable }
}

/// Appends a kernel string without its closing NUL, and answers the position after it.
#[inline(always)]
fn kernel_text(buffer: *mut u8, at: usize, text: *const u8, most: usize) -> usize {
    let at = path::bounded::<EXEC_SCRATCH_BYTES>(at);
    // SAFETY: the position was masked to the lower half of the buffer.
    let written = unsafe { bpf_probe_read_kernel_str(buffer.add(at).cast(), most as u32, text.cast()) };
    path::bounded::<EXEC_SCRATCH_BYTES>(if written <= 0 { at } else { at + written as usize - 1 })
}

/// Whether the file has a name in a folder, and in which layer of its overlay it is.
#[inline(always)]
fn file_flags(inode: *const u8, superblock: *const u8) -> u16 {
    let mut flags = if field!(inode, inode_links as u32) == 0 { EXEC_UNLINKED } else { 0 };
    if field!(superblock, sb_magic as u32) == OVERLAYFS && known(offset!(ovl_upper)) {
        flags |= EXEC_OVERLAY;
        // SAFETY: an overlay's inode is a member of its `struct ovl_inode` (fs/overlayfs/ovl_entry.h, OVL_I()).
        let ovl_inode = unsafe { inode.sub(offset!(ovl_inode)) };
        if !read::<*const u8>(ovl_inode, offset!(ovl_upper)).is_null() {
            flags |= EXEC_UPPER_LAYER;
        }
    }
    flags
}

#[inline(always)]
fn secure(bprm: *const u8) -> u16 {
    let bit = SECURE_EXEC_BIT.load() as usize;
    let byte: u8 = read(bprm, bit / 8);
    if byte >> (bit % 8) & 1 == 1 { EXEC_SECURE } else { 0 }
}

/// Device number of the controlling terminal (drivers/tty/tty_io.c, `tty_devnum()`); 0 for none.
#[inline(always)]
fn terminal(task: Task) -> u32 {
    let signal = field!(task, task_signal as *const u8);
    let tty = field!(signal, signal_tty as *const u8);
    if tty.is_null() {
        return 0;
    }
    let driver = field!(tty, tty_driver as *const u8);
    let major = field!(driver, driver_major as u32);
    let minor = field!(driver, driver_minor_start as u32) + field!(tty, tty_index as u32);
    major << MINOR_BITS | minor
}
