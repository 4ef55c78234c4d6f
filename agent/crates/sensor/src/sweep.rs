//! How connections go that do not end: at an interval, what moved since it was told last.

mod borrowed;
mod iterator;

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent_common::TcpRecord;
use watchfire_model::Observation;

use crate::account::Program;
use crate::attach;
use crate::decode::{Context, update, updated};
use crate::sockets::Storage;
use borrowed::Round;

pub(crate) use iterator::link;

/// Most connections that one sweep tells of; the rest is told after [`PAUSE`].
const UPDATES_PER_SWEEP_MAX: usize = 16_384;
/// Pause after a sweep that reached its limit.
const PAUSE: Duration = Duration::from_secs(1);
/// Records that are read at once: as many as the kernel buffers (kernel/bpf/bpf_iter.c, eight pages), so that none is left
/// there which counts as told.
const READ_BYTES: usize = 64 * 1024;

/// How long a connection is not told of after its beginning or its last update, nanoseconds: half an interval, so that short
/// ones have no update, and a sweep that comes a little early leaves none out.
pub(crate) fn age_ns(interval_seconds: u32) -> u64 {
    u64::from(interval_seconds) * 500_000_000
}

/// How the sweeps went.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SweepCounts {
    /// Updates told.
    pub updates: u64,
    /// Sweeps that reached their limit, so that the rest came later.
    pub cut: u64,
    /// Sweeps that failed.
    pub failed: u64,
}

/// The same, counted by the reader and read by others.
#[derive(Default, Debug)]
pub(crate) struct SweepTotals {
    updates: AtomicU64,
    cut: AtomicU64,
    failed: AtomicU64,
}

impl SweepTotals {
    pub(crate) fn counts(&self) -> SweepCounts {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        SweepCounts { updates: read(&self.updates), cut: read(&self.cut), failed: read(&self.failed) }
    }
}

/// The iterator whose program is among these; `map` is that of the sockets.
pub(crate) fn iterator(programs: &[Program], map: Option<&OwnedFd>) -> std::io::Result<Option<OwnedFd>> {
    let of = |name: &str| programs.iter().find(|program| program.name == name);
    if let Some((program, map)) = of(attach::TCP_SWEEP).zip(map) {
        return link(program.fd.as_fd(), Some(map.as_fd())).map(Some);
    }
    of(attach::TCP_SWEEP_FILES).map(|program| link(program.fd.as_fd(), None)).transpose()
}

/// The sweeps, one after the other.
pub(crate) struct Sweep {
    way: Way,
    interval_seconds: u32,
    begins: Instant,
    /// Updates of the sweep that is going on.
    told: usize,
}

/// By the kernel's iterator, or without it; with the sweep that is going on.
enum Way {
    Iterator { link: OwnedFd, round: Option<File>, buffer: Vec<u8> },
    Borrowed { storage: Storage, round: Option<Round> },
}

impl Sweep {
    /// The first one begins at once, by the iterator where there is one.
    pub(crate) fn new(iterator: Option<OwnedFd>, storage: Storage, interval_seconds: u32) -> Self {
        let way = match iterator {
            Some(link) => Way::Iterator { link, round: None, buffer: vec![0; READ_BYTES] },
            None => Way::Borrowed { storage, round: None },
        };
        Self { way, interval_seconds, begins: Instant::now(), told: 0 }
    }

    /// Looks at some more connections, where a sweep is due or going on.
    pub(crate) fn go_on(&mut self, context: Context, totals: &SweepTotals) -> Vec<Observation> {
        let now = Instant::now();
        let is_going_on = match &self.way {
            Way::Iterator { round, .. } => round.is_some(),
            Way::Borrowed { round, .. } => round.is_some(),
        };
        if !is_going_on {
            if now < self.begins {
                return Vec::new();
            }
            self.told = 0;
            self.begins = now + Duration::from_secs(self.interval_seconds.into());
        }
        match self.look(context) {
            Ok(updates) => {
                self.told += updates.len();
                totals.updates.fetch_add(updates.len() as u64, Ordering::Relaxed);
                if self.told >= UPDATES_PER_SWEEP_MAX {
                    totals.cut.fetch_add(1, Ordering::Relaxed);
                    self.end();
                    self.begins = now + PAUSE;
                }
                updates
            }
            Err(error) => {
                totals.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!("cannot look how connections go: {error}");
                self.end();
                Vec::new()
            }
        }
    }

    fn end(&mut self) {
        match &mut self.way {
            Way::Iterator { round, .. } => *round = None,
            Way::Borrowed { round, .. } => *round = None,
        }
    }

    /// The next updates of a sweep, which may be none; at its end it is forgotten.
    fn look(&mut self, context: Context) -> std::io::Result<Vec<Observation>> {
        match &mut self.way {
            Way::Iterator { link, round, buffer } => {
                let file = match round {
                    Some(file) => file,
                    None => round.insert(iterator::begin(link)?),
                };
                let bytes = match file.read(buffer) {
                    Ok(bytes) => bytes,
                    // So many sockets without an update that the kernel wants to be asked again.
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                        return Ok(Vec::new());
                    }
                    Err(error) => return Err(error),
                };
                if bytes == 0 {
                    *round = None;
                }
                let records = buffer[..bytes].chunks(size_of::<TcpRecord>());
                records.map(|record| update(record, context).map_err(std::io::Error::other)).collect()
            }
            Way::Borrowed { storage, round } => {
                let going_on = match round {
                    Some(going_on) => going_on,
                    None => round.insert(Round::begin()?),
                };
                let records = going_on.go_on(storage, age_ns(self.interval_seconds));
                if records.is_none() {
                    *round = None;
                }
                Ok(records.unwrap_or_default().iter().map(|record| updated(record, context)).collect())
            }
        }
    }
}
