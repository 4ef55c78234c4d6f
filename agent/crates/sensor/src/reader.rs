//! The thread that empties the ring.

use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use watchfire_model::{Body, KindCounters, Observation, Owner, OwnerUnknown, RecordKind, Side};

use crate::account::Account;
use crate::decode::{Context, decode};
use crate::filter_maps::FilterMaps;
use crate::gaps::Gaps;
use crate::sockets::UnmarkedListeners;

/// Most records of one ring that are handed on at once.
const BATCH_RECORDS_MAX: usize = 1024;
/// Shortest and longest pause between two looks at the ring, milliseconds. A filling ring wakes the reader earlier.
const TICK_MS: (i32, i32) = (2, 50);
/// How often lost records are looked for, milliseconds.
const GAP_CHECK_MS: u64 = 1000;
/// Exits remembered to tell a second record of the same end.
const EXITS_REMEMBERED: usize = 64;

/// Empties the ring into the batch channel.
pub(crate) struct Reader {
    rings: Vec<RingBuf<MapData>>,
    gaps: Gaps,
    filters: Arc<Mutex<FilterMaps>>,
    account: Arc<Account>,
    context: Context,
    batches: SyncSender<Vec<Observation>>,
    recent_exits: Vec<watchfire_model::ExecId>,
    next_exit: usize,
    unmarked: UnmarkedListeners,
}

/// The other side has gone.
pub(crate) struct Closed;

impl Reader {
    pub(crate) fn new(
        rings: Vec<RingBuf<MapData>>,
        gaps: Gaps,
        filters: Arc<Mutex<FilterMaps>>,
        account: Arc<Account>,
        context: Context,
        batches: SyncSender<Vec<Observation>>,
    ) -> Self {
        Self {
            rings,
            gaps,
            filters,
            account,
            context,
            batches,
            recent_exits: Vec::new(),
            next_exit: 0,
            unmarked: UnmarkedListeners::new(),
        }
    }

    /// Takes the listeners whose connections say nothing of their owner.
    pub(crate) fn know(&mut self, unmarked: UnmarkedListeners) {
        self.unmarked = unmarked;
    }

    /// Runs until told to stop, then empties the rings a last time, until the programs are detached or have nothing more
    /// to tell.
    pub(crate) fn run(mut self, stop: &AtomicBool, detached: &AtomicBool) {
        let mut tick_ms = TICK_MS.0;
        let mut gaps_checked = Instant::now();
        while !stop.load(Ordering::Acquire) {
            let Ok(taken) = self.drain() else { return };
            tick_ms = if taken == 0 { (tick_ms * 2).min(TICK_MS.1) } else { TICK_MS.0 };
            if gaps_checked.elapsed() >= Duration::from_millis(GAP_CHECK_MS) {
                gaps_checked = Instant::now();
                if self.report_gaps().is_err() {
                    return;
                }
                self.find_inodes();
            }
            self.wait(tick_ms);
        }
        // A program that was running when its hook was detached may still submit: two empty looks end it. Detaching
        // takes the kernel long where there are trampolines; a moment in which all that was seen is out is as good.
        let mut empty_looks = 0;
        while empty_looks < 2 {
            let detached = detached.load(Ordering::Acquire);
            let before = self.account.totals();
            let Ok(taken) = self.drain() else { return };
            let idle = taken == 0 && (detached || self.is_all_out(&before));
            empty_looks = if idle { empty_looks + 1 } else { 0 };
            self.wait(TICK_MS.0);
        }
        let _ = self.report_gaps();
    }

    /// Hands on observations that did not come out of the ring.
    pub(crate) fn send(&self, observations: Vec<Observation>) -> Result<(), Closed> {
        if observations.is_empty() {
            return Ok(());
        }
        self.batches.send(observations).map_err(|_| Closed)
    }

    /// Takes what is in the ring, in batches, and tells how many there were. Blocks while the channel is full: then
    /// the ring fills, and what does not fit there is counted there, in one place.
    fn drain(&mut self) -> Result<usize, Closed> {
        let mut total = 0;
        loop {
            let batch = self.take_batch();
            let taken = batch.0;
            total += taken;
            self.send(batch.1)?;
            if taken < BATCH_RECORDS_MAX {
                return Ok(total);
            }
        }
    }

    /// Up to a batch of records of every ring, the priority ring first, in the order of their making: how many were
    /// taken, and the observations among them.
    pub(crate) fn take_batch(&mut self) -> (usize, Vec<Observation>) {
        let mut observations = Vec::new();
        let mut taken = 0;
        for index in 0..self.rings.len() {
            let end = taken + BATCH_RECORDS_MAX;
            while taken < end {
                let Some(ring) = self.rings.get_mut(index) else { break };
                let Some(record) = ring.next() else { break };
                taken += 1;
                // Room that was reserved may be larger than what was written into it.
                let said = record.first_chunk().map_or(0, |size| u32::from_ne_bytes(*size) as usize);
                let record_bytes = record.get(..said).unwrap_or(&record);
                match decode(record_bytes, self.context) {
                    Ok((kind, mut observation)) => {
                        self.account.count_received(kind);
                        drop(record);
                        self.fill_in_owner(&mut observation.body);
                        if !self.is_repeated_exit(&observation.body) {
                            observations.push(observation);
                        }
                    }
                    Err(error) => {
                        self.account.count_malformed();
                        tracing::error!("a kernel record was refused: {error}");
                    }
                }
            }
        }
        // Each ring is in order already; between them, the order is that of time.
        observations.sort_by_key(|observation| observation.boot_ns);
        (taken, observations)
    }

    /// What an older multipath listener accepts has no owner on the socket. One that began to listen since has: so
    /// the port is still the older one's.
    fn fill_in_owner(&self, body: &mut Body) {
        let (Body::FlowOpen(flow) | Body::FlowClose(flow, _)) = body else { return };
        if flow.side != Side::Server || flow.owner != Owner::Unknown(OwnerUnknown::BeforeStart) {
            return;
        }
        if let Some(listener) = self.unmarked.get(&(flow.netns, flow.server.port())) {
            flow.owner = Owner::Known(listener.process);
            flow.cgroup_id = listener.cgroup_id;
        }
    }

    /// Where the kernel does not say which thread was the last, two that end at once both report it.
    fn is_repeated_exit(&mut self, body: &Body) -> bool {
        let Body::Exit(exit) = body else { return false };
        if self.recent_exits.contains(&exit.process) {
            return true;
        }
        if self.recent_exits.len() < EXITS_REMEMBERED {
            self.recent_exits.push(exit.process);
        } else {
            self.recent_exits[self.next_exit] = exit.process;
            self.next_exit = (self.next_exit + 1) % EXITS_REMEMBERED;
        }
        false
    }

    /// Whether the account has not moved since, and balances.
    fn is_all_out(&self, before: &[(RecordKind, KindCounters)]) -> bool {
        let now = self.account.totals();
        now == before && now.iter().all(|(_, counters)| counters.balances())
    }

    /// A gap becomes an observation like any other.
    fn report_gaps(&mut self) -> Result<(), Closed> {
        let gaps = self.gaps.look(&self.account.totals());
        self.send(gaps)
    }

    /// Looks for the files that are watched by identity.
    fn find_inodes(&self) {
        let mut filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = filters.find_inodes() {
            tracing::error!("cannot watch files by identity: {error}");
        }
    }

    /// Waits for a wakeup from the kernel or the end of the tick.
    pub(crate) fn wait(&self, timeout_ms: i32) {
        let poll =
            |ring: &RingBuf<_>| libc::pollfd { fd: ring.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut fds: Vec<_> = self.rings.iter().map(poll).collect();
        // SAFETY: as many valid pollfds as said. An interrupted wait is a short one.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) };
    }
}
