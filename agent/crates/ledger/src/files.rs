//! Files that are there as a whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::error::{At as _, LedgerError};

/// Records carry command lines: for root's eyes, and whoever root lets in.
pub(crate) const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// Makes the directory and those above it, if they are not there.
pub(crate) fn make_dir(dir: &Path) -> Result<(), LedgerError> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).at("cannot create", dir)
}

/// Makes names in the directory outlast a loss of power.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|dir| dir.sync_all()).at("cannot sync", dir)
}

/// Writes a new file and syncs it.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let mut file = options.open(path).at("cannot create", path)?;
    file.write_all(bytes).at("cannot write", path)?;
    file.sync_all().at("cannot sync", path)
}

/// Puts a file in place of whatever stood there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = Path::new(&unfinished);
    remove_if_there(unfinished)?;
    write_new(unfinished, bytes)?;
    fs::rename(unfinished, path).at("cannot rename to", path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes a file; says whether it was there.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool, LedgerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        result => result.map(|()| true).at("cannot remove", path),
    }
}

/// Reads a small file; none if it is not there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, LedgerError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some).at("cannot read", path),
    }
}
