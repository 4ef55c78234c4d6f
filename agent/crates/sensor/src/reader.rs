//! The thread that empties the rings.

mod take;
mod upkeep;

use std::ops::RangeInclusive;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use watchfire_model::Observation;

use crate::account::Account;
use crate::decode::Context;
use crate::filter_maps::FilterMaps;
use crate::flow_maps::FlowMaps;
use crate::gaps::Gaps;
use crate::host::boot_ns;
use crate::late::Older;
use crate::links::Links;
use crate::pin::{Ledger, Unsettled};
use crate::sockets::UnmarkedListeners;
use crate::sweep::{Sweep, SweepTotals};
use take::RecentExits;

/// Most records of one ring that are handed on at once.
pub(crate) const BATCH_RECORDS_MAX: usize = 1024;
/// Shortest and longest pause between two looks at the ring, milliseconds. A filling ring wakes the reader earlier.
const TICK_MS: (i32, i32) = (2, 50);
/// How often lost records are looked for, milliseconds.
const GAP_CHECK_MS: u64 = 1000;
/// How often the maps of flows are looked through, milliseconds.
const FLOW_SWEEP_MS: u64 = 2000;
/// How long the rings are emptied at the end where programs go on filling them, milliseconds.
const LAST_DRAIN_MS: u64 = 500;
/// Looks at the empty rings of older programs for what is not accounted for; five that agree are enough.
const OLD_LOOKS_MAX: usize = 100;

/// Empties the ring into the batch channel.
pub(crate) struct Reader {
    rings: Vec<RingBuf<MapData>>,
    gaps: Gaps,
    filters: Arc<Mutex<FilterMaps>>,
    account: Arc<Account>,
    context: Context,
    batches: SyncSender<Vec<Observation>>,
    recent_exits: RecentExits,
    unmarked: UnmarkedListeners,
    links: Option<Arc<Mutex<Links>>>,
    /// Where the account is kept for the next agent; none where the maps end with this one.
    ledger: Option<Ledger>,
    /// Where flows are counted that have no connection; none of programs before these.
    flow_maps: Option<FlowMaps>,
    /// What the agent before this one may have lost.
    unsettled: Option<Unsettled>,
    /// Looks at the connections that go on.
    sweep: Option<(Sweep, Arc<SweepTotals>)>,
    /// Records of other times are told from other rings.
    told_ns: RangeInclusive<u64>,
    /// What programs that are attached late find.
    late: Option<Receiver<Older>>,
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
            recent_exits: RecentExits::default(),
            unmarked: UnmarkedListeners::new(),
            links: None,
            ledger: None,
            flow_maps: None,
            unsettled: None,
            sweep: None,
            told_ns: 0..=u64::MAX,
            late: None,
        }
    }

    /// Takes the links that are looked after.
    pub(crate) fn look_after(&mut self, links: Arc<Mutex<Links>>) {
        self.links = Some(links);
    }

    /// Keeps the account for the next agent.
    pub(crate) fn keep_in(&mut self, mut ledger: Ledger) {
        ledger.set_ended(false);
        self.ledger = Some(ledger);
    }

    /// Takes the maps in which flows are counted.
    pub(crate) fn count_flows(&mut self, maps: FlowMaps) {
        self.flow_maps = Some(maps);
    }

    /// Finds out what the agent before this one lost.
    pub(crate) fn settle(&mut self, unsettled: Unsettled) {
        self.unsettled = Some(unsettled);
    }

    /// Looks at the connections that go on, from the first run on.
    pub(crate) fn sweep(&mut self, sweep: Sweep, totals: Arc<SweepTotals>) {
        self.sweep = Some((sweep, totals));
    }

    /// Tells of records later than `since_ns` and not later than `until_ns` alone.
    pub(crate) const fn tell_between(&mut self, since_ns: u64, until_ns: u64) {
        let first = if since_ns == 0 { 0 } else { since_ns + 1 };
        self.told_ns = first..=until_ns;
    }

    /// Hears of programs that are attached late.
    pub(crate) fn hear(&mut self, late: Receiver<Older>) {
        self.late = Some(late);
    }

    /// Takes the listeners whose connections say nothing of their owner.
    pub(crate) fn know(&mut self, unmarked: UnmarkedListeners) {
        self.unmarked = unmarked;
    }

    /// Runs until told to stop, then empties the rings a last time: until the programs are detached or have nothing more to
    /// tell, or for a while where they are pinned and go on.
    pub(crate) fn run(mut self, stop: &AtomicBool, detached: &AtomicBool) {
        let mut tick_ms = TICK_MS.0;
        let mut gaps_checked = Instant::now();
        let mut flows_swept = Instant::now();
        while !stop.load(Ordering::Acquire) {
            let Ok(taken) = self.drain(None) else { return };
            tick_ms = if taken == 0 { (tick_ms * 2).min(TICK_MS.1) } else { TICK_MS.0 };
            if self.settle_look().is_err() || self.sweep_on().is_err() {
                return;
            }
            if gaps_checked.elapsed() >= Duration::from_millis(GAP_CHECK_MS) {
                gaps_checked = Instant::now();
                if self.report_gaps().is_err() || self.take_older().is_err() {
                    return;
                }
                self.find_inodes();
                self.look_at_links();
            }
            if flows_swept.elapsed() >= Duration::from_millis(FLOW_SWEEP_MS) {
                flows_swept = Instant::now();
                if self.sweep_flows().is_err() {
                    return;
                }
            }
            self.wait(tick_ms);
        }
        let ended = if self.ledger.is_some() {
            let deadline = Instant::now() + Duration::from_millis(LAST_DRAIN_MS);
            self.drain(Some(deadline))
        } else {
            self.empty(detached)
        };
        if ended.is_ok() && self.report_gaps().is_ok() {
            if let Some(ledger) = &mut self.ledger {
                ledger.set_ended(true);
            }
            self.enter();
        }
    }

    /// Takes everything out of the rings of programs that are detached, and answers how many records there were.
    pub(crate) fn finish_old(mut self) -> usize {
        let Ok(taken) = self.empty(&AtomicBool::new(true)) else { return 0 };
        let mut looks = 0;
        while self.unsettled.is_some() && looks < OLD_LOOKS_MAX && self.settle_look().is_ok() {
            looks += 1;
            self.wait(TICK_MS.0);
        }
        let _ = self.report_gaps();
        taken
    }

    /// A program that was running when its hook was detached may still submit: two empty looks end it. Detaching takes the
    /// kernel long where there are trampolines; a moment in which all that was seen is out is as good.
    fn empty(&mut self, detached: &AtomicBool) -> Result<usize, Closed> {
        let (mut empty_looks, mut total) = (0, 0);
        while empty_looks < 2 {
            let detached = detached.load(Ordering::Acquire);
            let before = self.account.totals();
            let taken = self.drain(None)?;
            total += taken;
            let idle = taken == 0 && (detached || self.is_all_out(&before));
            empty_looks = if idle { empty_looks + 1 } else { 0 };
            self.wait(TICK_MS.0);
        }
        Ok(total)
    }

    /// Hands on observations that did not come out of the ring.
    pub(crate) fn send(&self, observations: Vec<Observation>) -> Result<(), Closed> {
        if observations.is_empty() {
            return Ok(());
        }
        self.batches.send(observations).map_err(|_| Closed)
    }

    /// The same of any number, in batches like those of the ring.
    pub(crate) fn send_all(&self, observations: impl IntoIterator<Item = Observation>) -> Result<(), Closed> {
        let mut observations = observations.into_iter();
        loop {
            let batch: Vec<_> = observations.by_ref().take(BATCH_RECORDS_MAX).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.send(batch)?;
        }
    }

    /// Takes what is in the ring, in batches, and tells how many there were. Blocks while the channel is full: then
    /// the ring fills, and what does not fit there is counted there, in one place.
    ///
    /// What was taken is entered into the ledger when it has been handed on: what a killed agent had on the way then shows
    /// as lost, and what it had handed on does not.
    fn drain(&mut self, deadline: Option<Instant>) -> Result<usize, Closed> {
        let mut total = 0;
        loop {
            let (taken, observations) = self.take_batch();
            total += taken;
            self.send(observations)?;
            if taken > 0 {
                self.enter();
            }
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if taken < BATCH_RECORDS_MAX || late {
                return Ok(total);
            }
        }
    }

    /// Writes the ledger.
    pub(crate) fn enter(&mut self) {
        let Some(ledger) = &mut self.ledger else { return };
        if let Err(error) = ledger.write(boot_ns(), &self.account.totals(), self.gaps.sums()) {
            tracing::error!("cannot keep the account for the next agent: {error}");
        }
    }

    /// Waits for a wakeup from the kernel or the end of the tick. Answers how many rings have something in them.
    pub(crate) fn wait(&self, timeout_ms: i32) -> i32 {
        let poll =
            |ring: &RingBuf<_>| libc::pollfd { fd: ring.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut fds: Vec<_> = self.rings.iter().map(poll).collect();
        // SAFETY: as many valid pollfds as said. An interrupted wait is a short one.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) }
    }
}
