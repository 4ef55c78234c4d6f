//! Definitions of the custom resources that deploy/ has objects of, out of the Go modules of those who define them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::packages::{DEFINITIONS, Definitions};
use crate::process::{self, Step};
use crate::unpacked;

/// Finds the folder with each, fetching it first where it is missing; or why it cannot be had.
pub(crate) fn definitions() -> Vec<(&'static str, Result<PathBuf>)> {
    DEFINITIONS.iter().map(|wanted| (wanted.name, folder(wanted))).collect()
}

fn folder(wanted: &Definitions) -> Result<PathBuf> {
    let name = format!("definitions/{}-{}", wanted.name, wanted.version);
    unpacked::built(&name, |folder| fetch(wanted, folder))
}

fn fetch(wanted: &Definitions, folder: &Path) -> Result<()> {
    let go = process::which("go").context("no go, which fetches it (Debian's package is golang-go)")?;
    let _step = Step::new(&format!("fetching the custom resources of {}", wanted.name));
    let module = format!("{}@{}", wanted.module, wanted.version);
    // Outside of every module: what is asked for is all that is looked at.
    let output = Command::new(go)
        .args(["mod", "download", "-json", &module])
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod")
        .current_dir(folder)
        .output()
        .context("start go")?;
    let answer: Value =
        serde_json::from_slice(&output.stdout).context("read the answer of `go mod download`")?;
    if let Some(error) = answer["Error"].as_str() {
        bail!("{}", error.lines().next().unwrap_or_default());
    }
    let source = Path::new(answer["Dir"].as_str().context("`go mod download` names no folder")?);
    for file in wanted.files {
        let from = source.join(wanted.folder).join(file);
        let text = fs::read_to_string(&from).with_context(|| format!("read {}", from.display()))?;
        ensure!(text.contains("kind: CustomResourceDefinition"), "{} defines nothing", from.display());
        fs::write(folder.join(file), text).with_context(|| format!("write {file}"))?;
    }
    Ok(())
}
