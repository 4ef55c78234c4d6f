//! The thread that seals full log files and keeps the ledger within its limits.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::LedgerTime;
use crate::error::{At as _, LedgerError};
use crate::files;
use crate::hash::ChainHash;
use crate::key::NodeKey;
use crate::recovery;
use crate::retention::{Keeper, Retention};
use crate::segment::{FrameRange, Sealed, seal};
use crate::shipment::Shipment;
use crate::stats::{Head, SealedHead, Stats};
use crate::wal::{WAL_DIR, WalReader};

/// How often the limits are looked at, and what could not be sealed is tried again.
const ROUND_SECONDS: u64 = 10;

/// What the thread needs to know.
#[derive(Debug)]
pub(crate) struct SealerConfig {
    pub(crate) dir: PathBuf,
    pub(crate) node: String,
    pub(crate) agent_version: String,
    pub(crate) retention: Retention,
    pub(crate) time: LedgerTime,
    pub(crate) last_number: u64,
    pub(crate) last_manifest: Option<ChainHash>,
    pub(crate) shipment: Option<Arc<Shipment>>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Sealer {
    full: Option<Sender<PathBuf>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<Stats>,
}

impl Sealer {
    pub(crate) fn start(
        config: SealerConfig,
        key: Arc<NodeKey>,
        waiting: Vec<PathBuf>,
        stats: Arc<Stats>,
    ) -> Result<Self, LedgerError> {
        let (full, receiver) = mpsc::channel();
        let (ended, done) = mpsc::channel();
        let dir = config.dir.clone();
        let keeper = Keeper::new(&dir, config.retention, config.shipment.clone());
        let mut work = Work {
            config,
            key,
            waiting: waiting.into(),
            keeper,
            stats: Arc::clone(&stats),
            is_failing: false,
        };
        stats.unsealed_files.set(work.waiting.len() as u64);
        let thread = thread::Builder::new()
            .name("ledger-seal".to_owned())
            .spawn(move || {
                // Dropped at the end, by a panic as well.
                let _ended: Sender<()> = ended;
                work.run(&receiver);
            })
            .at("cannot start the thread that seals", &dir)?;
        Ok(Self { full: Some(full), done, thread: Some(thread), stats })
    }

    /// The log file is full: no frame is added any more.
    pub(crate) fn seal(&self, path: PathBuf) {
        self.stats.unsealed_files.add(1);
        // A thread that has gone leaves the file for the next opening.
        _ = self.full.as_ref().map(|full| full.send(path));
    }

    /// Seals what waits, if that is done in time. Says whether nothing waits any more.
    pub(crate) fn stop(&mut self, within: Duration) -> bool {
        self.full = None;
        let in_time = self.done.recv_timeout(within) != Err(RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take_if(|_| in_time)
            && thread.join().is_err()
        {
            tracing::error!("the thread that seals the ledger panicked");
        }
        in_time && self.stats.unsealed_files.get() == 0
    }
}

impl Drop for Sealer {
    /// Does not return before the thread is done, if it is not hanging: the ledger's lock goes after this.
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop(Duration::from_secs(ROUND_SECONDS));
        }
    }
}

struct Work {
    config: SealerConfig,
    key: Arc<NodeKey>,
    waiting: VecDeque<PathBuf>,
    keeper: Keeper,
    stats: Arc<Stats>,
    is_failing: bool,
}

impl Work {
    fn run(&mut self, full: &Receiver<PathBuf>) {
        loop {
            self.seal_waiting();
            self.keep_within_limits();
            match full.recv_timeout(Duration::from_secs(ROUND_SECONDS)) {
                Ok(path) => self.waiting.push_back(path),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.seal_waiting(),
            }
        }
    }

    fn seal_waiting(&mut self) {
        while let Some(path) = self.waiting.front().cloned() {
            match self.seal(&path) {
                Ok(()) => {
                    self.waiting.pop_front();
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("the ledger is sealed again");
                    }
                }
                Err(error) => {
                    self.stats.seal_failures.add(1);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        let error = error.in_full();
                        tracing::error!(
                            error,
                            "a part of the ledger cannot be sealed; it stays in the log and is tried again"
                        );
                    }
                    break;
                }
            }
        }
        self.stats.unsealed_files.set(self.waiting.len() as u64);
    }

    fn seal(&mut self, wal: &Path) -> Result<(), LedgerError> {
        self.cut_damage(wal)?;
        let segment = self.config.last_number + 1;
        let sealed = Sealed {
            ledger: &self.config.dir,
            segment,
            previous_manifest: self.config.last_manifest,
            node: &self.config.node,
            agent_version: &self.config.agent_version,
            key: &self.key,
        };
        if let Some(segment) = seal(wal, &sealed, &self.config.time)? {
            self.config.last_number = segment.manifest.segment;
            self.config.last_manifest = Some(segment.manifest_hash);
            self.stats.sealed.add(1);
            let FrameRange { last, last_hash, .. } = segment.manifest.frames;
            let head = Head { sequence: last, hash: last_hash };
            self.stats.set_sealed_head(SealedHead { segment: segment.manifest.segment, head });
            self.stats.segment_bytes.add(segment.manifest.bytes());
            tracing::info!(
                segment = segment.manifest.segment,
                records = segment.manifest.records(),
                bytes = segment.manifest.bytes(),
                frame = segment.manifest.frames.last,
                head = %segment.manifest.frames.last_hash,
                manifest = %segment.manifest_hash,
                "ledger segment sealed"
            );
        }
        // Only now, that the segment outlasts everything.
        files::remove_if_there(wal)?;
        files::sync_dir(&self.config.dir.join(WAL_DIR))
    }

    /// What went bad since it was written is cut off and kept aside, so that the rest can be sealed.
    fn cut_damage(&self, wal: &Path) -> Result<(), LedgerError> {
        let mut reader = WalReader::open(wal)?;
        while let Some(frame) = reader.next()? {
            if let Err(fault) = frame {
                self.stats.damaged.add(1);
                let (frame, why) = (fault.sequence, fault.why);
                tracing::error!(file = %wal.display(), frame, why, "the ledger's log is damaged; what cannot be read is set aside");
                recovery::cut(&self.config.dir, wal, &fault)?;
            }
        }
        Ok(())
    }

    fn keep_within_limits(&mut self) {
        if let Err(error) = self.keeper.round(&self.key, &self.stats, &self.config.time) {
            tracing::error!(
                error = error.in_full(),
                "the ledger cannot be kept within its limits; it is tried again"
            );
        }
    }
}
