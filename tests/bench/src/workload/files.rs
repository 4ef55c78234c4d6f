//! Files that are opened and closed.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::pace::Pace;

pub(super) fn run(operations: u64, path: &Path, pace: &Pace) -> Result<u64> {
    for number in 0..operations {
        pace.wait(number);
        drop(File::open(path).with_context(|| format!("open {}", path.display()))?);
    }
    Ok(operations)
}
