//! Sealed segments: signatures, checksums, and the chain through their frames, computed again from their rows.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::blame::blame;
use super::{Chain, Fault, Stop};
use crate::error::{At as _, LedgerError};
use crate::family::Family;
use crate::files;
use crate::hash::{ChainHash, FrameHasher};
use crate::key::PublicKey;
use crate::recovery::end_of;
use crate::retention::{Horizon, RETIRED_FILE, Retired, SIGNATURE_SUFFIX};
use crate::sealed::SignedHorizon;
use crate::segment::{
    FRAMES_FILE, FileSum, MANIFEST_FILE, SEQ, SIGNATURE_FILE, Segment, TableReader, read_frames,
};
use crate::wal::Position;

/// How many segments stand before the one that holds a frame, or before the last if none does any more.
pub(super) fn segments_before(segments: &[(u64, PathBuf)], frame: u64) -> Result<usize, Stop> {
    for (at, (_, path)) in segments.iter().enumerate().rev() {
        let Some(segment) = Segment::read(path)? else { continue };
        if segment.manifest.frames.first <= frame {
            return Ok(at);
        }
    }
    Ok(0)
}

/// Checks segments, in order.
pub(super) fn check_segments(dir: &Path, segments: &[(u64, PathBuf)], chain: &mut Chain) -> Result<(), Stop> {
    for (number, path) in segments {
        let manifest_path = path.join(MANIFEST_FILE);
        let number = *number;
        let Some(segment) = Segment::read(path)? else {
            return Err(Fault::new(&manifest_path, "it is missing").into());
        };
        pass_removed(dir, number, chain)?;
        let checked = check_segment(&segment, number, chain);
        checked.map_err(|stop| match stop {
            Stop::Fault(fault) => Stop::Fault(Fault { segment: Some(number), ..fault }),
            Stop::Error(LedgerError::Malformed { path, why }) => {
                Stop::Fault(Fault { segment: Some(number), ..Fault::new(&path, why) })
            }
            Stop::Error(LedgerError::Parquet { path, source }) => {
                Stop::Fault(Fault { segment: Some(number), ..Fault::new(&path, source.to_string()) })
            }
            error @ Stop::Error(_) => error,
        })?;
    }
    Ok(())
}

/// Goes on behind segments that were removed, where a bundle of what was shipped says so, signed.
fn pass_removed(dir: &Path, number: u64, chain: &mut Chain) -> Result<(), Stop> {
    let path = dir.join(SignedHorizon::file_in_bundle(number.saturating_sub(1)));
    let Some(horizon) = Horizon::read_file(&path)? else { return Ok(()) };
    check_signature(&path, &chain.key)?;
    let is_behind = chain.position.is_none_or(|position| position.next_sequence <= horizon.frames.first);
    if horizon.segment + 1 != number || !is_behind {
        return Err(Fault::new(&path, "it does not stand for what is missing here").into());
    }
    let note =
        format!("segments before {number} are missing: retention removed them before they were shipped");
    chain.intact.notes.push(note);
    chain.manifest = Some(Some(horizon.manifest));
    chain.position = Some(end_of(&horizon.frames));
    Ok(())
}

fn check_segment(segment: &Segment, number: u64, chain: &mut Chain) -> Result<(), Stop> {
    let path = segment.dir.join(MANIFEST_FILE);
    let Segment { dir, manifest, manifest_hash: _ } = segment;
    let first = manifest.frames.first;
    let signature = files::read_if_there(&dir.join(SIGNATURE_FILE))?.unwrap_or_default();
    let bytes = std::fs::read(&path).at("cannot read", &path)?;
    if !chain.key.verifies(&bytes, &signature) {
        return Err(Fault::new(&path, "it is not signed by the node's key").at_frame(first).into());
    }
    if manifest.ledger != chain.identity.id || manifest.segment != number {
        return Err(Fault::new(&path, "it is of another ledger or segment").at_frame(first).into());
    }
    let frames = &manifest.frames;
    let begin =
        Position { next_sequence: first, next_record: frames.first_record, previous: frames.previous_hash };
    if let Some(position) = chain.position
        && position != begin
    {
        let why = format!(
            "it begins with frame {first}, which does not follow frame {}",
            position.next_sequence - 1
        );
        return Err(Fault::new(&path, why).at_frame(position.next_sequence).into());
    }
    if chain.manifest.is_some_and(|before| manifest.previous_manifest != before) {
        return Err(Fault::new(&path, "it does not name the manifest before it").at_frame(first).into());
    }

    let retired = Retired::read(dir)?;
    if let Some(retired) = &retired {
        check_signature(&dir.join(RETIRED_FILE), &chain.key)?;
        if retired.manifest != segment.manifest_hash {
            return Err(Fault::new(&dir.join(RETIRED_FILE), "it is of another segment").into());
        }
    }
    let is_retired =
        |family: &Family| retired.as_ref().is_some_and(|retired| retired.tables.contains(family));
    check_sum(&dir.join(FRAMES_FILE), &manifest.frames_file)?;
    for (family, table) in &manifest.tables {
        if !is_retired(family) {
            let sum = check_sum(&dir.join(family.file_name()), &table.file);
            sum.map_err(|stop| match stop {
                Stop::Fault(fault) if retired.is_none() => Stop::Fault(blame(segment, fault)),
                stop => stop,
            })?;
        }
    }
    check_frames(segment, retired.is_none(), chain)?;
    chain.manifest = Some(Some(segment.manifest_hash));
    chain.intact.segments += 1;
    chain.intact.lost += manifest.lost;
    Ok(())
}

/// Whether a file has the signature that stands beside it.
pub(super) fn check_signature(path: &Path, key: &PublicKey) -> Result<(), Stop> {
    let mut signature = path.as_os_str().to_owned();
    signature.push(SIGNATURE_SUFFIX);
    let signature = files::read_if_there(Path::new(&signature))?.unwrap_or_default();
    let bytes = std::fs::read(path).at("cannot read", path)?;
    if key.verifies(&bytes, &signature) {
        Ok(())
    } else {
        Err(Fault::new(path, "it is not signed by the node's key").into())
    }
}

fn check_sum(path: &Path, expected: &FileSum) -> Result<(), Stop> {
    if !path.exists() {
        return Err(Fault::new(path, "it is missing").into());
    }
    let (blake3, bytes) = ChainHash::of_file(path).at("cannot read", path)?;
    if (FileSum { bytes, blake3 }) == *expected {
        return Ok(());
    }
    let why = if bytes == expected.bytes {
        "its checksum is not the one in the manifest".to_owned()
    } else {
        format!("it has {bytes} bytes, the manifest says {}", expected.bytes)
    };
    Err(Fault::new(path, why).into())
}

/// Computes the hashes again. Where records are missing by right, the hashes are taken as the signed file has them.
fn check_frames(segment: &Segment, is_whole: bool, chain: &mut Chain) -> Result<(), Stop> {
    let path = segment.dir.join(FRAMES_FILE);
    let range = &segment.manifest.frames;
    let frames = read_frames(&path)?;
    let lines = if is_whole { Some(lines(segment)?) } else { None };
    let mut position = Position {
        next_sequence: range.first,
        next_record: range.first_record,
        previous: range.previous_hash,
    };
    for frame in &frames {
        let facts = &frame.facts;
        let at = |why: &str| Fault::new(&path, why).at_frame(facts.sequence);
        if facts.sequence != position.next_sequence || facts.first_record != position.next_record {
            return Err(at("it does not have the number that follows").into());
        }
        if let Some(lines) = &lines {
            let first = (facts.first_record - range.first_record) as usize;
            let of_frame = lines.get(first..first + facts.records as usize);
            let of_frame = of_frame.ok_or_else(|| at("its records are not all there"))?;
            let mut hasher = FrameHasher::new(&position.previous, facts);
            for (at_line, (seq, line)) in of_frame.iter().enumerate() {
                if *seq != facts.first_record + at_line as u64 {
                    return Err(at("its records are not all there").into());
                }
                hasher.update(line);
                hasher.update(b"\n");
            }
            if hasher.finish() != frame.hash {
                return Err(at("its hash does not follow from the frame before and its records").into());
            }
            chain.intact.frames += 1;
            chain.intact.records += u64::from(facts.records);
        } else {
            chain.intact.thinned_frames += 1;
        }
        chain.pass(facts.sequence, frame.hash, &path)?;
        position = Position {
            next_sequence: facts.sequence + 1,
            next_record: facts.first_record + u64::from(facts.records),
            previous: frame.hash,
        };
    }
    let end = Position {
        next_sequence: range.last + 1,
        next_record: range.last_record + 1,
        previous: range.last_hash,
    };
    if position != end {
        let why = "its frames do not end as its manifest says";
        return Err(Fault::new(&path, why).at_frame(position.next_sequence).into());
    }
    chain.position = Some(end);
    chain.intact.signed_frame = range.last;
    Ok(())
}

/// All lines of a segment by their numbers: no more than one log file had.
fn lines(segment: &Segment) -> Result<Vec<(u64, bytes::Bytes)>, Stop> {
    let mut lines = Vec::new();
    for (family, expected) in &segment.manifest.tables {
        let path = segment.dir.join(family.file_name());
        let table = TableReader::open(&path, expected)?;
        let before = lines.len();
        for group in 0..table.groups() {
            let numbers = table.numbers(group, SEQ)?;
            let mut of_group = table.lines(group)?;
            for (row, seq) in numbers.into_iter().enumerate() {
                lines.push((seq.cast_unsigned(), of_group.get(row)?));
            }
        }
        if (lines.len() - before) as u64 != expected.records {
            return Err(Fault::new(&path, "it has not as many records as its manifest says").into());
        }
    }
    lines.sort_unstable_by_key(|(seq, _)| *seq);
    let distinct: HashSet<u64> = lines.iter().map(|(seq, _)| *seq).collect();
    if distinct.len() != lines.len() {
        let path = segment.dir.join(MANIFEST_FILE);
        return Err(Fault::new(&path, "two of its records have one number").into());
    }
    Ok(lines)
}
