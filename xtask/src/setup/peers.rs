//! Programs by others that the agent is measured beside: Debian's packages, each unpacked in the cache into a root folder of its
//! own that lacks nothing, down to the C library.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::debian::{self, Apt};
use crate::packages::{PEERS, PEERS_SUITE};
use crate::process::Step;
use crate::unpacked;

/// What the benchmark mounts something at.
const MOUNT_POINTS: [&str; 7] = ["proc", "sys", "dev", "tmp", "run", "mnt", "media"];
/// Folders that are one with those of the same name in `usr`, which no package of a program says.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Finds all, fetching those that are missing: each by name, with its folder or with why it cannot be had.
pub(crate) fn peers() -> Vec<(&'static str, Result<PathBuf>)> {
    let apt = OnceCell::new();
    PEERS.into_iter().map(|(name, package)| (name, find(package, &apt))).collect()
}

fn find(package: &str, apt: &OnceCell<Apt>) -> Result<PathBuf> {
    if !debian::is_host() {
        bail!("it is Debian's package {package}, which this machine has no apt-get and dpkg for");
    }
    unpacked::folder(&format!("peers/{PEERS_SUITE}/{package}"), |folder| install(package, apt, folder))
}

fn install(package: &str, apt: &OnceCell<Apt>, folder: &Path) -> Result<()> {
    let _step = Step::new(&format!("fetching {package} (not installed)"));
    let apt = match apt.get() {
        Some(apt) => apt,
        None => {
            let fetched = Apt::of_suite_alone(PEERS_SUITE)?;
            apt.get_or_init(|| fetched)
        }
    };
    let wanted = apt.with_dependencies(&[package.to_owned()])?;
    let root = folder.join("root");
    apt.unpack(&wanted, &root)?;
    for name in MERGED {
        let (own, merged) = (root.join(name), root.join("usr").join(name));
        if merged.is_dir() && !own.exists() {
            symlink(Path::new("usr").join(name), &own).with_context(|| format!("link {}", own.display()))?;
        }
    }
    for name in MOUNT_POINTS {
        fs::create_dir_all(root.join(name))
            .with_context(|| format!("create {name} in {}", root.display()))?;
    }
    let version = wanted.iter().find_map(|wanted| wanted.strip_prefix(package)?.strip_prefix('='));
    let version = version.with_context(|| format!("no version of {package} among {wanted:?}"))?;
    fs::write(folder.join("version"), format!("{package} {version}\n")).context("write its version")
}
