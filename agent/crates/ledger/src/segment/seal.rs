//! Turns a full log file into a segment.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use watchfire_model::WallTime;

use super::footer::footer_hash;
use super::frames::write_frames;
use super::index::Index;
use super::schema::ROW_GROUP_ROWS;
use super::writer::write_table;
use super::{
    FRAMES_FILE, FileSum, FrameRange, MANIFEST_FILE, Manifest, SEGMENTS_DIR, SIGNATURE_FILE, Segment,
    TableSum, UNFINISHED_PREFIX, dir_name,
};
use crate::clock::LedgerTime;
use crate::error::{At as _, InFile as _, LedgerError};
use crate::files::{self, FILE_MODE};
use crate::hash::ChainHash;
use crate::identity::FORMAT;
use crate::key::NodeKey;
use crate::wal::WalReader;

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
pub(crate) fn seal(
    wal: &Path,
    sealed: &Sealed<'_>,
    time: &LedgerTime,
) -> Result<Option<Segment>, LedgerError> {
    let reader = WalReader::open(wal)?;
    let previous_hash = reader.header().position.previous;
    let ledger = reader.header().ledger;
    let mut index = Index::of(reader, wal)?;
    let (Some(first), Some(last)) = (index.frames.first(), index.frames.last()) else { return Ok(None) };
    let range = FrameRange {
        first: first.facts.sequence,
        last: last.facts.sequence,
        first_record: first.facts.first_record,
        last_record: last.facts.first_record + u64::from(last.facts.records) - 1,
        previous_hash,
        last_hash: last.hash,
    };

    let segments = sealed.ledger.join(SEGMENTS_DIR);
    let dir = segments.join(format!("{UNFINISHED_PREFIX}{}", dir_name(sealed.segment)));
    if dir.exists() {
        fs::remove_dir_all(&dir).at("cannot remove", &dir)?;
    }
    files::make_dir(&dir)?;
    let mut tables = BTreeMap::new();
    let records = std::mem::take(&mut index.records);
    for records in records.chunk_by(|one, other| one.family == other.family) {
        let family = records[0].family;
        let path = dir.join(family.file_name());
        let groups = records.chunks(ROW_GROUP_ROWS).map(|records| index.read(wal, records));
        let file = write(&path, |file| write_table(file, &path, family, groups))?;
        let footer = Some(footer_hash(&File::open(&path).at("cannot open", &path)?, &path)?);
        let [earliest, latest] = [0, records.len() - 1].map(|at| WallTime(records[at].time));
        tables.insert(family, TableSum { records: records.len() as u64, earliest, latest, footer, file });
    }
    let frames_path = dir.join(FRAMES_FILE);
    let manifest = Manifest {
        format: FORMAT,
        ledger,
        segment: sealed.segment,
        node: sealed.node.to_owned(),
        agent_version: sealed.agent_version.to_owned(),
        sealed_at: time.wall(),
        ledger_time: Some(time.now()),
        previous_manifest: sealed.previous_manifest,
        frames: range,
        payload_bytes: index.frames.iter().map(|frame| u64::from(frame.facts.payload_bytes)).sum(),
        lost: index.lost,
        frames_file: write(&frames_path, |file| write_frames(file, &index.frames).in_file(&frames_path))?,
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

fn write(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), LedgerError>,
) -> Result<FileSum, LedgerError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let mut file = options.open(path).at("cannot create", path)?;
    fill(&mut file)?;
    file.sync_all().at("cannot sync", path)?;
    let (blake3, bytes) = ChainHash::of_file(path).at("cannot read", path)?;
    Ok(FileSum { bytes, blake3 })
}
