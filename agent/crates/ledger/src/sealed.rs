//! Sealed segments as files to carry away, and the folder that such files are put together in again.

use std::path::{Path, PathBuf};

use crate::error::LedgerError;
use crate::family::Family;
use crate::files;
use crate::key::{PUBLIC_KEY_FILE, PublicKey};
use crate::retention::{HORIZON_FILE, Horizon, RETIRED_FILE, Retired, SIGNATURE_SUFFIX};
use crate::segment::{self, FRAMES_FILE, MANIFEST_FILE, Manifest, SEGMENTS_DIR, SIGNATURE_FILE, Segment};

/// The folder of what stands in a bundle for segments that were removed before they were shipped.
const REMOVED_DIR: &str = "removed";

/// A sealed segment of a ledger that is being written.
#[derive(Clone, Debug)]
pub struct SealedSegment {
    /// Its folder.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// Tables that retention took already.
    pub retired: Vec<Family>,
}

impl SealedSegment {
    /// Its file of signed bytes that name all others.
    pub const MANIFEST_FILE: &str = MANIFEST_FILE;
    /// The signature over them.
    pub const SIGNATURE_FILE: &str = SIGNATURE_FILE;
    /// Its hashes of frames.
    pub const FRAMES_FILE: &str = FRAMES_FILE;
    /// Says, signed, which tables retention took.
    pub const RETIRED_FILE: &str = RETIRED_FILE;

    /// Numbers of the segments that are there, in order.
    pub fn numbers(ledger: &Path) -> Result<Vec<u64>, LedgerError> {
        Ok(segment::list(ledger)?.into_iter().map(|(number, _)| number).collect())
    }

    /// Reads a segment; none if it is not there, or went meanwhile.
    pub fn read(ledger: &Path, number: u64) -> Result<Option<Self>, LedgerError> {
        let dir = ledger.join(Self::folder(number));
        let retired = Retired::read(&dir)?.map(|retired| retired.tables).unwrap_or_default();
        let segment = Segment::read(&dir)?;
        Ok(segment.map(|segment| Self { dir: segment.dir, manifest: segment.manifest, retired }))
    }

    /// The folder of a segment within a ledger.
    #[must_use]
    pub fn folder(number: u64) -> String {
        format!("{SEGMENTS_DIR}/{}", segment::dir_name(number))
    }

    /// Tables that are still there.
    pub fn tables(&self) -> impl Iterator<Item = Family> {
        self.manifest.tables.keys().copied().filter(|family| !self.retired.contains(family))
    }
}

/// What retention says of segments that are gone, with its signature.
#[derive(Clone, Debug)]
pub struct SignedHorizon {
    /// The last segment that was removed, which all before it were too.
    pub segment: u64,
    /// What is signed.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignedHorizon {
    /// Ends the name of a file that has the signature over the one of the same name.
    pub const SIGNATURE_SUFFIX: &str = SIGNATURE_SUFFIX;

    /// Reads it; none where nothing was removed, or while it is being replaced.
    pub fn read(ledger: &Path) -> Result<Option<Self>, LedgerError> {
        let path = ledger.join(HORIZON_FILE);
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        let signature = files::read_if_there(&ledger.join(format!("{HORIZON_FILE}{SIGNATURE_SUFFIX}")))?;
        let signature = signature.unwrap_or_default();
        if !PublicKey::read(&ledger.join(PUBLIC_KEY_FILE))?.verifies(&bytes, &signature) {
            return Ok(None);
        }
        let horizon: Horizon = serde_json::from_slice(&bytes)
            .map_err(|error| LedgerError::malformed(&path, error.to_string()))?;
        Ok(Some(Self { segment: horizon.segment, bytes, signature }))
    }

    /// Where a bundle has it: it stands for the segments before the next that the bundle has.
    #[must_use]
    pub fn file_in_bundle(segment: u64) -> String {
        format!("{REMOVED_DIR}/{}.json", segment::dir_name(segment))
    }
}
