//! The cgroups of the lab's members.

use std::fs;

use anyhow::{Context as _, Result};

use super::JOURNAL;
use super::plan::MEMBERS;
use crate::cgroups;
use crate::journal::Made;

/// Makes the cgroup of every member, and what is missing above it.
pub(super) fn create() -> Result<()> {
    let root = cgroups::v2_root()?;
    for member in MEMBERS {
        let mut path = root.clone();
        for part in member.cgroup().split('/') {
            path.push(part);
            // On a real node kubelet's own folders are there already; they are neither made nor removed.
            if !path.exists() {
                JOURNAL.note(&Made::Cgroup(path.clone()))?;
                fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
            }
        }
    }
    Ok(())
}
