//! The attach ladder: each probe names its hooks in order of preference and takes the first that loads.

use std::fs::{self, File};
use std::path::PathBuf;

use aya::programs::links::CgroupAttachMode;
use aya::programs::{
    BtfTracePoint, CgroupSock, CgroupSockAddr, FEntry, Lsm, Program, ProgramError, ProgramFd, SockOps,
};
use aya::{Btf, Ebpf};

use crate::host::NoCgroupRoot;
use crate::status::{ProbeStatus, RefusedRung};

/// Where the kernel lists its active security modules, in order.
pub(crate) const ACTIVE_LSMS: &str = "/sys/kernel/security/lsm";

/// One thing to see, and the ways to see it.
pub(crate) struct Probe {
    name: &'static str,
    purpose: &'static str,
    rungs: &'static [Rung],
}

/// One way: all its programs, or none.
struct Rung {
    hook: &'static str,
    programs: &'static [(&'static str, Hook)],
}

#[derive(Clone, Copy)]
enum Hook {
    TpBtf(&'static str),
    Lsm(&'static str),
    FEntry(&'static str),
    Cgroup,
}

/// The probe without which records say nothing of programs.
pub(crate) const PROCESS_EXEC: &str = "process-exec";
/// The probe without which connections have no process.
pub(crate) const SOCKET_OWNER: &str = "socket-owner";

/// Every probe, in the order of attachment: owners are written to sockets before connections are reported.
pub(crate) const PROBES: [Probe; 7] = [
    Probe {
        name: "process-fork",
        purpose: "new processes",
        rungs: &[Rung {
            hook: "tp_btf/sched_process_fork",
            programs: &[("process_fork", Hook::TpBtf("sched_process_fork"))],
        }],
    },
    Probe {
        name: PROCESS_EXEC,
        purpose: "program execution",
        rungs: &[Rung {
            hook: "tp_btf/sched_process_exec",
            programs: &[("process_exec", Hook::TpBtf("sched_process_exec"))],
        }],
    },
    Probe {
        name: "process-exit",
        purpose: "the end of processes",
        rungs: &[Rung {
            hook: "tp_btf/sched_process_exit",
            programs: &[("process_exit", Hook::TpBtf("sched_process_exit"))],
        }],
    },
    Probe {
        name: "cgroup",
        purpose: "new cgroups at once (they are looked up when first met)",
        rungs: &[Rung {
            hook: "tp_btf/cgroup_{mkdir,rmdir}",
            programs: &[
                ("cgroup_made", Hook::TpBtf("cgroup_mkdir")),
                ("cgroup_removed", Hook::TpBtf("cgroup_rmdir")),
            ],
        }],
    },
    Probe {
        name: SOCKET_OWNER,
        purpose: "the process that opens a connection",
        rungs: &[Rung {
            hook: "cgroup/sock_create + cgroup/connect{4,6}",
            programs: &[
                ("socket_create", Hook::Cgroup),
                ("socket_connect4", Hook::Cgroup),
                ("socket_connect6", Hook::Cgroup),
            ],
        }],
    },
    Probe {
        name: "listen-owner",
        purpose: "the process that listens, where another one made the socket",
        rungs: &[
            Rung { hook: "lsm/socket_listen", programs: &[("listen_lsm", Hook::Lsm("socket_listen"))] },
            Rung {
                hook: "fentry/security_socket_listen",
                programs: &[("listen_fentry", Hook::FEntry("security_socket_listen"))],
            },
            Rung {
                hook: "cgroup/post_bind{4,6}",
                programs: &[("listen_bind4", Hook::Cgroup), ("listen_bind6", Hook::Cgroup)],
            },
        ],
    },
    Probe {
        name: "tcp",
        purpose: "TCP connections",
        rungs: &[Rung { hook: "sock_ops", programs: &[("tcp_events", Hook::Cgroup)] }],
    },
];

/// What attaching needs from the host.
pub(crate) struct Site<'a> {
    /// The kernel's types; none where it has no BTF.
    pub(crate) btf: Option<&'a Btf>,
    /// Root of the cgroup v2 hierarchy, or why it is out of reach.
    pub(crate) cgroup: Result<File, String>,
    /// What [`ACTIVE_LSMS`] says; none where it cannot be read.
    pub(crate) lsms: Option<String>,
    /// Kernel fields that this kernel lacks, which programs that read task structs need.
    pub(crate) missing_fields: Vec<String>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        btf: Option<&'a Btf>,
        cgroup_root: &Result<PathBuf, NoCgroupRoot>,
        missing_fields: Vec<String>,
    ) -> Self {
        let open = |path: &PathBuf| File::open(path).map_err(|error| format!("{}: {error}", path.display()));
        let cgroup = cgroup_root.as_ref().map_err(ToString::to_string).and_then(open);
        Self { btf, cgroup, lsms: fs::read_to_string(ACTIVE_LSMS).ok(), missing_fields }
    }
}

impl Site<'_> {
    /// Whether task structs can be read.
    fn has_types(&self) -> Result<&Btf, String> {
        let btf = self.btf.ok_or_else(|| "this kernel has no BTF".to_owned())?;
        if self.missing_fields.is_empty() {
            Ok(btf)
        } else {
            Err(format!("this kernel's BTF lacks {}", self.missing_fields.join(", ")))
        }
    }
}

/// Climbs down every probe's ladder.
pub(crate) fn attach_all(ebpf: &mut Ebpf, site: &Site<'_>) -> Vec<ProbeStatus> {
    PROBES.iter().map(|probe| attach(ebpf, site, probe)).collect()
}

fn attach(ebpf: &mut Ebpf, site: &Site<'_>, probe: &Probe) -> ProbeStatus {
    let mut status =
        ProbeStatus { probe: probe.name, hook: None, rung: 0, purpose: probe.purpose, refused: Vec::new() };
    for (index, rung) in probe.rungs.iter().enumerate() {
        match attach_rung(ebpf, site, rung) {
            Ok(()) => {
                status.hook = Some(rung.hook);
                status.rung = index as u8 + 1;
                break;
            }
            Err(why) => status.refused.push(RefusedRung { hook: rung.hook, why }),
        }
    }
    status
}

fn attach_rung(ebpf: &mut Ebpf, site: &Site<'_>, rung: &Rung) -> Result<(), String> {
    for (name, hook) in rung.programs {
        // sock_ops alone does without the fields of task structs.
        if *name != "tcp_events" {
            site.has_types()?;
        }
        let program = ebpf.program_mut(name).ok_or_else(|| format!("the object has no program {name}"))?;
        if let Err(why) = attach_program(program, *hook, site) {
            for (name, _) in rung.programs {
                ebpf.program_mut(name).map(unload);
            }
            return Err(why);
        }
    }
    Ok(())
}

fn attach_program(program: &mut Program, hook: Hook, site: &Site<'_>) -> Result<(), String> {
    let mode = CgroupAttachMode::Single; // links are always of the multi kind; the multi flag is refused
    match (program, hook) {
        (Program::BtfTracePoint(program), Hook::TpBtf(name)) => {
            let btf = site.has_types()?;
            run(program, |p: &mut BtfTracePoint| p.load(name, btf), |p| p.attach().map(drop))
        }
        (Program::Lsm(program), Hook::Lsm(name)) => {
            // The kernel takes the program all the same, and then never calls it.
            match &site.lsms {
                Some(lsms) if lsms.trim().split(',').any(|lsm| lsm == "bpf") => {}
                Some(lsms) => return Err(format!("bpf is not among the active LSMs ({})", lsms.trim())),
                None => {
                    return Err(format!(
                        "whether the bpf LSM is active is not known: cannot read {ACTIVE_LSMS}"
                    ));
                }
            }
            let btf = site.has_types()?;
            run(program, |p: &mut Lsm| p.load(name, btf), |p| p.attach().map(drop))
        }
        (Program::FEntry(program), Hook::FEntry(name)) => {
            let btf = site.has_types()?;
            run(program, |p: &mut FEntry| p.load(name, btf), |p| p.attach().map(drop))
        }
        (Program::CgroupSock(program), Hook::Cgroup) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            run(program, CgroupSock::load, |p| p.attach(root, mode).map(drop))
        }
        (Program::CgroupSockAddr(program), Hook::Cgroup) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            run(program, CgroupSockAddr::load, |p| p.attach(root, mode).map(drop))
        }
        (Program::SockOps(program), Hook::Cgroup) => {
            let root = site.cgroup.as_ref().map_err(String::clone)?;
            run(program, SockOps::load, |p| p.attach(root, mode).map(drop))
        }
        _ => Err("the object's program has another type than the ladder says".to_owned()),
    }
}

/// Undoes a part of a rung. That a program was not loaded is no news.
fn unload(program: &mut Program) {
    let _ = match program {
        Program::BtfTracePoint(program) => program.unload(),
        Program::Lsm(program) => program.unload(),
        Program::FEntry(program) => program.unload(),
        Program::CgroupSock(program) => program.unload(),
        Program::CgroupSockAddr(program) => program.unload(),
        Program::SockOps(program) => program.unload(),
        _ => Ok(()),
    };
}

fn run<P>(
    program: &mut P,
    load: impl FnOnce(&mut P) -> Result<(), ProgramError>,
    attach: impl FnOnce(&mut P) -> Result<(), ProgramError>,
) -> Result<(), String> {
    load(program).map_err(|error| explain(&error))?;
    attach(program).map_err(|error| explain(&error))
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

/// File descriptors of the loaded programs, for their statistics.
pub(crate) fn loaded(ebpf: &Ebpf) -> Vec<(String, ProgramFd)> {
    let fd = |program: &Program| program.fd().ok().and_then(|fd| fd.try_clone().ok());
    ebpf.programs().filter_map(|(name, program)| Some((name.to_owned(), fd(program)?))).collect()
}
