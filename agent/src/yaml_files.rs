//! Folders of YAML and JSON files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Most files in a folder.
const FILES_MAX: usize = 10_000;
/// Largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Every `*.yaml`, `*.yml` and `*.json` of a folder in the order of their names, or the one file given.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("cannot read {}", path.display());
    if fs::metadata(path).with_context(failed)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(failed)? {
        let file = entry.with_context(failed)?.path();
        // Files of a ConfigMap are links; `metadata` follows them.
        if is_yaml_file(&file) && fs::metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
            files.push(file);
        }
        ensure!(files.len() <= FILES_MAX, "{} has more than {FILES_MAX} YAML files", path.display());
    }
    files.sort_unstable();
    Ok(files)
}

fn is_yaml_file(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = file.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// The text of one.
pub(crate) fn read(file: &Path) -> Result<String> {
    let failed = || format!("cannot read {}", file.display());
    let bytes = fs::metadata(file).with_context(failed)?.len();
    ensure!(bytes <= FILE_BYTES_MAX, "{} is larger than {FILE_BYTES_MAX} bytes", file.display());
    fs::read_to_string(file).with_context(failed)
}
