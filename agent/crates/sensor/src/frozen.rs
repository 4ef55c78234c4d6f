//! The values that the programs take as constants.

use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};

use crate::btf::Btf;
use crate::drop_reasons::DropReasons;
use crate::options::Options;
use crate::sweep;

/// Ring bytes from which on a record wakes the reader, as a part of the ring's size.
const WAKEUP_FRACTION: u64 = 8;
/// Where a task's own register arguments lie, in the order of a system call's arguments.
#[cfg(target_arch = "x86_64")]
const ARGUMENTS: [&str; 6] = ["di", "si", "dx", "r10", "r8", "r9"];
#[cfg(target_arch = "x86_64")]
const COMPAT_ARGUMENTS: [&str; 6] = ["bx", "cx", "dx", "si", "di", "bp"];

/// Globals of the object by name: settings.rs of the kernel side says what each is.
pub(crate) struct Frozen {
    pub(crate) words: Vec<(&'static str, u32)>,
    pub(crate) longs: Vec<(&'static str, u64)>,
    pub(crate) registers: Registers,
    /// Why this kernel drops packets, as far as it is told.
    pub(crate) drop_reasons: DropReasons,
}

impl Frozen {
    pub(crate) fn new(options: &Options, types: Option<&Btf>, bulk_rings: usize) -> Self {
        let registers = Registers::new(types);
        let exit_args = types.and_then(|btf| btf.tracepoint_args("sched_process_exit")).unwrap_or(1);
        let setxattr =
            |btf: &Btf| btf.argument_points_to("security_inode_setxattr", 1, "dentry") == Some(true);
        let secure_exec = types.and_then(|btf| btf.field_bit("linux_binprm", "secureexec"));
        let in_execve = types.and_then(|btf| btf.field_bit("task_struct", "in_execve"));
        let interval_ns = 1_000_000_000u64.checked_div(options.rate.events_per_second.into()).unwrap_or(0);
        let words = vec![
            ("EXIT_HAS_GROUP_DEAD", u32::from(exit_args >= 2)),
            ("OWNERS_IN_SOCK_OPS", u32::from(types.is_some() && sock_ops_may_ask_who())),
            ("TYPED_TASKS", u32::from(types.is_some() && tasks_are_typed())),
            ("BULK_RING_MASK", bulk_rings as u32 - 1),
            ("WITH_ENVIRONMENT", options.environment.into()),
            ("WITH_UNIX_SOCKETS", options.unix_sockets.into()),
            ("WITH_FILES", options.families.file.into()),
            ("WITH_MEMORY", options.families.memory.into()),
            ("WITH_DATAGRAMS", options.flows.datagrams.into()),
            ("WITH_PAYLOADS", options.flows.payloads.into()),
            ("SETXATTR_DENTRY", types.is_some_and(setxattr).into()),
            ("PLACES_TOGETHER", types.is_some_and(places_are_together).into()),
            ("SECURE_EXEC_BIT", secure_exec.unwrap_or(0)),
            ("IN_EXECVE_BIT", in_execve.unwrap_or(u32::MAX)),
            ("CALL_NUMBER", registers.call_number),
            ("COMPAT_STATUS", registers.compat_status),
            ("COMPAT_BIT", registers.compat_bit),
        ];
        let longs = vec![
            ("WAKEUP_BYTES", u64::from(options.ring_bytes) / WAKEUP_FRACTION),
            ("PRIORITY_WAKEUP_BYTES", u64::from(options.priority_ring_bytes) / WAKEUP_FRACTION),
            ("RATE_INTERVAL_NS", interval_ns),
            ("RATE_BURST_NS", interval_ns * u64::from(options.rate.burst)),
            ("CAPABILITIES", options.capabilities),
            ("UPDATE_AGE_NS", sweep::age_ns(options.update_interval_seconds)),
        ];
        Self { words, longs, registers, drop_reasons: DropReasons::of(types) }
    }
}

/// Where system calls have their numbers and arguments, bytes from the start of `pt_regs`.
pub(crate) struct Registers {
    pub(crate) arguments: [u32; 8],
    pub(crate) compat_arguments: [u32; 8],
    call_number: u32,
    compat_status: u32,
    compat_bit: u32,
}

impl Registers {
    #[cfg(target_arch = "x86_64")]
    fn new(types: Option<&Btf>) -> Self {
        /// `TS_COMPAT` of arch/x86/include/asm/thread_info.h.
        const TS_COMPAT: u32 = 2;
        let offset = |name: &str| types.and_then(|btf| btf.field_offset("pt_regs", name)).unwrap_or(0);
        let all =
            |names: [&str; 6]| std::array::from_fn(|index| names.get(index).map_or(0, |name| offset(name)));
        let status = types.and_then(|btf| btf.field_offset("task_struct", "thread_info.status"));
        Self {
            arguments: all(ARGUMENTS),
            compat_arguments: all(COMPAT_ARGUMENTS),
            call_number: offset("orig_ax"),
            compat_status: status.unwrap_or(0),
            compat_bit: if status.is_some() { TS_COMPAT } else { 0 },
        }
    }

    /// On aarch64 the first argument lies apart, because its register takes the result (arch/arm64/include/asm/ptrace.h).
    #[cfg(target_arch = "aarch64")]
    fn new(types: Option<&Btf>) -> Self {
        /// `_TIF_32BIT` of arch/arm64/include/asm/thread_info.h.
        const TIF_32BIT: u32 = 1 << 22;
        let offset = |name: &str| types.and_then(|btf| btf.field_offset("pt_regs", name)).unwrap_or(0);
        let registers = offset("regs");
        let arguments =
            std::array::from_fn(
                |index| if index == 0 { offset("orig_x0") } else { registers + 8 * index as u32 },
            );
        let status = types.and_then(|btf| btf.field_offset("task_struct", "thread_info.flags"));
        Self {
            arguments,
            compat_arguments: arguments,
            call_number: offset("syscallno"),
            compat_status: status.unwrap_or(0),
            compat_bit: if status.is_some() { TIF_32BIT } else { 0 },
        }
    }
}

/// Whether the programs find a name's place, and a mount's, in three words each.
fn places_are_together(types: &Btf) -> bool {
    const WORD: u32 = 8;
    let are_behind_each_other = |places: [Option<u32>; 3]| match places {
        [Some(first), Some(second), Some(third)] => second == first + WORD && third == second + WORD,
        _ => false,
    };
    let dentry = |path| types.field_offset("dentry", path);
    let mount = |path| types.field_offset("mount", path);
    let root = mount("mnt").zip(types.field_offset("vfsmount", "mnt_root"));
    are_behind_each_other([dentry("d_parent"), dentry("d_name.hash_len"), dentry("d_name.name")])
        && are_behind_each_other([
            mount("mnt_parent"),
            mount("mnt_mountpoint"),
            root.map(|(mount, root)| mount + root),
        ])
}

fn tasks_are_typed() -> bool {
    is_helper_supported(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_get_current_task_btf).unwrap_or(false)
}

fn sock_ops_may_ask_who() -> bool {
    is_helper_supported(ProgramType::SockOps, BpfHelper::BPF_FUNC_get_current_task_btf).unwrap_or(false)
}
