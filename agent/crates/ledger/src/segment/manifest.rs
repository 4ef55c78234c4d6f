//! What a segment's manifest says.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use watchfire_model::WallTime;

use crate::error::LedgerError;
use crate::family::Family;
use crate::hash::ChainHash;
use crate::identity::{FORMAT, LedgerId};

/// `manifest.json`, over whose bytes `manifest.sig` is the signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the segment.
    pub format: u32,
    /// Id of the ledger.
    pub ledger: LedgerId,
    /// Number of the segment; the first of a ledger is 1.
    pub segment: u64,
    /// Node that wrote it.
    pub node: String,
    /// Version of the agent that sealed it.
    pub agent_version: String,
    /// When it was sealed.
    pub sealed_at: WallTime,
    /// The ledger's own time then, from which its age counts; none in segments of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_time: Option<WallTime>,
    /// BLAKE3 of the manifest of the segment before; none in the first.
    pub previous_manifest: Option<ChainHash>,
    /// The frames that it holds.
    pub frames: FrameRange,
    /// Bytes of the records' lines.
    pub payload_bytes: u64,
    /// Records that were lost, by what loss records in it say.
    pub lost: u64,
    /// The file with the hashes of the frames.
    pub frames_file: FileSum,
    /// The tables that have records.
    pub tables: BTreeMap<Family, TableSum>,
}

/// A range of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FrameRange {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Number of the first record.
    pub first_record: u64,
    /// Number of the last record.
    pub last_record: u64,
    /// Hash of the frame before the first.
    pub previous_hash: ChainHash,
    /// Hash of the last.
    pub last_hash: ChainHash,
}

/// A file as it has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileSum {
    /// Its bytes.
    pub bytes: u64,
    /// BLAKE3 of them.
    pub blake3: ChainHash,
}

/// One table of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableSum {
    /// Its records.
    pub records: u64,
    /// Time of the earliest.
    pub earliest: WallTime,
    /// Time of the latest.
    pub latest: WallTime,
    /// BLAKE3 of its footer with the eight bytes behind that; none in segments of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<ChainHash>,
    /// Its file.
    #[serde(flatten)]
    pub file: FileSum,
}

impl Manifest {
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self, LedgerError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let malformed = |error: serde_json::Error| LedgerError::malformed(path, error.to_string());
        let Head { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format > FORMAT {
            return Err(LedgerError::Newer { path: path.to_owned(), found: format, expected: FORMAT });
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("it has string keys only");
        bytes.push(b'\n');
        bytes
    }

    /// Records of all tables.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.frames.last_record + 1 - self.frames.first_record
    }

    /// The ledger's own time when it was sealed; that of the wall clock where an earlier version sealed it.
    #[must_use]
    pub fn ledger_time(&self) -> WallTime {
        self.ledger_time.unwrap_or(self.sealed_at)
    }

    /// Bytes of all files but the manifest.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.frames_file.bytes + self.tables.values().map(|table| table.file.bytes).sum::<u64>()
    }

    /// Time of the latest record.
    #[must_use]
    pub fn latest(&self) -> WallTime {
        self.tables.values().map(|table| table.latest).max().unwrap_or(self.sealed_at)
    }
}
