//! Which hook each probe got.

use std::fmt;

/// A rung of an attach ladder that this kernel refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedRung {
    /// The hook, e.g. `lsm/socket_listen`.
    pub hook: &'static str,
    /// Why, in the kernel's or loader's words.
    pub why: String,
}

/// The outcome of climbing one probe's ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeStatus {
    /// Probe name, e.g. `process-exec`.
    pub probe: &'static str,
    /// The hook it is attached to; none where every rung was refused.
    pub hook: Option<&'static str>,
    /// Position of that hook in the ladder, 1 is best; 0 where none.
    pub rung: u8,
    /// What is not seen without the probe.
    pub purpose: &'static str,
    /// The better rungs, and why they were refused.
    pub refused: Vec<RefusedRung>,
}

/// How the last rungs are called.
pub(crate) const SYS_EXIT_HOOK: &str = "tp_btf/sys_exit";

impl ProbeStatus {
    /// Whether its hook makes every system call of the node slower: true of the last rungs, which share one program at
    /// the end of all of them.
    #[must_use]
    pub fn slows_system_calls(&self) -> bool {
        self.hook == Some(SYS_EXIT_HOOK)
    }
}

/// The probes that make every system call of the node slower, joined by commas; none where there is no such probe.
#[must_use]
pub fn slowing_probes(probes: &[ProbeStatus]) -> Option<String> {
    let names: Vec<&str> =
        probes.iter().filter(|probe| probe.slows_system_calls()).map(|probe| probe.probe).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

impl fmt::Display for ProbeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hook {
            Some(hook) => write!(f, "{:<17} rung {} {hook}", self.probe, self.rung)?,
            None => write!(f, "{:<17} not attached; not seen: {}", self.probe, self.purpose)?,
        }
        for refused in &self.refused {
            write!(f, "\n{:<17}   refused {}: {}", "", refused.hook, refused.why)?;
        }
        Ok(())
    }
}

/// What the kernel tells of one program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramStatistics {
    /// The probe that it is for; `syscalls` for the program that several share.
    pub probe: &'static str,
    /// Its name.
    pub program: String,
    /// How often it ran; 0 unless the kernel counts runs.
    pub runs: u64,
    /// For how long in all, nanoseconds; 0 unless the kernel counts runs.
    pub run_ns: u64,
    /// Runs that were skipped, because it ran on that CPU already.
    pub missed: u64,
}
