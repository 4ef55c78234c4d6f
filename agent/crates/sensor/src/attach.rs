//! The attach ladder: each probe names its hooks in order of preference and takes the first that loads.

mod connection;
mod credentials;
mod file;
mod flow;
mod kernel;
mod memory;
mod namespace;
mod process;
mod program;
mod site;
mod socket;

use agent_common::{
    HANDLER_CREDENTIALS, HANDLER_FILE, HANDLER_FILE_TEXT, HANDLER_KERNEL, HANDLER_MEMORY, HANDLER_NAMESPACE,
    HANDLER_SOCKET, HANDLER_STDIO, Operation,
};
use aya::Ebpf;
use aya::programs::links::FdLink;

use crate::links::Link;
use crate::options::Options;
pub(crate) use crate::status::SYS_EXIT_HOOK;
use crate::status::{ProbeStatus, RefusedRung};

pub(crate) use connection::{TCP_SWEEP, TCP_SWEEP_FILES, TCP_UPDATES};
pub(crate) use flow::PACKETS;
pub(crate) use process::{PROCESS_EXEC, SOCKET_OWNER};
use program::{NO_LINK, attach_program, try_iterator, unload};
pub(crate) use site::{ACTIVE_LSMS, Site};

/// The program on the end of every system call.
pub(crate) const SYS_EXIT: &str = "syscall_exit";

/// The programs that system calls are handed to.
pub(crate) const HANDLERS: [(&str, u16); 8] = [
    ("file_syscall", HANDLER_FILE),
    ("file_syscall_text", HANDLER_FILE_TEXT),
    ("credentials_syscall", HANDLER_CREDENTIALS),
    ("namespace_syscall", HANDLER_NAMESPACE),
    ("kernel_syscall", HANDLER_KERNEL),
    ("memory_syscall", HANDLER_MEMORY),
    ("socket_syscall", HANDLER_SOCKET),
    ("stdio_syscall", HANDLER_STDIO),
];

/// Every probe, in the order of attachment.
fn probes() -> impl Iterator<Item = &'static Probe> {
    let life = process::PROBES.iter().chain(&connection::PROBES).chain(&flow::PROBES);
    let life = life.chain(&credentials::PROBES).chain(&namespace::PROBES);
    life.chain(&kernel::PROBES).chain(&memory::PROBES).chain(&file::PROBES).chain(&socket::PROBES)
}

/// One thing to see, and the ways to see it.
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    /// What is not seen without it.
    pub(crate) purpose: &'static str,
    /// Whether the configuration asks for it.
    pub(crate) wanted: fn(&Options) -> bool,
    /// Kernel structs that are read for it alone: it is not attached where the kernel lacks a field of one.
    pub(crate) structs: &'static [&'static str],
    pub(crate) rungs: &'static [Rung],
}

/// One way: all its programs, or none.
pub(crate) struct Rung {
    /// How the way is called in what people read.
    pub(crate) hook: &'static str,
    pub(crate) programs: &'static [(&'static str, Hook)],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Hook {
    /// A tracepoint with typed arguments.
    TpBtf(&'static str),
    /// As [`Hook::TpBtf`], where the tracepoint has at least so many arguments.
    TpBtfArguments(&'static str, usize),
    /// As [`Hook::TpBtf`], in addition: the rung does without where the kernel has no such tracepoint.
    ExtraTpBtf(&'static str),
    /// A BPF LSM hook.
    Lsm(&'static str),
    /// A BPF LSM hook that only newer kernels have: the rung does without where it is not there.
    NewLsm(&'static str),
    /// The entry of a kernel function.
    FEntry(&'static str),
    /// A kernel function that only newer kernels have.
    NewFEntry(&'static str),
    /// The end of a kernel function.
    FExit(&'static str),
    /// The end of a system call, by its name.
    Syscall(&'static str),
    /// The end of a system call that not every kernel has: the rung does without where it is not there.
    NewSyscall(&'static str),
    /// The end of a system call of the 32-bit interface, where this kernel has that: `sys_NAME`, or `compat_sys_NAME` for
    /// those whose arguments differ.
    CompatSyscall(&'static str),
    /// The end of the system calls with these operations, by the program that gets every system call: last resort.
    SysExit(u16, &'static [Operation]),
    /// Visits to what the kernel has of something, when the agent asks for them: the iterator's name.
    Iterate(&'static str),
    /// The same, to what a map holds: the iterator's name, and the map.
    IterateMap(&'static str, &'static str),
    /// The root of the cgroup hierarchy.
    Cgroup,
    /// The same, packets that come to sockets.
    CgroupIngress,
    /// The same, packets that sockets send.
    CgroupEgress,
}

/// The outcome of all ladders.
pub(crate) struct Attached {
    pub(crate) probes: Vec<ProbeStatus>,
    /// Programs in use, with the probe that each is for.
    pub(crate) programs: Vec<(&'static str, &'static str)>,
    /// What holds them at their hooks; those that other programs call have none.
    pub(crate) links: Vec<Link>,
    /// What the program on every system call is to hand over.
    pub(crate) handed_over: Vec<(u16, &'static [Operation])>,
}

/// Where programs come from.
pub(crate) trait Programs {
    /// Loads a program and puts it at its hook; none for a program that others call.
    fn attach(&mut self, name: &'static str, hook: Hook, site: &Site<'_>) -> Result<Option<FdLink>, String>;

    /// Undoes a part of a rung.
    fn undo(&mut self, name: &'static str);
}

impl Programs for Ebpf {
    fn attach(&mut self, name: &'static str, hook: Hook, site: &Site<'_>) -> Result<Option<FdLink>, String> {
        let program = self.program_mut(name).ok_or_else(|| format!("the object has no program {name}"))?;
        let link = attach_program(program, hook, site)?;
        match hook {
            Hook::Iterate(_) => try_iterator(self.program(name), None)?,
            Hook::IterateMap(_, map) => {
                let map = self.map(map).ok_or_else(|| format!("the object has no map {map}"))?;
                try_iterator(self.program(name), Some(map))?;
            }
            _ => {}
        }
        Ok(link)
    }

    fn undo(&mut self, name: &'static str) {
        self.program_mut(name).map(unload);
    }
}

/// Climbs down the ladder of every probe that is wanted. The last rungs share one program on the end of every system
/// call: that one is attached by the caller, when its table is filled.
pub(crate) fn attach_all(from: &mut impl Programs, site: &Site<'_>, options: &Options) -> Attached {
    climb(from, site, probes().filter(|probe| (probe.wanted)(options)))
}

/// The same for the probes of these names, all others being attached. Those that wait for a cgroup share no program with others.
pub(crate) fn attach_waiting(
    from: &mut impl Programs,
    site: &Site<'_>,
    options: &Options,
    names: &[&str],
) -> Attached {
    climb(from, site, probes().filter(|probe| (probe.wanted)(options) && names.contains(&probe.name)))
}

/// Whether a probe is not attached, and would be if there were a root of cgroup v2.
pub(crate) fn waits_for_cgroup(status: &ProbeStatus) -> bool {
    let needs = |hook: &Hook| matches!(hook, Hook::Cgroup | Hook::CgroupIngress | Hook::CgroupEgress);
    let rungs = probes().filter(|probe| probe.name == status.probe).flat_map(|probe| probe.rungs);
    let mut programs = rungs.flat_map(|rung| rung.programs);
    status.hook.is_none() && programs.any(|(_, hook)| needs(hook))
}

fn climb<'a>(from: &mut impl Programs, site: &Site<'_>, probes: impl Iterator<Item = &'a Probe>) -> Attached {
    let mut attached =
        Attached { probes: Vec::new(), programs: Vec::new(), links: Vec::new(), handed_over: Vec::new() };
    for probe in probes {
        let mut status = ProbeStatus {
            probe: probe.name,
            hook: None,
            rung: 0,
            purpose: probe.purpose,
            refused: Vec::new(),
        };
        for (index, rung) in probe.rungs.iter().enumerate() {
            match attach_rung(from, site, probe, rung, &mut attached) {
                Ok(()) => {
                    status.hook = Some(rung.hook);
                    status.rung = index as u8 + 1;
                    status.refused.extend(absent(rung, site));
                    break;
                }
                Err(why) => status.refused.push(RefusedRung { hook: rung.hook, why }),
            }
        }
        attached.probes.push(status);
    }
    attached
}

/// What a rung does without on this kernel, where that leaves something unseen.
fn absent(rung: &Rung, site: &Site<'_>) -> impl Iterator<Item = RefusedRung> {
    rung.programs.iter().filter_map(|(_, hook)| match *hook {
        Hook::ExtraTpBtf(name) if !site.offers(*hook) => Some(RefusedRung {
            hook: name,
            why: "this kernel has no such tracepoint: what is asked for through io_uring is not seen"
                .to_owned(),
        }),
        _ => None,
    })
}

fn attach_rung(
    from: &mut impl Programs,
    site: &Site<'_>,
    probe: &Probe,
    rung: &Rung,
    attached: &mut Attached,
) -> Result<(), String> {
    let mut done: Vec<&'static str> = Vec::new();
    let mut handed_over = Vec::new();
    let mut links = Vec::new();
    for (name, hook) in rung.programs {
        // sock_ops alone does without the fields of task structs.
        if *name != "tcp_events" {
            site.has_types(probe.structs)?;
        }
        if let Hook::SysExit(handler, operations) = hook {
            handed_over.push((*handler, *operations));
        }
        // Probes may share a program; and what only newer kernels have is no loss on the others.
        if attached.programs.iter().any(|(known, _)| known == name) || !site.offers(*hook) {
            continue;
        }
        done.push(name);
        match from.attach(name, *hook, site) {
            Ok(link) => links.extend(link.map(|link| Link { program: name, probe: probe.name, link })),
            Err(why) => {
                drop(links);
                done.iter().for_each(|name| from.undo(name));
                return Err(format!("{why} ({name})"));
            }
        }
    }
    attached.links.extend(links);
    attached.programs.extend(done.into_iter().map(|name| (name, probe.name)));
    attached.handed_over.extend(handed_over);
    Ok(())
}

/// Attaches the program on the end of every system call.
pub(crate) fn attach_sys_exit(ebpf: &mut Ebpf, site: &Site<'_>) -> Result<FdLink, String> {
    let program = ebpf.program_mut(SYS_EXIT).ok_or("the object has no program for system calls")?;
    attach_program(program, Hook::TpBtf("sys_exit"), site)?.ok_or_else(|| NO_LINK.to_owned())
}
