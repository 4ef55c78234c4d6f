//! Evidence to take away: a folder that verifies wherever it is.
//!
//! It has whole segments and log files, since only whole frames can be checked, and in `records.jsonl` the records that
//! were asked for.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use watchfire_model::WallTime;

use crate::clock::wall_now;
use crate::error::{At as _, LedgerError};
use crate::files::{self, FILE_MODE};
use crate::hash::ChainHash;
use crate::identity::{FORMAT, Identity};
use crate::key::{KEY_FILE, NodeKey, PUBLIC_KEY_FILE, PublicKey};
use crate::retention::SIGNATURE_SUFFIX;
use crate::sealed::SealedSegment;
use crate::search::{Explanation, Search, SearchQuery, time_range};
use crate::segment::{self, FileSum, SEGMENTS_DIR, Segment};
use crate::signed_head::SIGNED_HEAD_FILE;
use crate::wal::{self, WAL_DIR, WalReader};

/// What was asked, and checksums of everything in the bundle.
pub const QUERY_FILE: &str = "bundle.json";
/// The records that were asked for, one JSON object a line, in the order of time.
pub const RECORDS_FILE: &str = "records.jsonl";

/// What is taken.
#[derive(Clone, Debug)]
pub struct BundleQuery {
    /// Which records.
    pub search: SearchQuery,
    /// Version of whoever makes the bundle.
    pub agent_version: String,
    /// The node's private key, where it is not in the ledger's directory.
    pub key: Option<PathBuf>,
}

/// What a bundle says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bundle {
    /// Format of the bundle.
    pub format: u32,
    /// Version of whoever made it.
    pub agent_version: String,
    /// When it was made.
    pub made_at: WallTime,
    /// Nothing older was asked for.
    pub since: Option<WallTime>,
    /// Nothing newer was asked for.
    pub until: Option<WallTime>,
    /// The filter.
    pub filter: String,
    /// Records that were found.
    pub records: u64,
    /// Segments that the bundle has.
    pub segments: u64,
    /// Whether this file is signed with the node's key: not where whoever made the bundle did not have it, as for a
    /// bundle out of a bundle.
    #[serde(default)]
    pub signed: bool,
    /// Files of segments that are not as they were sealed, and why: what they hold is in none of the records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
    /// Every file but this one.
    pub files: BTreeMap<String, FileSum>,
}

/// Makes a bundle of what matches. The folder must not be there yet. The ledger may be written to meanwhile.
pub fn export(ledger: &Path, bundle: &Path, query: &BundleQuery) -> Result<Bundle, LedgerError> {
    let Some(identity) = Identity::read(ledger)? else {
        return Err(LedgerError::NoLedger { path: ledger.to_owned(), why: "it has no ledger.json" });
    };
    let key = signing_key(ledger, query.key.as_deref())?;
    // Read before the log: it never signs more than that has.
    let signed_head = files::read_if_there(&ledger.join(SIGNED_HEAD_FILE))?;
    fs::create_dir(bundle).at("cannot create", bundle)?;
    let mut maker = Maker { bundle, sums: BTreeMap::new() };
    let range = (query.search.since, query.search.until);
    let segments = maker.copy_frames(ledger, range)?;
    identity.write(bundle)?;
    maker.sum("ledger.json")?;
    if let Some(signed_head) = signed_head
        && bundle.join(WAL_DIR).exists()
    {
        files::write_new(&bundle.join(SIGNED_HEAD_FILE), &signed_head)?;
        maker.sum(SIGNED_HEAD_FILE)?;
    }
    maker.copy(&ledger.join(PUBLIC_KEY_FILE), PUBLIC_KEY_FILE)?;
    let (records, damaged) = maker.write_records(query.search.clone())?;
    let bundle = Bundle {
        format: FORMAT,
        agent_version: query.agent_version.clone(),
        made_at: wall_now(),
        since: range.0,
        until: range.1,
        filter: query.search.filter.to_string(),
        records,
        segments,
        signed: key.is_some(),
        damaged,
        files: maker.sums,
    };
    bundle.write(maker.bundle, key.as_ref())?;
    Ok(bundle)
}

/// Makes a bundle of a folder that has a ledger's files already: everything of a time, without a file of its records.
pub fn close_bundle(
    dir: &Path,
    agent_version: &str,
    (since, until): (Option<WallTime>, Option<WallTime>),
) -> Result<Bundle, LedgerError> {
    let (mut records, mut segments) = (0, 0);
    for number in SealedSegment::numbers(dir)? {
        let Some(segment) = SealedSegment::read(dir, number)? else { continue };
        segments += 1;
        records += segment.tables().map(|family| segment.manifest.tables[&family].records).sum::<u64>();
    }
    let mut maker = Maker { bundle: dir, sums: BTreeMap::new() };
    maker.sum_all("")?;
    let bundle = Bundle {
        format: FORMAT,
        agent_version: agent_version.to_owned(),
        made_at: wall_now(),
        since,
        until,
        filter: String::new(),
        records,
        segments,
        signed: false,
        damaged: Vec::new(),
        files: maker.sums,
    };
    bundle.write(dir, None)?;
    Ok(bundle)
}

impl Bundle {
    fn write(&self, dir: &Path, key: Option<&NodeKey>) -> Result<(), LedgerError> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("it has string keys only");
        bytes.push(b'\n');
        if let Some(key) = key {
            let signature = format!("{QUERY_FILE}{SIGNATURE_SUFFIX}");
            files::write_new(&dir.join(signature), key.sign(&bytes).as_bytes())?;
        }
        files::write_new(&dir.join(QUERY_FILE), &bytes)?;
        files::sync_dir(dir)
    }
}

/// The node's private key; none where it is neither named nor in the directory.
fn signing_key(ledger: &Path, named: Option<&Path>) -> Result<Option<NodeKey>, LedgerError> {
    let path = named.map_or_else(|| ledger.join(KEY_FILE), Path::to_owned);
    let Some(key) = NodeKey::read(&path)? else {
        return match named {
            Some(_) => Err(LedgerError::Key { path, why: "there is no such file" }),
            None => Ok(None),
        };
    };
    if key.public() != PublicKey::read(&ledger.join(PUBLIC_KEY_FILE))? {
        return Err(LedgerError::Key { path, why: "it is not the key that this ledger is signed with" });
    }
    Ok(Some(key))
}

struct Maker<'a> {
    bundle: &'a Path,
    sums: BTreeMap<String, FileSum>,
}

impl Maker<'_> {
    /// Copies what overlaps the time, without a gap in the chain. Log files first: what is sealed meanwhile is then met
    /// as a segment too, which does no harm. Says how many segments there are.
    fn copy_frames(
        &mut self,
        ledger: &Path,
        (since, until): (Option<WallTime>, Option<WallTime>),
    ) -> Result<u64, LedgerError> {
        let overlaps = |earliest: WallTime, latest: WallTime| {
            since.is_none_or(|since| since <= latest) && until.is_none_or(|until| earliest <= until)
        };
        let logs = wal::open_all(ledger)?;
        let mut segments = Vec::new();
        for (_, path) in segment::list(ledger)? {
            segments.extend(Segment::read(&path)?);
        }
        let wanted = |segment: &Segment| {
            let mut tables = segment.manifest.tables.values();
            tables.any(|table| overlaps(table.earliest, table.latest))
        };
        let first = segments.iter().position(&wanted);
        let sealed = segments.last().map_or(0, |segment| segment.manifest.frames.last);
        let mut wanted_logs = Vec::new();
        for (file, path) in logs {
            let reader = WalReader::of(wal::reopen(&file, &path)?, &path)?;
            let is_newer = reader.header().position.next_sequence > sealed;
            let range = if is_newer { time_range(reader, &mut Explanation::default())? } else { None };
            // Behind one that is wanted, none is left out.
            if range.is_some_and(|(earliest, latest)| overlaps(earliest, latest) || !wanted_logs.is_empty()) {
                wanted_logs.push((file, path));
            }
        }
        let all = segments.len().checked_sub(1);
        let last = if wanted_logs.is_empty() { segments.iter().rposition(&wanted) } else { all };
        let mut copied = 0;
        // Without a wanted segment, the log stands alone.
        if let (Some(first), Some(last)) = (first, last) {
            for segment in &segments[first..=last] {
                self.copy_segment(segment)?;
                copied += 1;
            }
        }
        for (file, path) in wanted_logs {
            self.copy_log(&file, &path)?;
        }
        Ok(copied)
    }

    fn copy_segment(&mut self, segment: &Segment) -> Result<(), LedgerError> {
        let name = segment::dir_name(segment.manifest.segment);
        let to = format!("{SEGMENTS_DIR}/{name}");
        files::make_dir(&self.bundle.join(&to))?;
        for entry in fs::read_dir(&segment.dir).at("cannot list", &segment.dir)? {
            let path = entry.at("cannot list", &segment.dir)?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.copy(&path, &format!("{to}/{file}"))?;
        }
        Ok(())
    }

    /// Copies the whole frames of a log file.
    fn copy_log(&mut self, file: &File, path: &Path) -> Result<(), LedgerError> {
        let mut reader = WalReader::of(wal::reopen(file, path)?, path)?;
        while let Some(Ok(_)) = reader.next()? {}
        let mut bytes = Vec::new();
        let file = wal::reopen(file, path)?;
        file.take(reader.offset()).read_to_end(&mut bytes).at("cannot read", path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to = format!("{WAL_DIR}/{name}");
        files::make_dir(&self.bundle.join(WAL_DIR))?;
        files::write_new(&self.bundle.join(&to), &bytes)?;
        self.sum(&to)
    }

    /// Out of the bundle itself, so that what it tells is what it proves.
    fn write_records(&mut self, query: SearchQuery) -> Result<(u64, Vec<String>), LedgerError> {
        let path = self.bundle.join(RECORDS_FILE);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        let mut out = BufWriter::new(options.open(&path).at("cannot create", &path)?);
        let mut records = 0;
        let mut search = Search::open(self.bundle, query)?;
        for found in search.by_ref() {
            let line = found?.line;
            out.write_all(&line).and_then(|()| out.write_all(b"\n")).at("cannot write", &path)?;
            records += 1;
        }
        out.flush().at("cannot write", &path)?;
        out.get_ref().sync_all().at("cannot sync", &path)?;
        self.sum(RECORDS_FILE)?;
        Ok((records, search.explanation().damaged.clone()))
    }

    fn copy(&mut self, from: &Path, to: &str) -> Result<(), LedgerError> {
        let path = self.bundle.join(to);
        fs::copy(from, &path).at("cannot copy to", &path)?;
        File::open(&path).and_then(|file| file.sync_all()).at("cannot sync", &path)?;
        self.sum(to)
    }

    /// Every file below a folder of the bundle.
    fn sum_all(&mut self, folder: &str) -> Result<(), LedgerError> {
        let path = self.bundle.join(folder);
        for entry in fs::read_dir(&path).at("cannot list", &path)? {
            let entry = entry.at("cannot list", &path)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type().at("cannot look at", &path)?.is_dir() {
                self.sum_all(&name)?;
            } else {
                self.sum(&name)?;
            }
        }
        Ok(())
    }

    fn sum(&mut self, name: &str) -> Result<(), LedgerError> {
        let path = self.bundle.join(name);
        let (blake3, bytes) = ChainHash::of_file(&path).at("cannot read", &path)?;
        self.sums.insert(name.to_owned(), FileSum { bytes, blake3 });
        Ok(())
    }
}

/// Compares files with the checksums of a bundle: a note of what it is, or which file differs. None if it is no bundle.
#[expect(clippy::type_complexity, reason = "an answer for those who check, around what may go wrong")]
pub(crate) fn check_files(
    dir: &Path,
    key: &PublicKey,
) -> Result<Option<Result<String, (PathBuf, String)>>, LedgerError> {
    let path = dir.join(QUERY_FILE);
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
    let bundle: Bundle =
        serde_json::from_slice(&bytes).map_err(|error| LedgerError::malformed(&path, error.to_string()))?;
    let signature = files::read_if_there(&dir.join(format!("{QUERY_FILE}{SIGNATURE_SUFFIX}")))?;
    if bundle.signed || signature.is_some() {
        let is_right = signature.is_some_and(|signature| key.verifies(&bytes, &signature));
        if !is_right {
            return Ok(Some(Err((path, "it is not signed by the node's key, as it says it is".to_owned()))));
        }
    }
    for (name, expected) in &bundle.files {
        let is_inside =
            Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let path = dir.join(name);
        if !is_inside {
            return Ok(Some(Err((path, "its name leads out of the bundle".to_owned()))));
        }
        if !path.exists() {
            return Ok(Some(Err((path, "it is missing".to_owned()))));
        }
        let (blake3, bytes) = ChainHash::of_file(&path).at("cannot read", &path)?;
        if (FileSum { bytes, blake3 }) != *expected {
            return Ok(Some(Err((path, format!("its checksum is not the one in {QUERY_FILE}")))));
        }
    }
    let Bundle { agent_version, made_at, records, signed, .. } = bundle;
    let by = if signed {
        "signed with the node's key"
    } else {
        "not signed: made without the node's key, so that what was asked for and left out is not proved"
    };
    Ok(Some(Ok(format!("a bundle of {records} records, made by {agent_version} at {made_at}, {by}"))))
}
