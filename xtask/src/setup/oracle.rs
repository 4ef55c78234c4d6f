//! Cilium's policy engine as a program, built from the Go module in `tests/oracle`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::process::{self, Step};
use crate::{paths, unpacked};

/// Without debug information, of which nobody makes use.
const BUILD: [&str; 6] = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"];

const PROGRAM: &str = "policy-oracle";

/// Finds the program, building it first where it is missing. The error is why it cannot be built here.
pub(crate) fn oracle() -> Result<PathBuf> {
    let source = paths::root().join("tests/oracle");
    let folder = unpacked::built(&folder_name(&source)?, |folder| build(&source, folder))?;
    Ok(folder.join(PROGRAM))
}

fn build(source: &Path, folder: &Path) -> Result<()> {
    let go = process::which("go");
    let go =
        go.context("no go: install Go, of which Cilium's engine is built (Debian's package is golang-go)")?;
    let _step = Step::new("building Cilium's policy engine (once, for some minutes)");
    let mut command = process::when_idle(&go);
    command.current_dir(source).env("CGO_ENABLED", "0").args(BUILD);
    process::run_quietly(command.arg("-o").arg(folder.join(PROGRAM)).arg("."))
}

/// A name that changes with the source, and how it is built.
fn folder_name(source: &Path) -> Result<String> {
    let cannot_read = || format!("read {}", source.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(source).with_context(cannot_read)? {
        let file = entry.with_context(cannot_read)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".go") || name.starts_with("go.") {
            files.push((name, fs::read(&file).with_context(|| format!("read {}", file.display()))?));
        }
    }
    files.sort();
    Ok(name_of(&files))
}

fn name_of(files: &[(String, Vec<u8>)]) -> String {
    let mut digest = Sha256::new_with_prefix(format!("{BUILD:?}"));
    for (name, text) in files {
        digest.update(format!("{name} {} ", text.len()));
        digest.update(text);
    }
    let digest: String = digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("oracle/{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_changes_with_the_source() {
        let name = |text: &str| name_of(&[("main.go".to_owned(), text.as_bytes().to_vec())]);
        assert!(name("package main").starts_with("oracle/"));
        assert_eq!(name("package main"), name("package main"));
        assert_ne!(name("package main"), name("package other"));
        assert_ne!(name("package main"), name_of(&[]));
    }
}
