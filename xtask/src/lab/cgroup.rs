//! The cgroups of the lab's members.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::journal::{self, Made};
use super::plan::MEMBERS;

/// Makes the cgroup of every member, and what is missing above it.
pub(super) fn create() -> Result<()> {
    let root = root()?;
    for member in MEMBERS {
        let mut path = root.clone();
        for part in member.cgroup().split('/') {
            path.push(part);
            // On a real node kubelet's own folders are there already; they are neither made nor removed.
            if !path.exists() {
                journal::note(&Made::Cgroup(path.clone()))?;
                fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Where the cgroup v2 hierarchy is mounted (proc_mounts(5)); on a hybrid host that is not /sys/fs/cgroup.
pub(super) fn root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    let found = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let folder = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(folder))
    });
    found.context("no cgroup v2 hierarchy is mounted")
}
