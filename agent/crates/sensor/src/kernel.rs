//! Loading the kernel programs.

use agent_common::UNKNOWN_OFFSET;
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Ebpf, EbpfLoader};

use crate::attach::{self, Site};
use crate::btf::Btf;
use crate::host::Host;
use crate::offsets::{self, Resolved};
use crate::status::ProbeStatus;

/// Ring bytes from which on a record wakes the reader, as a part of the ring's size.
const WAKEUP_FRACTION: u64 = 8;

/// The loaded object with its probes attached.
pub(crate) struct Kernel {
    pub(crate) ebpf: Ebpf,
    pub(crate) probes: Vec<ProbeStatus>,
    /// Why the kernel's types are not known, where they are not.
    pub(crate) btf_problem: Option<String>,
}

/// Why nothing was loaded.
#[derive(thiserror::Error, Debug)]
pub enum LoadError {
    /// Maps could not be made or the object not be read.
    #[error("cannot load the kernel programs")]
    Object(#[source] Box<aya::EbpfError>),
}

impl Kernel {
    /// Makes the maps, then attaches every probe to the best hook that this kernel admits.
    pub(crate) fn load(ring_bytes: u32, host: &Host) -> Result<Self, LoadError> {
        raise_memlock_limit();
        let (own_btf, btf_problem) = match Btf::of_running_kernel() {
            Ok(btf) => (Some(btf), None),
            Err(error) => (None, Some(with_source(&error))),
        };
        let resolved = own_btf
            .as_ref()
            .map_or_else(|| Resolved { values: [UNKNOWN_OFFSET; _], missing: Vec::new() }, offsets::resolve);
        let exit_args =
            own_btf.as_ref().and_then(|btf| btf.tracepoint_args("sched_process_exit")).unwrap_or(1);
        let exit_has_group_dead = u32::from(exit_args >= 2);
        let has_types = own_btf.is_some() && resolved.missing_required().next().is_none();
        let owners_in_sock_ops = u32::from(has_types && sock_ops_may_ask_who());
        let wakeup_bytes = u64::from(ring_bytes) / WAKEUP_FRACTION;
        let btf = own_btf.as_ref().and_then(|_| aya::Btf::from_sys_fs().ok());
        let object = |source| LoadError::Object(Box::new(source));
        let mut ebpf = EbpfLoader::new()
            .btf(btf.as_ref())
            .override_global("OFFSETS", &resolved.values, true)
            .override_global("EXIT_HAS_GROUP_DEAD", &exit_has_group_dead, true)
            .override_global("OWNERS_IN_SOCK_OPS", &owners_in_sock_ops, true)
            .override_global("WAKEUP_BYTES", &wakeup_bytes, true)
            .map_max_entries("RECORDS", ring_bytes)
            .load(aya::include_bytes_aligned!(env!("WATCHFIRE_BPF_OBJECT")))
            .map_err(object)?;
        let missing = resolved.missing_required().map(str::to_owned).collect();
        let site = Site::new(btf.as_ref(), &host.cgroup_root, missing);
        let probes = attach::attach_all(&mut ebpf, &site);
        Ok(Self { ebpf, probes, btf_problem })
    }
}

fn sock_ops_may_ask_who() -> bool {
    is_helper_supported(ProgramType::SockOps, BpfHelper::BPF_FUNC_get_current_task_btf).unwrap_or(false)
}

/// Before 5.11 BPF memory counts against RLIMIT_MEMLOCK. That it cannot be raised only matters there, and shows then
/// as the failure to make a map.
fn raise_memlock_limit() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a valid limit to read from.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}

/// An error and what caused it, in one line.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some libraries put the cause into the message as well.
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
