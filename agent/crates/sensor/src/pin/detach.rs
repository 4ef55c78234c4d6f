//! Removing what is pinned.

use std::fs;
use std::path::Path;

use super::place::{PinError, lock, remove};
use super::{LINKS, MAPS, PROGRAMS, bpf};

/// What was removed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Detached {
    /// Links: so many hooks are free.
    pub links: usize,
    /// Programs.
    pub programs: usize,
    /// Maps.
    pub maps: usize,
    /// An agent runs on them: they go when it ends.
    pub in_use: bool,
}

/// Removes all that agents pinned in `path`, and the folder. What nobody else holds is detached by that.
pub fn detach(path: &Path) -> Result<Detached, PinError> {
    let mut detached = Detached::default();
    if !path.exists() || !bpf::is_on_bpf(path) {
        return Ok(detached);
    }
    let lock = lock(path)?;
    detached.in_use = lock.is_none();
    let on = |source| PinError::Folder { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(on)?.flatten() {
        let folder = entry.path();
        let is_ours = [LINKS, PROGRAMS, MAPS].iter().any(|part| folder.join(part).is_dir());
        if !is_ours {
            continue;
        }
        let count = |part: &str| fs::read_dir(folder.join(part)).into_iter().flatten().count();
        detached.links += count(LINKS);
        detached.programs += count(PROGRAMS);
        detached.maps += count(MAPS);
        remove(&folder)?;
    }
    // Others may keep something there; an empty folder of a running agent stays locked by it.
    if !detached.in_use {
        let _ = fs::remove_dir(path);
    }
    Ok(detached)
}
