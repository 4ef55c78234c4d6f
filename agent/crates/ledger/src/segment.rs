//! A sealed segment: a folder with one Parquet file a table, the hashes of its frames, and a signed manifest.

mod column;
mod entry;
mod footer;
mod frames;
mod index;
mod manifest;
mod pages;
mod reader;
mod schema;
mod seal;
mod writer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{At as _, LedgerError};
use crate::files;
use crate::hash::ChainHash;

pub use self::column::{Column, ColumnValues};
pub(crate) use self::entry::{Entry, Told};
pub(crate) use self::frames::read_frames;
pub use self::manifest::{FileSum, FrameRange, Manifest, TableSum};
pub(crate) use self::reader::{Lines, TableReader};
pub(crate) use self::schema::{RECORD, SEQ, TIME};
pub(crate) use self::seal::{Sealed, seal};
pub use self::writer::TableWriter;

/// The folder of sealed segments within a ledger.
pub(crate) const SEGMENTS_DIR: &str = "segments";
pub(crate) const MANIFEST_FILE: &str = "manifest.json";
pub(crate) const SIGNATURE_FILE: &str = "manifest.sig";
pub(crate) const FRAMES_FILE: &str = "frames.parquet";
/// What the folder of a segment is called until all of it is written.
pub(crate) const UNFINISHED_PREFIX: &str = "new-";

/// A segment that is there as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) manifest_hash: ChainHash,
}

impl Segment {
    /// Reads the manifest; none if the folder went meanwhile.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, LedgerError> {
        let path = dir.join(MANIFEST_FILE);
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        let manifest = Manifest::parse(&bytes, &path)?;
        Ok(Some(Self { dir: dir.to_owned(), manifest, manifest_hash: ChainHash::of(&bytes) }))
    }
}

/// The name of a segment's folder.
pub(crate) fn dir_name(number: u64) -> String {
    format!("{number:012}")
}

/// Numbers and folders of the segments of a ledger, in order.
pub(crate) fn list(ledger: &Path) -> Result<Vec<(u64, PathBuf)>, LedgerError> {
    let dir = ledger.join(SEGMENTS_DIR);
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("cannot list", &dir)?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.at("cannot list", &dir)?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        if let Some(number) = number {
            segments.push((number, path));
        }
    }
    segments.sort();
    Ok(segments)
}
