//! Loading the kernel programs.

use agent_common::Operation;
use aya::maps::{Array, MapData, ProgramArray};
use aya::{Ebpf, EbpfLoader};

use crate::attach::{self, Attached, Site};
use crate::btf::Btf;
use crate::frozen::Frozen;
use crate::host::Host;
use crate::offsets::{self, Resolved};
use crate::options::Options;
use crate::status::{ProbeStatus, RefusedRung};
use crate::syscalls;
use crate::wire_maps::SyscallPod;

/// Most bulk rings, and CPUs that share one before there is another.
const BULK_RINGS_MAX: usize = 4;
const CPUS_A_BULK_RING: usize = 4;
/// Names of the maps of the rings, the priority ring first.
pub(crate) const RINGS: [&str; 1 + BULK_RINGS_MAX] = ["PRIORITY", "BULK0", "BULK1", "BULK2", "BULK3"];
/// Smallest ring, for those that are not used.
const UNUSED_RING_BYTES: u32 = 4096;
/// The loaded object with its probes attached.
pub(crate) struct Kernel {
    pub(crate) ebpf: Ebpf,
    pub(crate) probes: Vec<ProbeStatus>,
    /// Programs in use, with the probe that each is for.
    pub(crate) programs: Vec<(&'static str, &'static str)>,
    /// Empties itself when its last descriptor is closed (kernel/bpf/arraymap.c), so it is kept.
    pub(crate) handlers: Option<ProgramArray<MapData>>,
    /// How many of [`RINGS`] are in use.
    pub(crate) rings: usize,
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
    pub(crate) fn load(options: &Options, host: &Host) -> Result<Self, LoadError> {
        raise_memlock_limit();
        let (types, btf_problem) = match Btf::of_running_kernel() {
            Ok(btf) => (Some(btf), None),
            Err(error) => (None, Some(with_source(&error))),
        };
        let types = types.as_ref();
        let resolved = types.map_or(Resolved::NOTHING, offsets::resolve);
        let bulk_rings = bulk_rings();
        let frozen = Frozen::new(options, types, bulk_rings);
        let btf = types.and_then(|_| aya::Btf::from_sys_fs().ok());
        let object = |source| LoadError::Object(Box::new(source));
        let (reserving, reserving_compat) = (syscalls::reserving(), syscalls::reserving_compat());
        let mut loader = EbpfLoader::new();
        loader
            .btf(btf.as_ref())
            .override_global("OFFSETS", &resolved.values, true)
            .override_global("ARGUMENTS", &frozen.registers.arguments, true)
            .override_global("COMPAT_ARGUMENTS", &frozen.registers.compat_arguments, true)
            .override_global("RESERVING_CALLS", &reserving, true)
            .override_global("RESERVING_COMPAT_CALLS", &reserving_compat, true)
            .map_max_entries(RINGS[0], options.priority_ring_bytes);
        for (name, value) in &frozen.words {
            loader.override_global(name, value, true);
        }
        for (name, value) in &frozen.longs {
            loader.override_global(name, value, true);
        }
        for (index, ring) in RINGS[1..].iter().enumerate() {
            loader.map_max_entries(
                ring,
                if index < bulk_rings { options.ring_bytes } else { UNUSED_RING_BYTES },
            );
        }
        let mut ebpf =
            loader.load(aya::include_bytes_aligned!(env!("WATCHFIRE_BPF_OBJECT"))).map_err(object)?;
        let site = Site::new(btf.as_ref(), types, &host.cgroup_root, resolved.missing);
        let Attached { mut probes, mut programs, handed_over } =
            attach::attach_all(&mut ebpf, &site, options);
        let mut handlers = None;
        if !handed_over.is_empty() {
            match hand_over(&mut ebpf, &site, &handed_over, &programs) {
                Ok(map) => {
                    programs.push((attach::SYS_EXIT, "syscalls"));
                    handlers = Some(map);
                }
                Err(why) => refuse_sys_exit(&mut probes, &why),
            }
        }
        Ok(Self { ebpf, probes, programs, handlers, rings: 1 + bulk_rings, btf_problem })
    }
}

/// The probes on the last rung have none after all.
fn refuse_sys_exit(probes: &mut [ProbeStatus], why: &str) {
    for probe in probes.iter_mut().filter(|probe| probe.hook == Some(attach::SYS_EXIT_HOOK)) {
        (probe.hook, probe.rung) = (None, 0);
        probe.refused.push(RefusedRung { hook: attach::SYS_EXIT_HOOK, why: why.to_owned() });
    }
}

/// Fills the table of system calls, then attaches the program that looks into it.
fn hand_over(
    ebpf: &mut Ebpf,
    site: &Site<'_>,
    handed_over: &[(u16, &'static [Operation])],
    programs: &[(&'static str, &'static str)],
) -> Result<ProgramArray<MapData>, String> {
    let text = |error: &dyn std::error::Error| with_source(error);
    let missing = |name: &str| format!("the kernel programs have no map {name}");
    let handlers = ebpf.take_map("SYSCALL_HANDLERS").ok_or_else(|| missing("SYSCALL_HANDLERS"))?;
    let mut handlers = ProgramArray::try_from(handlers).map_err(|error| text(&error))?;
    for (name, handler) in
        attach::HANDLERS.iter().filter(|(name, _)| programs.iter().any(|(used, _)| used == name))
    {
        let program = ebpf.program(name).ok_or_else(|| format!("the object has no program {name}"))?;
        let fd = program.fd().map_err(|error| text(&error))?;
        handlers.set(u32::from(*handler), fd, 0).map_err(|error| text(&error))?;
    }
    let calls = ebpf.map_mut("SYSCALLS").ok_or_else(|| missing("SYSCALLS"))?;
    let mut calls: Array<_, SyscallPod> = Array::try_from(calls).map_err(|error| text(&error))?;
    for (number, call) in syscalls::table(handed_over) {
        calls.set(number, SyscallPod(call), 0).map_err(|error| text(&error))?;
    }
    attach::attach_sys_exit(ebpf, site)?;
    Ok(handlers)
}

/// One bulk ring for every few CPUs: a power of two, because the kernel side takes the CPU's number by a mask.
fn bulk_rings() -> usize {
    let cpus = aya::util::nr_cpus().unwrap_or(1);
    cpus.div_ceil(CPUS_A_BULK_RING).next_power_of_two().min(BULK_RINGS_MAX)
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
