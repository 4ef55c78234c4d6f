//! The loss account: what the kernel side counted, what was received, what it missed.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use agent_common::KIND_COUNT;
use aya::maps::{MapData, PerCpuArray};
use watchfire_model::{KindCounters, RecordKind};

use crate::late::lock;
use crate::links::field;
use crate::pin::Ledger;
use crate::status::ProgramStatistics;
use crate::wire_maps::Counts;

const _: () = assert!(RecordKind::ALL.len() == KIND_COUNT);

/// Both halves of the account.
pub(crate) struct Account {
    kernel: PerCpuArray<MapData, Counts>,
    received: [AtomicU64; KIND_COUNT],
    lost_at_restart: [AtomicU64; KIND_COUNT],
    malformed: AtomicU64,
    programs: Mutex<Vec<Program>>,
}

impl Account {
    /// Goes on from what the ledger says.
    pub(crate) fn new(kernel: PerCpuArray<MapData, Counts>, programs: Vec<Program>, ledger: &Ledger) -> Self {
        let entries = ledger.kinds();
        Self {
            kernel,
            received: std::array::from_fn(|kind| AtomicU64::new(entries[kind].received)),
            lost_at_restart: std::array::from_fn(|kind| AtomicU64::new(entries[kind].lost_at_restart)),
            malformed: AtomicU64::new(0),
            programs: Mutex::new(programs),
        }
    }

    pub(crate) fn count_received(&self, kind: RecordKind) {
        self.received[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What an agent that was killed had taken out of the rings.
    pub(crate) fn count_lost_at_restart(&self, kind: RecordKind, records: u64) {
        self.lost_at_restart[kind as usize].fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that could not be decoded: always 0 unless the object and the agent are of different builds.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// Totals by kind, summed over the CPUs. What is received is read first, so that a record in flight shows as
    /// emitted and not yet received, never the other way round.
    pub(crate) fn totals(&self) -> Vec<(RecordKind, KindCounters)> {
        let received: Vec<u64> = self.received.iter().map(|count| count.load(Ordering::Acquire)).collect();
        let mut totals: Vec<_> =
            RecordKind::ALL.iter().map(|&kind| (kind, KindCounters::default())).collect();
        match self.kernel.get(&0, 0) {
            Ok(cpus) => {
                for cpu in cpus.iter() {
                    for ((_, total), count) in totals.iter_mut().zip(&cpu.0) {
                        total.seen += count.seen;
                        total.filtered += count.filtered;
                        total.suppressed += count.suppressed;
                        total.emitted += count.emitted;
                        total.dropped += count.dropped;
                    }
                }
            }
            Err(error) => tracing::error!("cannot read the kernel's record counts: {error}"),
        }
        for ((kind, total), received) in totals.iter_mut().zip(received) {
            total.received = received;
            total.lost_at_restart = self.lost_at_restart[*kind as usize].load(Ordering::Relaxed);
        }
        totals
    }

    /// Runs that the kernel skipped because the program was already running on that CPU. They are in no other count.
    pub(crate) fn missed_runs(&self) -> u64 {
        self.programs().iter().map(|program| program.missed).sum()
    }

    /// What the kernel tells of each program. Runs and their time are 0 unless the kernel counts them.
    pub(crate) fn programs(&self) -> Vec<ProgramStatistics> {
        lock(&self.programs).iter().map(Program::statistics).collect()
    }

    /// Takes programs that were loaded later.
    pub(crate) fn add_programs(&self, programs: Vec<Program>) {
        lock(&self.programs).extend(programs);
    }
}

/// A loaded program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) probe: &'static str,
    pub(crate) fd: OwnedFd,
}

impl Program {
    fn statistics(&self) -> ProgramStatistics {
        let path = format!("/proc/self/fdinfo/{}", self.fd.as_raw_fd());
        let info = fs::read_to_string(path).unwrap_or_default();
        let field = |name: &str| field(&info, name).unwrap_or(0);
        ProgramStatistics {
            probe: self.probe,
            program: self.name.to_owned(),
            runs: field("run_cnt"),
            run_ns: field("run_time_ns"),
            missed: field("recursion_misses"),
        }
    }
}
