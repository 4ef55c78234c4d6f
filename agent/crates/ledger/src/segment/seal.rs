//! Turns a full log file into a segment.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use parquet::errors::ParquetError;
use watchfire_model::WallTime;

use super::entry::Entry;
use super::frames::{SealedFrame, write_frames};
use super::writer::write_table;
use super::{
    FRAMES_FILE, FileSum, FrameRange, MANIFEST_FILE, Manifest, SEGMENTS_DIR, SIGNATURE_FILE, Segment,
    TableSum, UNFINISHED_PREFIX, dir_name,
};
use crate::error::{At as _, InFile as _, LedgerError};
use crate::files::{self, FILE_MODE};
use crate::hash::ChainHash;
use crate::identity::FORMAT;
use crate::key::NodeKey;
use crate::wal::{Fault, WalReader};

/// What a new segment follows and who makes it.
#[derive(Debug)]
pub(crate) struct Sealed<'a> {
    pub(crate) ledger: &'a Path,
    pub(crate) segment: u64,
    pub(crate) previous_manifest: Option<ChainHash>,
    pub(crate) node: &'a str,
    pub(crate) agent_version: &'a str,
    pub(crate) key: &'a NodeKey,
}

/// Makes the segment of a log file, on disk as a whole. The file has at least one frame; after a fault in it nothing is
/// made. None if it has no frame.
pub(crate) fn seal(wal: &Path, sealed: &Sealed<'_>, now: WallTime) -> Result<Option<Segment>, LedgerError> {
    let mut reader = WalReader::open(wal)?;
    let previous_hash = reader.header().position.previous;
    let ledger = reader.header().ledger;
    let mut frames = Vec::new();
    let mut entries = Vec::new();
    while let Some(frame) = reader.next()? {
        let frame = frame.map_err(|fault| damaged(wal, &fault))?;
        frames.push(SealedFrame { facts: frame.facts, hash: frame.hash });
        entries.extend(Entry::of_frame(frame));
    }
    let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(None) };
    let range = FrameRange {
        first: first.facts.sequence,
        last: last.facts.sequence,
        first_record: first.facts.first_record,
        last_record: last.facts.first_record + u64::from(last.facts.records) - 1,
        previous_hash,
        last_hash: last.hash,
    };
    entries.sort_by_key(|entry| (entry.family, entry.time, entry.seq));

    let segments = sealed.ledger.join(SEGMENTS_DIR);
    let dir = segments.join(format!("{UNFINISHED_PREFIX}{}", dir_name(sealed.segment)));
    if dir.exists() {
        fs::remove_dir_all(&dir).at("cannot remove", &dir)?;
    }
    files::make_dir(&dir)?;
    let mut tables = BTreeMap::new();
    for entries in entries.chunk_by(|one, other| one.family == other.family) {
        let family = entries[0].family;
        let file = write(&dir.join(family.file_name()), |file| write_table(file, family, entries))?;
        let [earliest, latest] = [0, entries.len() - 1].map(|at| WallTime(entries[at].time));
        tables.insert(family, TableSum { records: entries.len() as u64, earliest, latest, file });
    }
    let manifest = Manifest {
        format: FORMAT,
        ledger,
        segment: sealed.segment,
        node: sealed.node.to_owned(),
        agent_version: sealed.agent_version.to_owned(),
        sealed_at: now,
        previous_manifest: sealed.previous_manifest,
        frames: range,
        payload_bytes: frames.iter().map(|frame| u64::from(frame.facts.payload_bytes)).sum(),
        lost: entries.iter().map(|entry| entry.lost).sum(),
        frames_file: write(&dir.join(FRAMES_FILE), |file| write_frames(file, &frames))?,
        tables,
    };
    let bytes = manifest.to_bytes();
    files::write_new(&dir.join(MANIFEST_FILE), &bytes)?;
    files::write_new(&dir.join(SIGNATURE_FILE), sealed.key.sign(&bytes).as_bytes())?;
    files::sync_dir(&dir)?;
    let whole = segments.join(dir_name(sealed.segment));
    fs::rename(&dir, &whole).at("cannot rename to", &whole)?;
    files::sync_dir(&segments)?;
    Ok(Some(Segment { dir: whole, manifest, manifest_hash: ChainHash::of(&bytes) }))
}

fn damaged(wal: &Path, fault: &Fault) -> LedgerError {
    LedgerError::malformed(wal, format!("frame {} at byte {}: {}", fault.sequence, fault.at, fault.why))
}

fn write(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), ParquetError>,
) -> Result<FileSum, LedgerError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let mut file = options.open(path).at("cannot create", path)?;
    fill(&mut file).in_file(path)?;
    file.sync_all().at("cannot sync", path)?;
    let (blake3, bytes) = ChainHash::of_file(path).at("cannot read", path)?;
    Ok(FileSum { bytes, blake3 })
}
