//! What this host has, what it lacks, and what still works.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::attach::ACTIVE_LSMS;
use crate::btf::VMLINUX;
use crate::host::Host;
use crate::kernel::{Kernel, with_source};
use crate::options::{Options, RING_BYTES_RANGE};
use crate::pin;
use crate::plan::Plan;
use crate::status::{ProbeStatus, slowing_probes};

/// Capabilities that the agent uses, by bit number (include/uapi/linux/capability.h), with what for.
const CAPABILITIES: [(u32, &str, &str); 5] = [
    (38, "CAP_PERFMON", "tracing programs"),
    (39, "CAP_BPF", "programs and maps"),
    (12, "CAP_NET_ADMIN", "socket programs"),
    (19, "CAP_SYS_PTRACE", "processes and sockets older than the agent"),
    (2, "CAP_DAC_READ_SEARCH", "other users' entries in /proc"),
];
/// Stood for CAP_BPF and CAP_PERFMON before 5.8, and still includes them.
const CAP_SYS_ADMIN: u32 = 21;

/// How a fact stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// As it should be.
    Good,
    /// Something is not seen, the rest works.
    Reduced,
    /// Nothing works.
    Bad,
}

/// One fact about the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// What it is about.
    pub name: &'static str,
    /// How it stands.
    pub health: Health,
    /// The finding.
    pub finding: String,
}

/// Everything that `watchfire doctor` prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// Facts about the host.
    pub facts: Vec<Fact>,
    /// Which hook each probe got; empty where nothing could be loaded.
    pub probes: Vec<ProbeStatus>,
}

impl Diagnosis {
    /// 0: everything works; 1: something is not seen; 2: nothing works.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let attached = self.probes.iter().filter(|probe| probe.hook.is_some()).count();
        let bad = self.facts.iter().any(|fact| fact.health == Health::Bad);
        let reduced = self.facts.iter().any(|fact| fact.health == Health::Reduced);
        match attached {
            0 => 2,
            _ if bad || reduced || attached < self.probes.len() => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fact in &self.facts {
            let mark = match fact.health {
                Health::Good => "ok     ",
                Health::Reduced => "reduced",
                Health::Bad => "missing",
            };
            writeln!(f, "{mark}  {:<13} {}", fact.name, fact.finding)?;
        }
        for probe in &self.probes {
            let mark = if probe.hook.is_some() { "ok     " } else { "reduced" };
            writeln!(f, "{mark}  {}", probe.to_string().replace('\n', "\n         "))?;
        }
        f.write_str(match self.exit_code() {
            0 => "everything works",
            1 => "works, with what is marked above missing",
            _ => "nothing can be observed on this host",
        })
    }
}

/// Examines this host for an agent with these settings. The probes are really loaded and attached for a moment.
#[must_use]
pub fn diagnose(options: &Options) -> Diagnosis {
    let mut facts = vec![
        fact(
            "kernel",
            Health::Good,
            fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        ),
        btf(),
        lsms(),
        lockdown(),
        capabilities(),
    ];
    let mut probes = Vec::new();
    match Host::read() {
        Err(error) => facts.push(fact("host", Health::Bad, &with_source(&error))),
        Ok(host) => {
            facts.push(match &host.cgroup_root {
                Ok(root) if root.is_private() => {
                    fact("cgroup v2", Health::Good, "mounted nowhere; the agent uses a mount of its own")
                }
                Ok(root) => fact("cgroup v2", Health::Good, &root.path().display().to_string()),
                Err(error) => {
                    fact("cgroup v2", Health::Bad, &format!("{error}; no connection is seen until one is"))
                }
            });
            facts.extend(options.pin.as_deref().map(pinned));
            let smallest = RING_BYTES_RANGE.0;
            let options = Options { ring_bytes: smallest, priority_ring_bytes: smallest, ..options.clone() };
            let plan = Plan::new(&options);
            if let Some(problem) = &plan.btf_problem {
                tracing::debug!("{problem}");
            }
            match Kernel::load(&plan, &options, &host) {
                Ok(kernel) => {
                    probes = kernel.probes;
                    if let Some(names) = slowing_probes(&probes) {
                        let text = format!("each is made slower, since {names} have no better hook here");
                        facts.push(fact("system calls", Health::Good, &text));
                    }
                }
                Err(error) => facts.push(fact("programs", Health::Bad, &with_source(&error))),
            }
        }
    }
    Diagnosis { facts, probes }
}

fn fact(name: &'static str, health: Health, finding: &str) -> Fact {
    Fact { name, health, finding: finding.to_owned() }
}

/// Whether programs can outlive the agent.
fn pinned(path: &Path) -> Fact {
    match pin::examine(path) {
        Ok(finding) => fact("pinned", Health::Good, &finding),
        Err(why) => fact("pinned", Health::Reduced, &format!("{why}; programs end with the agent")),
    }
}

fn btf() -> Fact {
    match fs::metadata(VMLINUX) {
        Ok(file) => fact("BTF", Health::Good, &format!("{VMLINUX}, {} KiB", file.len() / 1024)),
        Err(error) => {
            fact("BTF", Health::Bad, &format!("{VMLINUX}: {error}; processes and socket owners are not seen"))
        }
    }
}

fn lsms() -> Fact {
    match fs::read_to_string(ACTIVE_LSMS) {
        Ok(list) => fact("LSMs", Health::Good, list.trim()),
        Err(error) => {
            fact("LSMs", Health::Good, &format!("not known ({ACTIVE_LSMS}: {error}); no LSM hook is used"))
        }
    }
}

fn lockdown() -> Fact {
    let path = "/sys/kernel/security/lockdown";
    match fs::read_to_string(path) {
        Ok(modes) => fact("lockdown", Health::Good, modes.trim()),
        Err(error) => fact("lockdown", Health::Good, &format!("not known ({path}: {error})")),
    }
}

fn capabilities() -> Fact {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let has = |bit: u32| effective & (1 << bit) != 0;
    let lacking: Vec<String> = (CAPABILITIES.iter())
        .filter(|(bit, ..)| !(has(*bit) || matches!(bit, 38 | 39) && has(CAP_SYS_ADMIN)))
        .map(|(_, name, purpose)| format!("{name} ({purpose})"))
        .collect();
    if lacking.is_empty() {
        fact("capabilities", Health::Good, "all that are used")
    } else {
        fact("capabilities", Health::Bad, &format!("without {}", lacking.join(", ")))
    }
}
