//! The ledger as a way out: on a thread of its own, behind a bounded queue.

mod opening;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use watchfire_ledger::{Fsync, Ledger, LedgerConfig, LedgerError, LedgerId, PublicKey, Shipment, Stats};
use watchfire_model::WallTime;

use self::opening::{Opening, why_later};
use crate::backlog::{Capacity, Taken};
use crate::sink_queue::{Patience, Pushed, SinkQueue};
use crate::sink_thread::SinkThread;
use crate::{EncodedRecord, SINK_QUEUE_BYTES_MAX, SINK_QUEUE_RECORDS_MAX, SinkCounters};

pub use self::opening::LEDGER_OPEN_RETRY_SECONDS;

/// How long records are gathered for one frame. It is part of the time that records may be at risk.
pub const LEDGER_GATHER_MS: u64 = 100;

/// Pause before a failed write is tried again.
const RETRY_INTERVAL_MS: u64 = 1000;

/// How often the end of the chain is told to the agent's log, where it moved.
const HEAD_INTERVAL_SECONDS: u64 = 60;

/// A ledger that records are sent to.
#[derive(Debug)]
pub struct LedgerSink {
    thread: SinkThread,
    facts: LedgerFacts,
}

/// What is to be known of a ledger beside what it holds.
#[derive(Clone, Debug)]
pub struct LedgerFacts {
    /// Where it is.
    pub dir: PathBuf,
    /// What its sink counts.
    pub counters: SinkCounters,
    failing: Arc<AtomicBool>,
    opened: Arc<OnceLock<Opened>>,
    queue: Arc<SinkQueue>,
}

/// What is known of a ledger once it is open.
#[derive(Debug)]
pub struct Opened {
    /// Which one it is.
    pub id: LedgerId,
    /// By what its manifests are verified.
    pub public_key: PublicKey,
    /// What it counts.
    pub stats: Arc<Stats>,
    /// How far its segments are shipped; none if they are not to be.
    pub shipment: Option<Arc<Shipment>>,
}

impl LedgerFacts {
    /// What is known once it is open; none while its disk has no room for that.
    #[must_use]
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// The last number that was given to a record: it may wait to be written.
    #[must_use]
    pub fn numbered(&self) -> u64 {
        self.queue.numbered()
    }

    /// Whether the last write failed, so that records wait.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

impl LedgerSink {
    /// Opens the ledger and starts the thread. Where its disk is full or read-only, the thread tries again every
    /// [`LEDGER_OPEN_RETRY_SECONDS`], and records wait in the queue; what does not fit there is told in the ledger as lost.
    pub fn start(mut config: LedgerConfig, counters: SinkCounters) -> Result<Self, LedgerError> {
        if let Fsync::Within { time, .. } = &mut config.fsync {
            *time = time.saturating_sub(Duration::from_millis(LEDGER_GATHER_MS));
        }
        let (dir, node) = (config.dir.clone(), config.node.clone());
        let capacity = Capacity { records_max: SINK_QUEUE_RECORDS_MAX, bytes_max: SINK_QUEUE_BYTES_MAX };
        let queue = Arc::new(SinkQueue::new(capacity));
        let facts = LedgerFacts {
            dir: dir.clone(),
            counters: counters.clone(),
            failing: Arc::default(),
            opened: Arc::default(),
            queue: Arc::clone(&queue),
        };
        let opening = Opening { config, facts: facts.clone() };
        let opened = match opening.open() {
            Err(error) if why_later(&error).is_none() => return Err(error),
            opened => opened,
        };
        let (work_queue, shown_failing) = (Arc::clone(&queue), Arc::clone(&facts.failing));
        let work_counters = counters.clone();
        let work = move || {
            let opened = opened.or_else(|error| opening.insist(&error, &work_queue).ok_or(()));
            let Ok(ledger) = opened else { return };
            let head_frame = ledger.stats().head().sequence;
            let worker = Worker {
                ledger,
                queue: work_queue,
                counters: work_counters,
                node,
                pending: VecDeque::new(),
                failing: false,
                shown_failing,
                last_try: false,
                abandoned: false,
                head_told: Instant::now(),
                head_frame,
            };
            worker.run();
        };
        let thread = SinkThread::start(queue, counters, work).map_err(|source| LedgerError::Io {
            what: "cannot start the thread of",
            path: dir,
            source,
        })?;
        Ok(Self { thread, facts })
    }

    /// What is to be known of it.
    #[must_use]
    pub const fn facts(&self) -> &LedgerFacts {
        &self.facts
    }

    /// Queues records; never waits. What does not fit is dropped and counted; the others are given the numbers that they will
    /// have in the ledger, once that is open.
    pub fn send(&self, records: &mut [EncodedRecord]) {
        let Pushed { queued, lost: _, first_number } = self.thread.send(records);
        let Some(first) = first_number else { return };
        for (number, record) in (first..).zip(&mut records[..queued]) {
            record.number = Some(number);
        }
    }

    /// Writes and syncs what is queued and ends the thread. Says whether that was done in time; if not, the thread is left
    /// to itself: what it does not finish is recovered at the next start.
    #[must_use]
    pub fn stop(self, within: Duration) -> bool {
        self.thread.stop(within)
    }
}

struct Worker {
    ledger: Ledger,
    queue: Arc<SinkQueue>,
    counters: SinkCounters,
    node: String,
    /// Lines without their newlines, and whether each is a record or a note.
    pending: VecDeque<(Bytes, bool)>,
    failing: bool,
    shown_failing: Arc<AtomicBool>,
    /// The sink is to end, so a failure has one more try.
    last_try: bool,
    abandoned: bool,
    head_told: Instant,
    head_frame: u64,
}

/// How long the ledger's thread waits at its end for segments that are being sealed; what is not sealed then is so at the
/// next start.
const SEAL_WAIT: Duration = Duration::from_secs(1);

impl Worker {
    fn run(mut self) {
        let gather = Duration::from_millis(LEDGER_GATHER_MS);
        let mut patience = Patience::UntilAny(None);
        let mut spare = VecDeque::new();
        let shipment = self.ledger.shipment().cloned();
        loop {
            let mut unshipped = 0;
            let own = |taken: &Taken| {
                unshipped = shipment.as_ref().map_or(0, |shipment| shipment.take_untold());
                u64::from(taken.lost > 0) + u64::from(unshipped > 0)
            };
            let Some(mut taken) = self.queue.take_with(spare, patience, own) else { break };
            let is_gathered = taken.records.is_empty() || matches!(patience, Patience::Linger(_));
            self.take(&mut taken.records, [("ledger", taken.lost), ("ship", unshipped)]);
            spare = taken.records;
            if is_gathered {
                self.write();
                self.insist(Ledger::tick);
                self.tell_head(Duration::from_secs(HEAD_INTERVAL_SECONDS));
            }
            patience = match self.ledger.sync_within() {
                None if self.pending.is_empty() => Patience::UntilAny(self.ledger.seal_within()),
                None => Patience::Linger(gather),
                // A little late at most: what is due by then is done by `tick`.
                Some(due) => Patience::Linger(due.min(gather)),
            };
        }
        self.write();
        self.insist(Ledger::sync);
        self.counters.dropped.inc_by(self.pending.iter().filter(|(_, is_record)| *is_record).count() as u64);
        self.tell_head(Duration::ZERO);
        if let Err(error) = self.ledger.close(SEAL_WAIT) {
            tracing::error!(error = error.in_full(), "the ledger could not be synced at its end");
        }
    }

    /// Each is one line, and so is each kind of loss: as many numbers were given for them.
    fn take(&mut self, records: &mut VecDeque<EncodedRecord>, losses: [(&str, u64); 2]) {
        for record in records.drain(..) {
            let line = record.line.slice(..record.line.len().saturating_sub(1));
            if Ledger::accepts(&line) {
                self.pending.push_back((line, true));
            } else {
                self.counters.dropped.inc();
                self.note("ledger", 1);
            }
        }
        // Where the gap is, for whoever reads the ledger later.
        for (kind, lost) in losses {
            self.note(kind, lost);
        }
    }

    fn note(&mut self, kind: &str, lost: u64) {
        if lost > 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time = WallTime(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
            let note = serde_json::json!({
                "time": time, "node": self.node, "type": "sink-loss", "kind": kind, "lost": lost,
            });
            self.pending.push_back((note.to_string().into(), false));
        }
    }

    /// Appends everything that is pending, if need be again and again until the sink is to end.
    fn write(&mut self) {
        while !self.pending.is_empty() && !self.abandoned {
            let (lines, are_records): (Vec<Bytes>, Vec<bool>) = self.pending.iter().cloned().unzip();
            let (appended, result) = self.ledger.append(&lines);
            let records = are_records[..appended].iter().filter(|is_record| **is_record).count();
            self.counters.written.inc_by(records as u64);
            self.pending.drain(..appended);
            match result {
                Ok(()) => self.succeeded(),
                Err(error) => self.failed(&error),
            }
        }
    }

    fn insist(&mut self, action: impl Fn(&mut Ledger) -> Result<(), LedgerError>) {
        while !self.abandoned {
            match action(&mut self.ledger) {
                Ok(()) => return self.succeeded(),
                Err(error) => self.failed(&error),
            }
        }
    }

    fn succeeded(&mut self) {
        if self.failing {
            self.failing = false;
            self.shown_failing.store(false, Ordering::Relaxed);
            tracing::info!(sink = self.counters.name(), "the ledger is written again");
        }
    }

    fn failed(&mut self, error: &LedgerError) {
        self.counters.errors.inc();
        if !self.failing {
            self.failing = true;
            self.shown_failing.store(true, Ordering::Relaxed);
            tracing::warn!(
                sink = self.counters.name(),
                why = why_later(error).unwrap_or("an error"),
                error = error.in_full(),
                "the ledger cannot be written; records wait in its queue and are dropped when it is full"
            );
        }
        self.abandoned = self.last_try;
        self.last_try = self.queue.closed_within(Duration::from_millis(RETRY_INTERVAL_MS));
    }

    /// Off the node, where the agent's log is gathered, this shows whether history was written again.
    fn tell_head(&mut self, interval: Duration) {
        let head = self.ledger.stats().head();
        if head.sequence != self.head_frame && self.head_told.elapsed() >= interval {
            self.head_told = Instant::now();
            self.head_frame = head.sequence;
            tracing::info!(frame = head.sequence, head = %head.hash, "ledger head");
        }
    }
}
