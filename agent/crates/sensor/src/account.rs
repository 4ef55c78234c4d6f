//! The loss account: what the kernel side counted, what was received, what it missed.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicU64, Ordering};

use agent_common::{KIND_COUNT, KindCount};
use aya::maps::{MapData, PerCpuArray};
use aya::programs::ProgramFd;
use watchfire_model::{KindCounters, RecordKind};

const _: () = assert!(RecordKind::ALL.len() == KIND_COUNT);

/// The value of the kernel side's count map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Counts([KindCount; KIND_COUNT]);

// SAFETY: integers only, without padding.
unsafe impl aya::Pod for Counts {}

/// Both halves of the account.
pub(crate) struct Account {
    kernel: PerCpuArray<MapData, Counts>,
    received: [AtomicU64; KIND_COUNT],
    malformed: AtomicU64,
    programs: Vec<(String, ProgramFd)>,
}

impl Account {
    pub(crate) fn new(
        map: aya::maps::Map,
        programs: Vec<(String, ProgramFd)>,
    ) -> Result<Self, aya::maps::MapError> {
        Ok(Self {
            kernel: PerCpuArray::try_from(map)?,
            received: Default::default(),
            malformed: AtomicU64::new(0),
            programs,
        })
    }

    pub(crate) fn count_received(&self, kind: RecordKind) {
        self.received[kind as usize].fetch_add(1, Ordering::Relaxed);
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
        for ((_, total), received) in totals.iter_mut().zip(received) {
            total.received = received;
        }
        totals
    }

    /// Runs that the kernel skipped because the program was already running on that CPU. They are in no other count.
    pub(crate) fn missed_runs(&self) -> u64 {
        let missed = |fd: &ProgramFd| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).ok()?;
            let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
            line.trim().parse::<u64>().ok()
        };
        self.programs.iter().filter_map(|(_, fd)| missed(fd)).sum()
    }
}
