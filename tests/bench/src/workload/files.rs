//! Files that are opened and closed.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};

pub(super) fn run(operations: u64, path: &Path) -> Result<u64> {
    for _ in 0..operations {
        drop(File::open(path).with_context(|| format!("open {}", path.display()))?);
    }
    Ok(operations)
}
