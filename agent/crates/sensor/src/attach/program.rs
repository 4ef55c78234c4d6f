//! Loading and attaching one program.

use std::os::fd::AsFd as _;

use aya::Btf;
use aya::maps::Map;
use aya::programs::links::{CgroupAttachMode, FdLink};
use aya::programs::{
    BtfTracePoint, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, FEntry, FExit, Lsm, Program,
    ProgramError, SockOps,
};

use super::{Hook, Site};
use crate::sweep::link;
use crate::syscalls;

/// Before 5.7 programs were attached without one.
pub(super) const NO_LINK: &str = "this kernel makes no link for it";

pub(super) fn attach_program(
    program: &mut Program,
    hook: Hook,
    site: &Site<'_>,
) -> Result<Option<FdLink>, String> {
    let mode = CgroupAttachMode::Single; // links are always of the multi kind; the multi flag is refused
    let btf = || site.btf.ok_or_else(|| "this kernel has no BTF".to_owned());
    match (program, hook) {
        (Program::BtfTracePoint(program), Hook::TpBtf(name) | Hook::ExtraTpBtf(name)) => {
            attach_tracepoint(program, name, btf()?)
        }
        (Program::BtfTracePoint(program), Hook::TpBtfArguments(name, arguments)) => {
            let has = site.types.and_then(|types| types.tracepoint_args(name)).unwrap_or(0);
            if has < arguments {
                return Err(format!("this kernel's tracepoint has {has} arguments, expected {arguments}"));
            }
            attach_tracepoint(program, name, btf()?)
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
        (Program::Iter(program), Hook::Iterate(name) | Hook::IterateMap(name, _)) => {
            site.iterates_safely(name)?;
            // Made when it is read.
            program.load(name, btf()?).map(|()| None).map_err(|error| explain(&error))
        }
        (Program::CgroupSock(program), Hook::Cgroup) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            run(program, CgroupSock::load, |p| p.attach(root, mode).and_then(|id| p.take_link(id)))
        }
        (Program::CgroupSkb(program), Hook::CgroupIngress | Hook::CgroupEgress) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            let way = match hook {
                Hook::CgroupIngress => CgroupSkbAttachType::Ingress,
                _ => CgroupSkbAttachType::Egress,
            };
            run(program, CgroupSkb::load, |p| p.attach(root, way, mode).and_then(|id| p.take_link(id)))
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

fn attach_tracepoint(program: &mut BtfTracePoint, name: &str, btf: &Btf) -> Result<Option<FdLink>, String> {
    run(program, |p| p.load(name, btf), |p| p.attach().and_then(|id| p.take_link(id)))
}

/// The function that a system call of the 32-bit interface enters by. Only x86 has it apart from the native one.
pub(super) fn compat_wrapper(name: &str) -> String {
    format!("__ia32_{name}")
}

/// Undoes a part of a rung. That a program was not loaded is no news.
pub(super) fn unload(program: &mut Program) {
    let _ = match program {
        Program::BtfTracePoint(program) => program.unload(),
        Program::Lsm(program) => program.unload(),
        Program::FEntry(program) => program.unload(),
        Program::FExit(program) => program.unload(),
        Program::CgroupSkb(program) => program.unload(),
        Program::CgroupSock(program) => program.unload(),
        Program::CgroupSockAddr(program) => program.unload(),
        Program::SockOps(program) => program.unload(),
        Program::Iter(program) => program.unload(),
        _ => Ok(()),
    };
}

/// Whether the kernel makes an iterator of a loaded program, over a map where there is one.
pub(super) fn try_iterator(program: Option<&Program>, map: Option<&Map>) -> Result<(), String> {
    let fd = program.and_then(|program| program.fd().ok()).ok_or("the program is not loaded")?;
    let map = match map {
        None => None,
        Some(Map::SkStorage(map)) => Some(map.fd().as_fd()),
        Some(_) => return Err("the map is none of sockets".to_owned()),
    };
    let link = link(fd.as_fd(), map);
    link.map(drop).map_err(|error| format!("the kernel makes no iterator: {error}"))
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
pub(super) fn explain(error: &ProgramError) -> String {
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
