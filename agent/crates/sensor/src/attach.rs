//! The attach ladder: each probe names its hooks in order of preference and takes the first that loads.

mod credentials;
mod file;
mod kernel;
mod memory;
mod namespace;
mod process;
mod socket;

use std::fs::{self, File};
use std::path::PathBuf;

use agent_common::{
    HANDLER_CREDENTIALS, HANDLER_FILE, HANDLER_FILE_TEXT, HANDLER_KERNEL, HANDLER_MEMORY, HANDLER_NAMESPACE,
    HANDLER_SOCKET, HANDLER_STDIO, KernelField, Operation,
};
use aya::programs::links::{CgroupAttachMode, FdLink};
use aya::programs::{
    BtfTracePoint, CgroupSock, CgroupSockAddr, FEntry, FExit, Lsm, Program, ProgramError, SockOps,
};
use aya::{Btf, Ebpf};

use crate::btf;
use crate::host::NoCgroupRoot;
use crate::links::Link;
use crate::options::Options;
pub(crate) use crate::status::SYS_EXIT_HOOK;
use crate::status::{ProbeStatus, RefusedRung};
use crate::syscalls;

pub(crate) use process::{PROCESS_EXEC, SOCKET_OWNER};

/// Where the kernel lists its active security modules, in order.
pub(crate) const ACTIVE_LSMS: &str = "/sys/kernel/security/lsm";

/// Where the kernel lists its functions.
const SYMBOLS: &str = "/proc/kallsyms";

/// The program on the end of every system call.
pub(crate) const SYS_EXIT: &str = "syscall_exit";

/// Before 5.7 programs were attached without one.
const NO_LINK: &str = "this kernel makes no link for it";

/// Structs that only some probes read; a kernel without them loses those probes alone.
const OWN_STRUCTS: &[&str] = &[
    "ovl_inode",
    "io_kiocb",
    "io_open",
    "io_unlink",
    "io_rename",
    "io_link",
    "io_mkdir",
    "io_xattr",
    "io_ftrunc",
    "io_socket",
    "io_bind",
    "io_listen",
    "io_connect",
    "io_async_msghdr",
    "filename",
    "sock",
    "socket",
    "proc_inode",
    "vm_area_struct",
    "kernel_siginfo",
];

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
    let life = process::PROBES.iter().chain(&credentials::PROBES).chain(&namespace::PROBES);
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
    /// The root of the cgroup hierarchy.
    Cgroup,
}

/// What attaching needs from the host.
pub(crate) struct Site<'a> {
    /// The kernel's types; none where it has no BTF.
    pub(crate) btf: Option<&'a Btf>,
    /// The same, as this crate reads them.
    pub(crate) types: Option<&'a btf::Btf>,
    /// Root of the cgroup v2 hierarchy, or why it is out of reach.
    pub(crate) cgroup: Result<File, String>,
    /// What [`ACTIVE_LSMS`] says; none where it cannot be read.
    pub(crate) lsms: Option<String>,
    /// Kernel fields that this kernel lacks.
    pub(crate) missing_fields: Vec<KernelField>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        btf: Option<&'a Btf>,
        types: Option<&'a btf::Btf>,
        cgroup_root: &Result<PathBuf, NoCgroupRoot>,
        missing_fields: Vec<KernelField>,
    ) -> Self {
        let open = |path: &PathBuf| File::open(path).map_err(|error| format!("{}: {error}", path.display()));
        let cgroup = cgroup_root.as_ref().map_err(ToString::to_string).and_then(open);
        Self { btf, types, cgroup, lsms: fs::read_to_string(ACTIVE_LSMS).ok(), missing_fields }
    }
}

impl Site<'_> {
    /// Whether what a program reads is there: what every program reads, and what its probe reads besides.
    fn has_types(&self, own: &[&str]) -> Result<&Btf, String> {
        let btf = self.btf.ok_or_else(|| "this kernel has no BTF".to_owned())?;
        let lacking: Vec<String> = (self.missing_fields.iter())
            .filter(|field| own.contains(&field.of) || !OWN_STRUCTS.contains(&field.of))
            .map(|field| format!("{}.{}", field.of, field.path))
            .collect();
        if lacking.is_empty() {
            Ok(btf)
        } else {
            Err(format!("this kernel's BTF lacks {}", lacking.join(", ")))
        }
    }

    fn has_function(&self, name: &str) -> bool {
        self.types.is_some_and(|types| types.has_function(name))
    }

    /// Whether a program on a BPF LSM hook would ever be called: the kernel takes it even where it would not.
    fn calls_lsm(&self) -> Result<(), String> {
        match &self.lsms {
            Some(lsms) if lsms.trim().split(',').any(|lsm| lsm == "bpf") => Ok(()),
            Some(lsms) => Err(format!("bpf is not among the active LSMs ({})", lsms.trim())),
            None => Err(format!("whether the bpf LSM is active is not known: cannot read {ACTIVE_LSMS}")),
        }
    }
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
        attach_program(program, hook, site)
    }

    fn undo(&mut self, name: &'static str) {
        self.program_mut(name).map(unload);
    }
}

/// Climbs down the ladder of every probe that is wanted. The last rungs share one program on the end of every system
/// call: that one is attached by the caller, when its table is filled.
pub(crate) fn attach_all(from: &mut impl Programs, site: &Site<'_>, options: &Options) -> Attached {
    let mut attached =
        Attached { probes: Vec::new(), programs: Vec::new(), links: Vec::new(), handed_over: Vec::new() };
    for probe in probes().filter(|probe| (probe.wanted)(options)) {
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
                    break;
                }
                Err(why) => status.refused.push(RefusedRung { hook: rung.hook, why }),
            }
        }
        attached.probes.push(status);
    }
    attached
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

impl Site<'_> {
    /// Whether this kernel has a hook that a rung can do without.
    fn offers(&self, hook: Hook) -> bool {
        match hook {
            Hook::ExtraTpBtf(name) => self.types.is_some_and(|types| types.has_tracepoint(name)),
            Hook::NewLsm(name) => self.has_function(&format!("bpf_lsm_{name}")),
            Hook::NewFEntry(name) => self.has_function(name),
            Hook::NewSyscall(name) => self.has_symbol(&syscalls::wrapper(name)),
            Hook::CompatSyscall(name) => self.has_symbol(&compat_wrapper(name)),
            _ => true,
        }
    }

    /// Whether the kernel has a function, though its BTF may not say so: then it cannot be attached to, and is not lost
    /// unsaid.
    fn has_symbol(&self, name: &str) -> bool {
        let is_it = |line: &str| line.split(' ').nth(2) == Some(name);
        self.has_function(name) || fs::read_to_string(SYMBOLS).is_ok_and(|symbols| symbols.lines().any(is_it))
    }
}

fn attach_program(program: &mut Program, hook: Hook, site: &Site<'_>) -> Result<Option<FdLink>, String> {
    let mode = CgroupAttachMode::Single; // links are always of the multi kind; the multi flag is refused
    let btf = || site.btf.ok_or_else(|| "this kernel has no BTF".to_owned());
    match (program, hook) {
        (Program::BtfTracePoint(program), Hook::TpBtf(name) | Hook::ExtraTpBtf(name)) => {
            let btf = btf()?;
            run(
                program,
                |p: &mut BtfTracePoint| p.load(name, btf),
                |p| p.attach().and_then(|id| p.take_link(id)),
            )
        }
        (Program::BtfTracePoint(program), Hook::SysExit(..)) => {
            // Called by another program, so loading is all.
            program.load("sys_exit", btf()?).map(|()| None).map_err(|error| explain(&error))
        }
        (Program::Lsm(program), Hook::Lsm(name) | Hook::NewLsm(name)) => {
            site.calls_lsm()?;
            let btf = btf()?;
            run(program, |p: &mut Lsm| p.load(name, btf), |p| p.attach().and_then(|id| p.take_link(id)))
        }
        (Program::FEntry(program), Hook::FEntry(name) | Hook::NewFEntry(name)) => {
            let btf = btf()?;
            run(program, |p: &mut FEntry| p.load(name, btf), |p| p.attach().and_then(|id| p.take_link(id)))
        }
        (Program::FExit(program), Hook::FExit(name)) => {
            let btf = btf()?;
            run(program, |p: &mut FExit| p.load(name, btf), |p| p.attach().and_then(|id| p.take_link(id)))
        }
        (Program::FExit(program), Hook::Syscall(name) | Hook::NewSyscall(name)) => {
            let (btf, name) = (btf()?, syscalls::wrapper(name));
            run(program, |p: &mut FExit| p.load(&name, btf), |p| p.attach().and_then(|id| p.take_link(id)))
        }
        (Program::FExit(program), Hook::CompatSyscall(name)) => {
            let btf = btf()?;
            let name = compat_wrapper(name);
            run(program, |p: &mut FExit| p.load(&name, btf), |p| p.attach().and_then(|id| p.take_link(id)))
        }
        (Program::CgroupSock(program), Hook::Cgroup) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            run(program, CgroupSock::load, |p| p.attach(root, mode).and_then(|id| p.take_link(id)))
        }
        (Program::CgroupSockAddr(program), Hook::Cgroup) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            run(program, CgroupSockAddr::load, |p| p.attach(root, mode).and_then(|id| p.take_link(id)))
        }
        (Program::SockOps(program), Hook::Cgroup) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            run(program, SockOps::load, |p| p.attach(root, mode).and_then(|id| p.take_link(id)))
        }
        _ => Err("the object's program has another type than the ladder says".to_owned()),
    }
}

/// The function that a system call of the 32-bit interface enters by. Only x86 has it apart from the native one.
fn compat_wrapper(name: &str) -> String {
    format!("__ia32_{name}")
}

/// Attaches the program on the end of every system call.
pub(crate) fn attach_sys_exit(ebpf: &mut Ebpf, site: &Site<'_>) -> Result<FdLink, String> {
    let program = ebpf.program_mut(SYS_EXIT).ok_or("the object has no program for system calls")?;
    attach_program(program, Hook::TpBtf("sys_exit"), site)?.ok_or_else(|| NO_LINK.to_owned())
}

/// Undoes a part of a rung. That a program was not loaded is no news.
fn unload(program: &mut Program) {
    let _ = match program {
        Program::BtfTracePoint(program) => program.unload(),
        Program::Lsm(program) => program.unload(),
        Program::FEntry(program) => program.unload(),
        Program::FExit(program) => program.unload(),
        Program::CgroupSock(program) => program.unload(),
        Program::CgroupSockAddr(program) => program.unload(),
        Program::SockOps(program) => program.unload(),
        _ => Ok(()),
    };
}

fn run<P, L: TryInto<FdLink>>(
    program: &mut P,
    load: impl FnOnce(&mut P) -> Result<(), ProgramError>,
    attach: impl FnOnce(&mut P) -> Result<L, ProgramError>,
) -> Result<Option<FdLink>, String> {
    load(program).map_err(|error| explain(&error))?;
    let link = attach(program).map_err(|error| explain(&error))?;
    link.try_into().map(Some).map_err(|_| NO_LINK.to_owned())
}

/// One line of an error whose full text may hold a verifier log of thousands.
fn explain(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            tracing::debug!("{verifier_log}");
            let log = verifier_log.to_string();
            let trailer = ["processed ", "stack depth ", "verification time "];
            let last = log
                .lines()
                .rfind(|line| !line.is_empty() && !trailer.iter().any(|start| line.starts_with(start)));
            format!(
                "the kernel refused the program: {io_error}{}",
                last.map(|line| format!(": {line}")).unwrap_or_default()
            )
        }
        ProgramError::SyscallError(error) => format!("{}: {}", error.call, error.io_error),
        other => other.to_string(),
    }
}
