//! A ledger that is written to.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{LedgerTime, wall_now};
use crate::config::{Fsync, LedgerConfig};
use crate::error::{At as _, LedgerError};
use crate::files;
use crate::frame::{FRAME_BYTES_MAX, LINE_BYTES_MAX};
use crate::identity::Identity;
use crate::key::{NodeKey, PublicKey};
use crate::recovery::{self, Recovered, Recovery};
use crate::sealer::{Sealer, SealerConfig};
use crate::segment::SEGMENTS_DIR;
use crate::shipment::Shipment;
use crate::signed_head::SignedHead;
use crate::stats::{Head, Stats};
use crate::wal::{Position, WAL_DIR, WalHeader, WalWriter};

const LOCK_FILE: &str = "lock";

/// How often the newest frame of the log is signed, where there is a new one.
const SIGN_INTERVAL_SECONDS: u64 = 10;

/// An open ledger. Only one process has it.
#[derive(Debug)]
pub struct Ledger {
    config: LedgerConfig,
    identity: Identity,
    key: Arc<NodeKey>,
    public_key: PublicKey,
    /// The newest frame that a signature of this run covers, and when it was made or last tried.
    signed: Head,
    signed_at: Instant,
    writer: Option<WalWriter>,
    position: Position,
    payload: Vec<u8>,
    sealer: Sealer,
    stats: Arc<Stats>,
    shipment: Option<Arc<Shipment>>,
    /// Held until the end.
    _lock: File,
}

impl Ledger {
    /// Opens the ledger, or begins one, and recovers what a crash left.
    pub fn open(config: LedgerConfig) -> Result<(Self, Recovery), LedgerError> {
        let dir = &config.dir;
        // What a newer version wrote is left as it is.
        Identity::read(dir)?;
        for dir in [dir.clone(), dir.join(WAL_DIR), dir.join(SEGMENTS_DIR)] {
            files::make_dir(&dir)?;
        }
        let lock = lock(dir)?;
        let identity = Identity::read_or_create(dir, &config.node)?;
        let key = NodeKey::read_or_create(dir, config.key.as_deref())?;
        let public_key = key.public();
        let recovered = recovery::recover(dir, &identity, &public_key)?;
        let Recovered { recovery, position, full, current, last_number, last_sealed, last_manifest, time } =
            recovered;
        let stats = Arc::new(Stats::new(head(&position), last_sealed));
        stats.damaged.add(recovery.damage.len() as u64);
        stats.last_record.set(position.next_record - 1);
        let shipment = config.ship_to.as_deref().map(|to| Shipment::open(dir, identity.id, to).map(Arc::new));
        let shipment = shipment.transpose()?;
        let sealer = SealerConfig {
            dir: dir.clone(),
            node: config.node.clone(),
            agent_version: config.agent_version.clone(),
            retention: config.retention,
            time: LedgerTime::new(config.clock.clone(), time),
            last_number,
            last_manifest,
            shipment: shipment.clone(),
        };
        let key = Arc::new(key);
        let sealer = Sealer::start(sealer, Arc::clone(&key), full, Arc::clone(&stats))?;
        let writer = current.map(|current| {
            let recovery::Current { path, begin: _, position, bytes, payload_bytes } = current;
            WalWriter::resume(path, position, bytes, payload_bytes)
        });
        let writer = writer.transpose()?;
        let ledger = Self {
            config,
            identity,
            key,
            public_key,
            signed: head(&position),
            signed_at: Instant::now(),
            writer,
            position,
            payload: Vec::new(),
            sealer,
            stats,
            shipment,
            _lock: lock,
        };
        Ok((ledger, recovery))
    }

    /// Which ledger it is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The key whose signatures its manifests have.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// How far its segments are shipped; none if they are not.
    #[must_use]
    pub const fn shipment(&self) -> Option<&Arc<Shipment>> {
        self.shipment.as_ref()
    }

    /// What it counts.
    #[must_use]
    pub const fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Appends records, each a line of JSON without its newline. Returns how many were appended, with the reason why the
    /// others were not: they come in order, so the caller can go on with the rest. A line that is too long or has a
    /// newline inside is refused for good: [`Self::accepts`] says so before.
    pub fn append(&mut self, lines: &[impl AsRef<[u8]>]) -> (usize, Result<(), LedgerError>) {
        let mut appended = 0;
        while appended < lines.len() {
            match self.append_frame(&lines[appended..]) {
                Ok(taken) => appended += taken,
                Err(error) => return (appended, Err(error)),
            }
        }
        (appended, Ok(()))
    }

    /// Whether a line can be a record of the ledger at all.
    #[must_use]
    pub fn accepts(line: &[u8]) -> bool {
        line.len() < LINE_BYTES_MAX && !line.contains(&b'\n')
    }

    /// One frame of as many lines as fit.
    fn append_frame(&mut self, lines: &[impl AsRef<[u8]>]) -> Result<usize, LedgerError> {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let mut taken = 0;
        for line in lines.iter().map(AsRef::as_ref) {
            if taken > 0 && payload.len() + line.len() >= FRAME_BYTES_MAX {
                break;
            }
            debug_assert!(Self::accepts(line));
            payload.extend_from_slice(line);
            payload.push(b'\n');
            taken += 1;
        }
        let result = self.append_payload(&payload, u32::try_from(taken).unwrap_or(u32::MAX));
        self.payload = payload;
        result.map(|()| taken)
    }

    fn append_payload(&mut self, payload: &[u8], records: u32) -> Result<(), LedgerError> {
        self.rotate_if_full(payload.len() as u64)?;
        let (fsync, wall_ns) = (self.config.fsync, wall_now().0);
        let writer = self.writer()?;
        let before = writer.bytes();
        writer.append(payload, records, wall_ns)?;
        let (written, position) = (writer.bytes() - before, writer.position());
        self.position = position;
        self.stats.frames.add(1);
        self.stats.records.add(records.into());
        self.stats.payload_bytes.add(payload.len() as u64);
        self.stats.wal_bytes.add(written);
        self.stats.last_record.set(position.next_record - 1);
        self.stats.set_head(head(&position));
        // The frame is in the file: a failed sync is tried again, and does not make it be appended twice.
        if fsync == Fsync::Always || self.is_sync_due() {
            self.sync_counted();
        }
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut WalWriter, LedgerError> {
        if self.writer.is_none() {
            let header = WalHeader { ledger: self.identity.id, position: self.position };
            self.writer = Some(WalWriter::create(&self.config.dir, &header)?);
        }
        Ok(self.writer.as_mut().expect("it was just made"))
    }

    fn rotate_if_full(&mut self, more: u64) -> Result<(), LedgerError> {
        let limits = self.config.segment;
        let is_full = self.writer.as_ref().is_some_and(|writer| {
            let bytes = writer.payload_bytes();
            bytes > 0 && (bytes + more > limits.bytes_max || writer.begun().elapsed() >= limits.age_max)
        });
        if is_full { self.rotate() } else { Ok(()) }
    }

    /// Hands the log file to be sealed; the next frame begins another.
    pub fn rotate(&mut self) -> Result<(), LedgerError> {
        self.sync()?;
        if let Some(writer) = self.writer.take_if(|writer| writer.payload_bytes() > 0) {
            self.sealer.seal(writer.path().to_owned());
        }
        Ok(())
    }

    /// Does what is due by time: to be called after [`Self::sync_within`] and [`Self::seal_within`].
    pub fn tick(&mut self) -> Result<(), LedgerError> {
        if self.is_sync_due() {
            self.sync()?;
        }
        self.sign_if_due();
        self.rotate_if_full(0)
    }

    /// How long until the log file is full by its age, or its newest frame is to be signed; none if there is nothing in it.
    #[must_use]
    pub fn seal_within(&self) -> Option<Duration> {
        let writer = self.writer.as_ref().filter(|writer| writer.payload_bytes() > 0)?;
        let full = self.config.segment.age_max.saturating_sub(writer.begun().elapsed());
        let signed = Duration::from_secs(SIGN_INTERVAL_SECONDS).saturating_sub(self.signed_at.elapsed());
        Some(if self.is_signed() { full } else { full.min(signed) })
    }

    fn is_signed(&self) -> bool {
        self.signed == head(&self.position)
    }

    fn sign_if_due(&mut self) {
        if self.signed_at.elapsed() >= Duration::from_secs(SIGN_INTERVAL_SECONDS) {
            self.sign();
        }
    }

    /// Signs the newest frame, if it outlasts a loss of power. Without a signature records are written all the same.
    fn sign(&mut self) {
        let is_at_risk = self.writer.as_ref().is_some_and(|writer| writer.at_risk().is_some());
        if is_at_risk || self.is_signed() {
            return;
        }
        let newest = head(&self.position);
        self.signed_at = Instant::now();
        match SignedHead::new(self.identity.id, newest, wall_now()).write(&self.config.dir, &self.key) {
            Ok(()) => {
                self.signed = newest;
                self.stats.heads_signed.add(1);
            }
            Err(error) => {
                self.stats.head_failures.add(1);
                let source = error.io().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(%error, source, "the ledger's newest frame cannot be signed; it is tried again");
            }
        }
    }

    /// How long until the log is to be synced; none if all of it is.
    #[must_use]
    pub fn sync_within(&self) -> Option<Duration> {
        let (since, _) = self.writer.as_ref()?.at_risk()?;
        match self.config.fsync {
            Fsync::Always => Some(Duration::ZERO),
            Fsync::Within { time, .. } => Some((since + time).saturating_duration_since(Instant::now())),
        }
    }

    fn is_sync_due(&self) -> bool {
        let at_risk = self.writer.as_ref().and_then(WalWriter::at_risk);
        at_risk.is_some_and(|(since, at_risk)| match self.config.fsync {
            Fsync::Always => true,
            Fsync::Within { time, bytes } => since.elapsed() >= time || at_risk >= bytes,
        })
    }

    /// Makes everything appended outlast a loss of power.
    pub fn sync(&mut self) -> Result<(), LedgerError> {
        if let Some(writer) = &mut self.writer
            && writer.at_risk().is_some()
        {
            writer.sync()?;
            self.stats.syncs.add(1);
            if writer.is_gone() {
                tracing::error!(file = %writer.path().display(), "the ledger's log was removed; a new file is begun");
                self.stats.damaged.add(1);
                self.writer = None;
            }
        }
        self.sign_if_due();
        Ok(())
    }

    fn sync_counted(&mut self) {
        if let Err(error) = self.sync() {
            tracing::error!(%error, "the ledger cannot be synced; it is tried again");
        }
    }

    /// Syncs and signs, and waits for segments that are being sealed, at most that long. What is not sealed is so after the next
    /// opening. Says whether everything is sealed that was to be.
    pub fn close(mut self, within: Duration) -> Result<bool, LedgerError> {
        self.sync()?;
        self.sign();
        Ok(self.sealer.stop(within))
    }
}

fn head(position: &Position) -> Head {
    Head { sequence: position.next_sequence - 1, hash: position.previous }
}

fn lock(dir: &Path) -> Result<File, LedgerError> {
    let path = dir.join(LOCK_FILE);
    if !path.exists() {
        File::options().create(true).truncate(false).write(true).open(&path).at("cannot create", &path)?;
    }
    // Open for reading alone, so that it never is what keeps its file system from being made read-only.
    let file = File::open(&path).at("cannot open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(LedgerError::Io { what: "cannot lock", path, source }),
    }
}
