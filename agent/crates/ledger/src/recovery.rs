//! What is done with what an earlier run left, before anything new is written.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use watchfire_model::WallTime;

use crate::error::{At as _, LedgerError};
use crate::files;
use crate::hash::ChainHash;
use crate::identity::Identity;
use crate::key::PublicKey;
use crate::retention::Horizon;
use crate::segment::{self, SEGMENTS_DIR, Segment, UNFINISHED_PREFIX};
use crate::signed_head::{SIGNED_HEAD_FILE, SignedHead};
use crate::stats::{Head, SealedHead};
use crate::wal::{self, Fault, Position, WalReader};

/// Where bytes are kept that were cut off a log file.
pub const DAMAGED_DIR: &str = "damaged";
/// Ends of the names of files in it: what a write left that was cut off, and what was whole once.
pub(crate) const TORN: &str = "torn";
pub(crate) const DAMAGED: &str = "damaged";
/// How the names of segments in it begin.
pub(crate) const SEGMENT_PREFIX: &str = "segment-";
/// So many torn ends are kept, the newest.
const TORN_FILES_MAX: usize = 16;

/// What a ledger held when it was opened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recovery {
    /// Sealed segments.
    pub segments: u64,
    /// Whole frames in the log.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of torn ends that were cut off, as a crash leaves them.
    pub torn_bytes: u64,
    /// What was found damaged, if anything was. It is kept in the folder `damaged`.
    pub damage: Vec<String>,
}

/// Where writing goes on.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) recovery: Recovery,
    pub(crate) position: Position,
    /// Log files to seal, in order.
    pub(crate) full: Vec<PathBuf>,
    pub(crate) current: Option<Current>,
    /// The last segment that there ever was.
    pub(crate) last_number: u64,
    pub(crate) last_sealed: Option<SealedHead>,
    pub(crate) last_manifest: Option<ChainHash>,
    /// The ledger's own time when that was sealed; none where there is no segment.
    pub(crate) time: Option<WallTime>,
}

/// The log file that is gone on with.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) path: PathBuf,
    pub(crate) begin: Position,
    pub(crate) position: Position,
    pub(crate) bytes: u64,
    pub(crate) payload_bytes: u64,
}

/// Removes what is unfinished, cuts torn ends off, and finds the end of the chain.
pub(crate) fn recover(dir: &Path, identity: &Identity, key: &PublicKey) -> Result<Recovered, LedgerError> {
    remove_unfinished(dir)?;
    let signed = SignedHead::read(dir, identity.id, key)?;
    let mut recovery = Recovery::default();
    let horizon = match Horizon::read(dir) {
        Err(error) if error.is_damage() => {
            recovery.damage.push(error.in_full());
            None
        }
        horizon => horizon?,
    };
    let last_segment = recover_segments(dir, &mut recovery)?;
    let last_readable = last_segment.as_ref().map_or(0, |segment| segment.manifest.segment);
    let mut position = match (&last_segment, &horizon) {
        (Some(segment), _) => end_of(&segment.manifest.frames),
        (None, Some(horizon)) => end_of(&horizon.frames),
        (None, None) => {
            Position { next_sequence: 1, next_record: 1, previous: ChainHash::genesis(&identity.id.0) }
        }
    };
    let mut recovered = Recovered {
        recovery,
        position,
        full: Vec::new(),
        current: None,
        // That of one which was set aside, now or earlier, is not given again: it may have been shipped.
        last_number: last_readable
            .max(last_set_aside(dir)?)
            .max(horizon.as_ref().map_or(0, |horizon| horizon.segment)),
        last_sealed: match (&last_segment, &horizon) {
            (Some(segment), _) => Some(sealed(segment.manifest.segment, &segment.manifest.frames)),
            (None, Some(horizon)) => Some(sealed(horizon.segment, &horizon.frames)),
            (None, None) => None,
        },
        last_manifest: last_segment
            .as_ref()
            .map(|segment| segment.manifest_hash)
            .or(horizon.map(|horizon| horizon.manifest)),
        time: last_segment.as_ref().map(|segment| segment.manifest.ledger_time()),
    };
    for (_, path) in wal::list(dir)? {
        let Some(current) = recover_file(dir, &path, &signed, &mut recovered.recovery)? else { continue };
        // Sealed, but the crash came before it was removed.
        if current.position.next_sequence <= recovered.position.next_sequence && recovered.current.is_none() {
            files::remove_if_there(&path)?;
            continue;
        }
        if current.begin != position {
            recovered.recovery.damage.push(format!(
                "{}: it begins with frame {}, expected frame {}: what lies between is missing",
                path.display(),
                current.begin.next_sequence,
                position.next_sequence
            ));
        }
        position = current.position;
        recovered.full.extend(recovered.current.replace(current).map(|full| full.path));
    }
    recovered.position = position;
    let last = position.next_sequence - 1;
    let why = match &signed {
        Some(Err(why)) => Some((*why).to_owned()),
        // What was cut off as damage is told already.
        Some(Ok(signed)) if signed.frame > last && recovered.recovery.damage.is_empty() => {
            Some(format!("frame {} was signed, but the last that is there is {last}", signed.frame))
        }
        _ => None,
    };
    if let Some(why) = why {
        recovered.recovery.damage.push(format!("{}: {why}", dir.join(SIGNED_HEAD_FILE).display()));
    }
    if !recovered.recovery.damage.is_empty() && signed.is_some() {
        keep_signed_head(dir, last)?;
    }
    Ok(recovered)
}

const fn sealed(segment: u64, frames: &segment::FrameRange) -> SealedHead {
    SealedHead { segment, head: Head { sequence: frames.last, hash: frames.last_hash } }
}

/// The next signature must not replace what shows that something is missing.
fn keep_signed_head(dir: &Path, last: u64) -> Result<(), LedgerError> {
    let path = dir.join(SIGNED_HEAD_FILE);
    let bytes = fs::read(&path).at("cannot read", &path)?;
    files::make_dir(&dir.join(DAMAGED_DIR))?;
    files::replace(&dir.join(DAMAGED_DIR).join(format!("head-{last}.{DAMAGED}")), &bytes)?;
    files::remove_if_there(&path).map(drop)
}

pub(crate) fn end_of(frames: &segment::FrameRange) -> Position {
    Position {
        next_sequence: frames.last + 1,
        next_record: frames.last_record + 1,
        previous: frames.last_hash,
    }
}

fn remove_unfinished(dir: &Path) -> Result<(), LedgerError> {
    let segments = dir.join(SEGMENTS_DIR);
    for entry in fs::read_dir(&segments).at("cannot list", &segments)? {
        let path = entry.at("cannot list", &segments)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(UNFINISHED_PREFIX)) {
            fs::remove_dir_all(&path).at("cannot remove", &path)?;
        }
    }
    Ok(())
}

/// Reads all manifests, sets segments aside whose manifest is damaged, and answers the last of the others.
fn recover_segments(dir: &Path, recovery: &mut Recovery) -> Result<Option<Segment>, LedgerError> {
    let mut last = None;
    for (_, path) in segment::list(dir)? {
        match Segment::read(&path) {
            Err(error) if error.is_damage() => {
                recovery.damage.push(error.in_full());
                set_aside(dir, &path)?;
            }
            segment => {
                let Some(segment) = segment? else { continue };
                recovery.segments += 1;
                last = Some(segment);
            }
        }
    }
    Ok(last)
}

/// The greatest number of the segments that were set aside; 0 where none was.
fn last_set_aside(dir: &Path) -> Result<u64, LedgerError> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.strip_prefix(SEGMENT_PREFIX)?.parse().ok();
    Ok(damaged_files(dir, DAMAGED)?.iter().filter_map(number).max().unwrap_or(0))
}

/// Moves a segment to what is damaged, as it is.
fn set_aside(dir: &Path, segment: &Path) -> Result<(), LedgerError> {
    let damaged = dir.join(DAMAGED_DIR);
    files::make_dir(&damaged)?;
    let name = segment.file_name().unwrap_or_default().to_string_lossy();
    let aside = damaged.join(format!("{SEGMENT_PREFIX}{name}.{DAMAGED}"));
    fs::rename(segment, &aside).at("cannot rename to", &aside)?;
    files::sync_dir(&dir.join(SEGMENTS_DIR))
}

/// Reads a log file through and cuts off what is no frame; none if nothing of it is left.
fn recover_file(
    dir: &Path,
    path: &Path,
    signed: &Option<Result<SignedHead, &'static str>>,
    recovery: &mut Recovery,
) -> Result<Option<Current>, LedgerError> {
    let mut reader = match WalReader::open(path) {
        Err(LedgerError::Malformed { path, why }) => {
            recovery.damage.push(format!("{}: {why}", path.display()));
            let bytes = fs::metadata(&path).at("cannot look at", &path)?.len();
            keep(dir, &path, 0, bytes, DAMAGED)?;
            files::remove_if_there(&path)?;
            return Ok(None);
        }
        reader => reader?,
    };
    let mut payload_bytes = 0;
    while let Some(frame) = reader.next()? {
        match frame {
            Ok(frame) => {
                recovery.frames += 1;
                recovery.records += u64::from(frame.facts.records);
                payload_bytes += u64::from(frame.facts.payload_bytes);
                if let Some(Ok(signed)) = signed
                    && signed.frame == frame.facts.sequence
                    && signed.hash != frame.hash
                {
                    let why = format!("frame {} is not the one that was signed", signed.frame);
                    recovery.damage.push(format!("{}: {why}", path.display()));
                }
            }
            Err(fault) => {
                if fault.is_tail {
                    recovery.torn_bytes += fault.bytes;
                } else {
                    recovery.damage.push(format!(
                        "{}: frame {} at byte {}: {}",
                        path.display(),
                        fault.sequence,
                        fault.at,
                        fault.why
                    ));
                }
                cut(dir, path, &fault)?;
            }
        }
    }
    let (begin, position, bytes) = (reader.header().position, reader.position(), reader.offset());
    Ok(Some(Current { path: path.to_owned(), begin, position, bytes, payload_bytes }))
}

/// Cuts a log file off before the fault. What is cut off is kept elsewhere first.
pub(crate) fn cut(dir: &Path, path: &Path, fault: &Fault) -> Result<(), LedgerError> {
    keep(dir, path, fault.at, fault.bytes, if fault.is_tail { TORN } else { DAMAGED })?;
    let file = OpenOptions::new().write(true).open(path).at("cannot open", path)?;
    file.set_len(fault.at).at("cannot cut", path)?;
    file.sync_all().at("cannot sync", path)
}

fn keep(dir: &Path, path: &Path, at: u64, bytes: u64, kind: &str) -> Result<(), LedgerError> {
    let damaged = dir.join(DAMAGED_DIR);
    files::make_dir(&damaged)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut file = File::open(path).at("cannot open", path)?;
    file.seek(SeekFrom::Start(at)).at("cannot seek in", path)?;
    let mut rest = Vec::new();
    file.take(bytes).read_to_end(&mut rest).at("cannot read", path)?;
    files::replace(&damaged.join(format!("{stem}-{at}.{kind}")), &rest)?;
    let mut torn = damaged_files(dir, TORN)?;
    torn.truncate(torn.len().saturating_sub(TORN_FILES_MAX));
    for path in torn {
        files::remove_if_there(&path)?;
    }
    Ok(())
}

/// Files of what was cut off, the oldest first.
pub(crate) fn damaged_files(dir: &Path, kind: &str) -> Result<Vec<PathBuf>, LedgerError> {
    let damaged = dir.join(DAMAGED_DIR);
    if !damaged.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(&damaged).at("cannot list", &damaged)? {
        let path = entry.at("cannot list", &damaged)?.path();
        if path.extension().is_some_and(|extension| extension == kind) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
