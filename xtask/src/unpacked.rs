//! Folders in the cache that are either whole or absent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::paths;

/// Returns the folder of this name in the cache, filling it first where it is missing.
///
/// It is filled under a temporary name and renamed last: an interrupted setup leaves nothing that looks finished.
pub(crate) fn folder(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    filled(name, "lock", fill)
}

/// The same for what takes minutes to build and needs no packages: others who fetch those need not wait for it.
pub(crate) fn built(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    filled(name, "build-lock", fill)
}

/// The same for what is built in a minute: it waits for nothing that takes longer.
pub(crate) fn built_soon(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    filled(name, "build-soon-lock", fill)
}

fn filled(name: &str, lock: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let done = paths::cache().join(name);
    if done.is_dir() {
        return Ok(done);
    }
    let parent = done.parent().context("a cache folder has a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    // Two runs at once would both build; the second waits and finds the folder.
    let lock_path = paths::cache().join(lock);
    let lock = fs::File::create(&lock_path).with_context(|| format!("create {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("lock {}", lock_path.display()))?;
    if done.is_dir() {
        return Ok(done);
    }
    let partial = parent.join(format!("{}.partial", done.file_name().unwrap_or_default().to_string_lossy()));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("remove {}", partial.display()))?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("create {}", partial.display()))?;
    fill(&partial)?;
    fs::rename(&partial, &done).with_context(|| format!("rename {}", partial.display()))?;
    Ok(done)
}

/// Writes an executable shell script into a `bin` folder; `$top` is the folder above that, wherever it is moved.
pub(crate) fn script(path: &Path, body: &str) -> Result<()> {
    let parent = path.parent().context("a script lies in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    fs::write(path, format!("#!/bin/sh\ntop=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\n{body}"))
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("write {}", path.display()))
}
