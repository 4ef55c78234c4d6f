//! Loading the kernel programs.

use std::os::fd::AsFd as _;

use agent_common::Operation;
use aya::Ebpf;
use aya::maps::{Array, MapError, ProgramArray};

use crate::account::Program;
use crate::attach::{self, Attached, Site};
use crate::host::Host;
use crate::links::Link;
use crate::objects::Objects;
use crate::options::Options;
use crate::plan::{OBJECT, Plan};
use crate::status::{ProbeStatus, RefusedRung};
use crate::syscalls;
use crate::wire_maps::SyscallPod;

/// What the program that several probes share is counted under.
pub(crate) const SYSCALLS_PROBE: &str = "syscalls";
/// Most bulk rings.
const BULK_RINGS_MAX: usize = 4;
/// Names of the maps of the rings, the priority ring first.
pub(crate) const RINGS: [&str; 1 + BULK_RINGS_MAX] = ["PRIORITY", "BULK0", "BULK1", "BULK2", "BULK3"];

/// The kernel side with its probes attached.
pub(crate) struct Kernel {
    pub(crate) objects: Objects,
    pub(crate) probes: Vec<ProbeStatus>,
    /// Programs in use.
    pub(crate) programs: Vec<Program>,
    /// What holds them at their hooks.
    pub(crate) links: Vec<Link>,
    /// How many of [`RINGS`] are in use.
    pub(crate) rings: usize,
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
    pub(crate) fn load(plan: &Plan, options: &Options, host: &Host) -> Result<Self, LoadError> {
        raise_memlock_limit();
        let object = |source| LoadError::Object(Box::new(source));
        let mut ebpf = plan.loader(options).load(OBJECT).map_err(object)?;
        name_agent(&mut ebpf).map_err(|source| object(source.into()))?;
        let site = plan.site(host);
        let Attached { mut probes, mut programs, mut links, handed_over } =
            attach::attach_all(&mut ebpf, &site, options);
        if !handed_over.is_empty() {
            match hand_over(&mut ebpf, &site, &handed_over, &programs) {
                Ok(link) => {
                    programs.push((attach::SYS_EXIT, SYSCALLS_PROBE));
                    links.push(link);
                }
                Err(why) => refuse_sys_exit(&mut probes, &why),
            }
        }
        let programs = loaded(&ebpf, &programs);
        Ok(Self { objects: Objects::Loaded(Box::new(ebpf)), probes, programs, links, rings: plan.rings() })
    }
}

/// The programs in use.
pub(crate) fn loaded(ebpf: &Ebpf, programs: &[(&'static str, &'static str)]) -> Vec<Program> {
    let program = |&(name, probe): &(&'static str, &'static str)| {
        let fd = ebpf.program(name)?.fd().ok()?.as_fd().try_clone_to_owned().ok()?;
        Some(Program { name, probe, fd })
    };
    programs.iter().filter_map(program).collect()
}

/// Tells the programs which process is the agent, before any of them sees it load the others.
fn name_agent(ebpf: &mut Ebpf) -> Result<(), MapError> {
    let Some(map) = ebpf.map_mut("AGENT") else { return Ok(()) };
    Array::<_, u32>::try_from(map)?.set(0, std::process::id(), 0)
}

/// The probes on the last rung have none after all.
pub(crate) fn refuse_sys_exit(probes: &mut [ProbeStatus], why: &str) {
    for probe in probes.iter_mut().filter(|probe| probe.hook == Some(attach::SYS_EXIT_HOOK)) {
        (probe.hook, probe.rung) = (None, 0);
        probe.refused.push(RefusedRung { hook: attach::SYS_EXIT_HOOK, why: why.to_owned() });
    }
}

/// Fills the table of system calls, then attaches the program that looks into it. The table of programs empties itself
/// when its last descriptor or pin is gone (kernel/bpf/arraymap.c), so it stays with the object.
fn hand_over(
    ebpf: &mut Ebpf,
    site: &Site<'_>,
    handed_over: &[(u16, &'static [Operation])],
    programs: &[(&'static str, &'static str)],
) -> Result<Link, String> {
    let text = |error: &dyn std::error::Error| with_source(error);
    let missing = |name: &str| format!("the kernel programs have no map {name}");
    let used = |name: &str| programs.iter().any(|(used, _)| *used == name);
    let mut fds = Vec::new();
    for (name, handler) in attach::HANDLERS.iter().filter(|(name, _)| used(name)) {
        let program = ebpf.program(name).ok_or_else(|| format!("the object has no program {name}"))?;
        let fd = program.fd().and_then(|fd| fd.try_clone().map_err(Into::into));
        fds.push((u32::from(*handler), fd.map_err(|error| text(&error))?));
    }
    let handlers = ebpf.map_mut("SYSCALL_HANDLERS").ok_or_else(|| missing("SYSCALL_HANDLERS"))?;
    let mut handlers = ProgramArray::try_from(handlers).map_err(|error| text(&error))?;
    for (handler, fd) in &fds {
        handlers.set(*handler, fd, 0).map_err(|error| text(&error))?;
    }
    let calls = ebpf.map_mut("SYSCALLS").ok_or_else(|| missing("SYSCALLS"))?;
    let mut calls: Array<_, SyscallPod> = Array::try_from(calls).map_err(|error| text(&error))?;
    for (number, call) in syscalls::table(handed_over) {
        calls.set(number, SyscallPod(call), 0).map_err(|error| text(&error))?;
    }
    let link = attach::attach_sys_exit(ebpf, site)?;
    Ok(Link { program: attach::SYS_EXIT, probe: SYSCALLS_PROBE, link })
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
