//! The footer of a table: what the library for Parquet believes, and so is compared first with what was sealed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::TableSum;
use crate::error::{At as _, LedgerError};
use crate::hash::ChainHash;

/// Length of the footer and the magic number stand behind it.
const TAIL_BYTES: u64 = 8;

/// The hash of the footer of a file, with its length and the magic number behind it.
pub(super) fn footer_hash(file: &File, path: &Path) -> Result<ChainHash, LedgerError> {
    let bytes = file.metadata().at("cannot look at", path)?.len();
    let footer = read_footer(file, bytes).at("cannot read", path)?;
    footer
        .map(|footer| ChainHash::of(&footer))
        .ok_or_else(|| LedgerError::malformed(path, "it has no whole footer"))
}

fn read_footer(file: &File, file_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(tail_begin) = file_bytes.checked_sub(TAIL_BYTES) else { return Ok(None) };
    let mut length = [0; 4];
    file.read_exact_at(&mut length, tail_begin)?;
    let Some(begin) = tail_begin.checked_sub(u32::from_le_bytes(length).into()) else { return Ok(None) };
    let mut footer = vec![0; usize::try_from(file_bytes - begin).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut footer, begin)?;
    Ok(Some(footer))
}

/// Refuses a table whose footer is not as it was sealed. An earlier version wrote no hash of it into the manifest: then
/// the whole file is hashed.
pub(super) fn judge(file: &File, path: &Path, sum: &TableSum) -> Result<(), LedgerError> {
    let bytes = file.metadata().at("cannot look at", path)?.len();
    if bytes != sum.file.bytes {
        let why = format!("it has {bytes} bytes, its manifest says {}", sum.file.bytes);
        return Err(LedgerError::malformed(path, why));
    }
    let why = match sum.footer {
        Some(expected) if footer_hash(file, path)? != expected => {
            "its footer is not the one that was sealed, by its manifest"
        }
        None if ChainHash::of_file(path).at("cannot read", path)?.0 != sum.file.blake3 => {
            "its checksum is not the one in its manifest"
        }
        _ => return Ok(()),
    };
    Err(LedgerError::malformed(path, why))
}
