//! Kubernetes' own programs, built from its Go module.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::packages::{ETCD_PACKAGE, KUBERNETES_PACKAGES, KUBERNETES_VERSION};
use crate::process::{self, Step};
use crate::unpacked;

/// The module that Kubernetes' programs lie in.
const MODULE: &str = "k8s.io/kubernetes";
/// Where its own go.mod says that the libraries lie which are published beside it.
const STAGING: &str = "./staging/";

/// How Go builds them: two packages at a time, since each takes a gigabyte.
const BUILD: [&str; 6] = ["build", "-mod=mod", "-trimpath", "-buildvcs=false", "-p", "2"];

/// A folder with Kubernetes' programs.
pub(crate) struct Kubernetes {
    folder: PathBuf,
}

impl Kubernetes {
    /// Finds them, building them first where they are missing.
    pub(crate) fn ready() -> Result<Self> {
        let folder = unpacked::built(&folder_name(), build)?;
        Ok(Self { folder })
    }

    /// Where a program lies.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// The folder of all of them.
    pub(crate) fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }
}

fn build(folder: &Path) -> Result<()> {
    let go = process::which("go");
    let go = go.context("no go: install Go, of which Kubernetes is built (Debian's package is golang-go)")?;
    let _step = Step::new(&format!("building Kubernetes {KUBERNETES_VERSION} (once, for some minutes)"));
    let source = folder.join("source");
    fs::create_dir_all(&source).with_context(|| format!("create {}", source.display()))?;
    let version = format!("v{KUBERNETES_VERSION}");
    let download = ["mod", "download", "-json", &format!("{MODULE}@{version}")];
    let answer = process::read(Command::new(&go).args(download).current_dir(&source))?;
    let answer: Value = serde_json::from_str(&answer).context("read the answer of `go mod download`")?;
    let theirs = answer["GoMod"].as_str().context("`go mod download` names no go.mod")?;
    let theirs = fs::read_to_string(theirs).with_context(|| format!("read {theirs}"))?;
    let ours = source.join("go.mod");
    fs::write(&ours, module(&theirs)?).with_context(|| format!("write {}", ours.display()))?;
    // What the programs say of themselves, and what the node object then says.
    let stamps = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
        .map(|package| format!("-X {package}.gitVersion={version}"))
        .join(" ");
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    for (output, packages) in [(bin.clone(), &KUBERNETES_PACKAGES[..]), (bin.join("etcd"), &[ETCD_PACKAGE])] {
        let mut command = process::when_idle(&go);
        command.current_dir(&source).args(BUILD).arg("-ldflags").arg(format!("-s -w {stamps}"));
        process::run_quietly(command.arg("-o").arg(output).args(packages))?;
    }
    Ok(())
}

/// A name that changes with anything that is built, and how.
fn folder_name() -> String {
    let parts = format!("{KUBERNETES_PACKAGES:?} {ETCD_PACKAGE} {BUILD:?}");
    let digest: String = Sha256::digest(parts).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("kubernetes/{KUBERNETES_VERSION}-{digest}")
}

/// A module of our own that needs Kubernetes. Its go.mod replaces libraries by folders that are published as modules,
/// and replacements count in the main module alone: they are repeated here, by the versions that belong to it.
fn module(theirs: &str) -> Result<String> {
    let minor = KUBERNETES_VERSION.strip_prefix("1.").context("Kubernetes' major version is 1")?;
    let go = theirs.lines().find(|line| line.starts_with("go ")).context("a go.mod names its Go")?;
    let mut text =
        format!("module watchfire.invalid/cluster\n\n{go}\n\nrequire {MODULE} v{KUBERNETES_VERSION}\n\n");
    let mut replaced = 0;
    for line in theirs.lines() {
        let line = line.trim();
        let line = line.strip_prefix("replace ").unwrap_or(line);
        if let Some((library, folder)) = line.split_once(" => ")
            && folder.starts_with(STAGING)
        {
            writeln!(text, "replace {library} => {library} v0.{minor}")?;
            replaced += 1;
        }
    }
    ensure!(replaced > 0, "the go.mod of {MODULE} replaces no library by {STAGING}…");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_beside_kubernetes_are_replaced_and_others_are_not() {
        let theirs = "module k8s.io/kubernetes\n\ngo 1.25.0\n\nrequire (\n\tk8s.io/api v0.0.0\n)\n\nreplace (\n\
            \tk8s.io/api => ./staging/src/k8s.io/api\n\tx.y/z => x.y/fork v1.0.0\n)\n";
        let expected = "module watchfire.invalid/cluster\n\ngo 1.25.0\n\nrequire k8s.io/kubernetes v1.35.4\n\n\
            replace k8s.io/api => k8s.io/api v0.35.4\n";
        assert_eq!(module(theirs).unwrap(), expected);
        assert!(module("module k8s.io/kubernetes\ngo 1.25.0\n").is_err());
    }
}
