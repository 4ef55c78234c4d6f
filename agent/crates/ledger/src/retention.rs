//! What is removed when: the oldest first, and findings last.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchfire_model::WallTime;

use crate::clock::LedgerTime;
use crate::error::{At as _, LedgerError};
use crate::family::Family;
use crate::files;
use crate::hash::ChainHash;
use crate::key::NodeKey;
use crate::segment::{self, FrameRange, SEGMENTS_DIR, Segment, UNFINISHED_PREFIX};
use crate::shipment::Shipment;
use crate::stats::Stats;
use crate::wal;

/// Says, signed, which segments were removed.
pub(crate) const HORIZON_FILE: &str = "horizon.json";
/// Says, signed, in the folder of a segment, which of its tables were removed.
pub(crate) const RETIRED_FILE: &str = "retired.json";
/// The signature over a file of this name is in the file with this at the end.
pub(crate) const SIGNATURE_SUFFIX: &str = ".sig";

/// Tables that stay when the others of a segment go.
const KEPT: [Family; 2] = [Family::Finding, Family::Loss];

/// How much is kept. None is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Bytes of all files together.
    pub bytes_max: Option<u64>,
    /// Age of a segment, in the ledger's own time since it was sealed ([`Clock`](crate::Clock)).
    pub age_max: Option<Duration>,
    /// The same where the segment has findings: they stay that long.
    pub findings_age_max: Option<Duration>,
    /// Bytes that stay free on the file system.
    pub free_bytes_min: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            bytes_max: Some(4 << 30),
            age_max: Some(Duration::from_secs(30 * DAY)),
            findings_age_max: Some(Duration::from_secs(365 * DAY)),
            free_bytes_min: Some(1 << 30),
        }
    }
}

/// The last segment that was removed, which all before it were too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Horizon {
    pub(crate) segment: u64,
    pub(crate) frames: FrameRange,
    pub(crate) manifest: ChainHash,
    pub(crate) removed_at: WallTime,
}

impl Horizon {
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, LedgerError> {
        Self::read_file(&dir.join(HORIZON_FILE))
    }

    pub(crate) fn read_file(path: &Path) -> Result<Option<Self>, LedgerError> {
        read_json(path)
    }
}

/// Tables of a segment that were removed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Retired {
    pub(crate) manifest: ChainHash,
    pub(crate) tables: Vec<Family>,
    pub(crate) removed_at: WallTime,
}

impl Retired {
    pub(crate) fn read(segment: &Path) -> Result<Option<Self>, LedgerError> {
        read_json(&segment.join(RETIRED_FILE))
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, LedgerError> {
    let Some(bytes) = files::read_if_there(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| LedgerError::malformed(path, error.to_string()))
}

fn write_signed(path: &Path, what: &impl Serialize, key: &NodeKey) -> Result<(), LedgerError> {
    let mut bytes = serde_json::to_vec_pretty(what).expect("it has string keys only");
    bytes.push(b'\n');
    let mut signature = path.as_os_str().to_owned();
    signature.push(SIGNATURE_SUFFIX);
    files::replace(Path::new(&signature), key.sign(&bytes).as_bytes())?;
    files::replace(path, &bytes)
}

/// Looks after the limits of one ledger.
#[derive(Debug)]
pub(crate) struct Keeper {
    dir: PathBuf,
    retention: Retention,
    shipment: Option<Arc<Shipment>>,
    /// Whether segments are held that the wall clock would have removed.
    says_held: bool,
}

/// A segment on disk.
struct Kept {
    segment: Segment,
    is_thin: bool,
    bytes: u64,
}

impl Kept {
    fn has_findings(&self) -> bool {
        self.segment.manifest.tables.contains_key(&Family::Finding)
    }
}

impl Keeper {
    pub(crate) fn new(dir: &Path, retention: Retention, shipment: Option<Arc<Shipment>>) -> Self {
        Self { dir: dir.to_owned(), retention, shipment, says_held: false }
    }

    /// Removes what is too much, and counts what there is.
    pub(crate) fn round(
        &mut self,
        key: &NodeKey,
        stats: &Stats,
        time: &LedgerTime,
    ) -> Result<(), LedgerError> {
        let mut kept = self.kept()?;
        // What is in the object store can be had from there, findings too: it goes before what is nowhere else.
        if self.shipment.is_some() {
            self.reduce(&mut kept, |kept| self.is_shipped(kept), key, stats, time)?;
        }
        self.reduce(&mut kept, |_| true, key, stats, time)?;
        self.show_held(&kept, stats, time);
        stats.segments.set(kept.len() as u64);
        stats.stored_bytes.set(self.bytes(&kept)?);
        Ok(())
    }

    /// The same with those segments alone that may go.
    fn reduce(
        &self,
        kept: &mut Vec<Kept>,
        may_go: impl Fn(&Kept) -> bool,
        key: &NodeKey,
        stats: &Stats,
        time: &LedgerTime,
    ) -> Result<(), LedgerError> {
        let mut at = 0;
        while let Some(oldest) = kept.get(at) {
            let is_old = self.is_older(&oldest.segment, self.retention.age_max, time);
            let is_too_much = is_old || self.is_over(kept)?;
            if !is_too_much {
                break;
            }
            if !may_go(oldest) {
                at += 1;
                continue;
            }
            if !kept[at].is_thin {
                self.thin(&mut kept[at], key, stats, time)?;
            }
            let is_of_no_use = !kept[at].has_findings()
                || self.is_older(&kept[at].segment, self.retention.findings_age_max, time);
            // Segments go from the oldest on, without a gap.
            if at == 0 && is_of_no_use {
                self.remove(&kept.remove(0), key, stats, time)?;
            } else {
                at += 1;
            }
        }
        // Not even without all else: then findings go as well.
        while kept.first().is_some_and(|oldest| oldest.is_thin && may_go(oldest)) && self.is_over(kept)? {
            self.remove(&kept.remove(0), key, stats, time)?;
        }
        Ok(())
    }

    fn is_shipped(&self, kept: &Kept) -> bool {
        let segment = kept.segment.manifest.segment;
        self.shipment.as_ref().is_some_and(|shipment| shipment.is_shipped(segment))
    }

    /// Where records went that are nowhere else.
    fn count_unshipped(&self, segment: u64, records: u64) {
        if let Some(shipment) = &self.shipment {
            shipment.removed(segment, records);
        }
    }

    fn kept(&self) -> Result<Vec<Kept>, LedgerError> {
        let mut kept = Vec::new();
        for (_, path) in segment::list(&self.dir)? {
            let segment = match Segment::read(&path) {
                // Told by searches and `verify`; the next start sets it aside.
                Err(error) if error.is_damage() => continue,
                segment => segment?,
            };
            let Some(segment) = segment else { continue };
            let is_thin = match Retired::read(&path) {
                Err(error) if error.is_damage() => true,
                retired => retired?.is_some(),
            };
            kept.push(Kept { bytes: bytes_of(&path)?, segment, is_thin });
        }
        Ok(kept)
    }

    fn is_older(&self, segment: &Segment, age_max: Option<Duration>, time: &LedgerTime) -> bool {
        is_before(segment.manifest.ledger_time(), age_max, time.now())
    }

    /// Counts segments that would be too old by the wall clock alone, and says so when there are some.
    fn show_held(&mut self, kept: &[Kept], stats: &Stats, time: &LedgerTime) {
        let is_held = |kept: &&Kept| {
            !kept.is_thin && is_before(kept.segment.manifest.latest(), self.retention.age_max, time.wall())
        };
        let held = kept.iter().filter(is_held).count() as u64;
        stats.held.set(held);
        if held > 0 && !self.says_held {
            tracing::warn!(
                segments = held,
                wall = %time.wall(),
                ledger_time = %time.now(),
                "segments of the ledger are too old by the wall clock, and not by the time that it was open: they stay"
            );
        }
        self.says_held = held > 0;
    }

    fn is_over(&self, kept: &[Kept]) -> Result<bool, LedgerError> {
        let Retention { bytes_max, free_bytes_min, age_max: _, findings_age_max: _ } = self.retention;
        if let Some(bytes_max) = bytes_max
            && self.bytes(kept)? > bytes_max
        {
            return Ok(true);
        }
        let Some(free_bytes_min) = free_bytes_min else { return Ok(false) };
        let free =
            rustix::fs::statvfs(&self.dir).map_err(std::io::Error::from).at("cannot look at", &self.dir)?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize) < free_bytes_min)
    }

    fn bytes(&self, kept: &[Kept]) -> Result<u64, LedgerError> {
        let mut bytes = kept.iter().map(|kept| kept.bytes).sum();
        for (_, path) in wal::list(&self.dir)? {
            bytes += fs::metadata(&path).map_or(0, |metadata| metadata.len());
        }
        Ok(bytes)
    }

    /// Leaves of a segment what is kept longest.
    fn thin(
        &self,
        kept: &mut Kept,
        key: &NodeKey,
        stats: &Stats,
        time: &LedgerTime,
    ) -> Result<(), LedgerError> {
        let Segment { dir, manifest, manifest_hash } = &kept.segment;
        let tables: Vec<Family> =
            manifest.tables.keys().copied().filter(|family| !KEPT.contains(family)).collect();
        let records = tables.iter().map(|family| manifest.tables[family].records).sum();
        let retired = Retired { manifest: *manifest_hash, tables: tables.clone(), removed_at: time.wall() };
        write_signed(&dir.join(RETIRED_FILE), &retired, key)?;
        for family in &tables {
            files::remove_if_there(&dir.join(family.file_name()))?;
        }
        files::sync_dir(dir)?;
        self.count_unshipped(manifest.segment, records);
        stats.thinned.add(1);
        stats.removed_records.add(records);
        tracing::info!(
            segment = manifest.segment,
            records,
            "ledger segment thinned: findings and losses stay"
        );
        kept.bytes = bytes_of(dir)?;
        kept.is_thin = true;
        Ok(())
    }

    fn remove(
        &self,
        kept: &Kept,
        key: &NodeKey,
        stats: &Stats,
        time: &LedgerTime,
    ) -> Result<(), LedgerError> {
        let Segment { dir, manifest, manifest_hash } = &kept.segment;
        let horizon = Horizon {
            segment: manifest.segment,
            frames: manifest.frames,
            manifest: *manifest_hash,
            removed_at: time.wall(),
        };
        let left = manifest.tables.iter().filter(|(family, _)| KEPT.contains(family));
        let records = left.map(|(_, table)| table.records).sum();
        write_signed(&self.dir.join(HORIZON_FILE), &horizon, key)?;
        let segments = self.dir.join(SEGMENTS_DIR);
        let going = segments.join(format!("{UNFINISHED_PREFIX}{}", segment::dir_name(manifest.segment)));
        fs::rename(dir, &going).at("cannot rename to", &going)?;
        fs::remove_dir_all(&going).at("cannot remove", &going)?;
        files::sync_dir(&segments)?;
        self.count_unshipped(manifest.segment, records);
        stats.removed.add(1);
        stats.removed_records.add(records);
        tracing::info!(segment = manifest.segment, "ledger segment removed");
        Ok(())
    }
}

fn is_before(then: WallTime, age_max: Option<Duration>, now: WallTime) -> bool {
    let age_max = age_max.and_then(|age| i64::try_from(age.as_nanos()).ok());
    age_max.is_some_and(|age_max| then.0 < now.0.saturating_sub(age_max))
}

fn bytes_of(dir: &Path) -> Result<u64, LedgerError> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).at("cannot list", dir)? {
        bytes += entry.and_then(|entry| entry.metadata()).at("cannot look at", dir)?.len();
    }
    Ok(bytes)
}
