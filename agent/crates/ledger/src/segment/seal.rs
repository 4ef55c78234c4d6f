//! Turns a full log file into a segment.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use serde::Deserialize;
use serde_json::Value;
use watchfire_model::WallTime;

use super::frames::{SealedFrame, write_frames};
use super::schema::{self, ROW_GROUP_ROWS};
use super::{
    FRAMES_FILE, FileSum, FrameRange, MANIFEST_FILE, Manifest, SEGMENTS_DIR, SIGNATURE_FILE, Segment,
    TableSum, UNFINISHED_PREFIX, dir_name,
};
use crate::error::{At as _, InFile as _, LedgerError};
use crate::family::Family;
use crate::field::{Cell, Field, Kind, cell};
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

/// A record in its place: where it stands in the table, and where its line is.
struct Entry {
    family: Family,
    time: i64,
    seq: u64,
    line: Bytes,
    lost: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head<'a> {
    time: Option<WallTime>,
    #[serde(rename = "type", borrow)]
    record_type: std::borrow::Cow<'a, str>,
    lost: Option<u64>,
    suppressed: Option<u64>,
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
        let (first_record, wall_ns) = (frame.facts.first_record, frame.facts.wall_ns);
        take_entries(first_record, wall_ns, Bytes::from(frame.payload), &mut entries);
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

fn take_entries(first_record: u64, wall_ns: i64, payload: Bytes, entries: &mut Vec<Entry>) {
    let mut seq = first_record;
    let mut begin = 0;
    while let Some(length) = payload[begin..].iter().position(|byte| *byte == b'\n') {
        let line = payload.slice(begin..begin + length);
        // What is no record of ours is kept as an event without fields.
        let head: Head<'_> = serde_json::from_slice(&line).unwrap_or_default();
        let family = Family::of_type(&head.record_type);
        let is_loss = family == Family::Loss;
        let lost = head.lost.unwrap_or(0).saturating_add(head.suppressed.unwrap_or(0));
        let time = head.time.map_or(wall_ns, |WallTime(ns)| ns);
        entries.push(Entry { family, time, seq, lost: if is_loss { lost } else { 0 }, line });
        seq += 1;
        begin += length + 1;
    }
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

fn write_table(file: &mut File, family: Family, entries: &[Entry]) -> Result<(), ParquetError> {
    let schema = Arc::new(schema::schema(family)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(schema::properties(family)?))?;
    for entries in entries.chunks(ROW_GROUP_ROWS) {
        write_group(writer.next_row_group()?, family, entries)?;
    }
    writer.close().map(drop)
}

fn write_group<W: std::io::Write + Send>(
    mut group: SerializedRowGroupWriter<'_, W>,
    family: Family,
    entries: &[Entry],
) -> Result<(), ParquetError> {
    let fields: Vec<&Field> = schema::fields_of(family).collect();
    let mut columns: Vec<Vec<Option<Cell>>> = fields.iter().map(|_| Vec::new()).collect();
    for entry in entries {
        let record: Value = serde_json::from_slice(&entry.line).unwrap_or(Value::Null);
        for (field, column) in fields.iter().zip(&mut columns) {
            column.push(cell(field, &record));
        }
    }
    let numbers = |of: fn(&Entry) -> i64| entries.iter().map(of).collect::<Vec<_>>();
    for of in [|entry: &Entry| entry.seq.cast_signed(), |entry: &Entry| entry.time] {
        let mut column = next(&mut group)?;
        column.typed::<Int64Type>().write_batch(&numbers(of), None, None)?;
        column.close()?;
    }
    let mut column = next(&mut group)?;
    let lines: Vec<_> = entries.iter().map(|entry| ByteArray::from(entry.line.clone())).collect();
    column.typed::<ByteArrayType>().write_batch(&lines, None, None)?;
    column.close()?;
    for (field, cells) in fields.iter().zip(columns) {
        let levels: Vec<i16> = cells.iter().map(|cell| cell.is_some().into()).collect();
        let mut column = next(&mut group)?;
        match field.kind {
            Kind::Text | Kind::Ip => {
                let texts = cells.into_iter().flatten().filter_map(|cell| match cell {
                    Cell::Text(text) => Some(ByteArray::from(text.into_bytes())),
                    Cell::Int(_) => None,
                });
                let texts: Vec<_> = texts.collect();
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
            }
            Kind::Int | Kind::Time => {
                let numbers = cells.into_iter().flatten().filter_map(|cell| match cell {
                    Cell::Int(number) => Some(number),
                    Cell::Text(_) => None,
                });
                let numbers: Vec<_> = numbers.collect();
                column.typed::<Int64Type>().write_batch(&numbers, Some(&levels), None)?;
            }
        }
        column.close()?;
    }
    group.close().map(drop)
}

fn next<'a, W: std::io::Write + Send>(
    group: &'a mut SerializedRowGroupWriter<'_, W>,
) -> Result<parquet::file::writer::SerializedColumnWriter<'a>, ParquetError> {
    group.next_column()?.ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))
}
