//! Which cgroup each process is in, read from the hierarchy itself.
//!
//! `/proc/PID/cgroup` would tell paths relative to the reader's cgroup namespace, which in a container is not the
//! host's; the members that the directories list are the same for everybody.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::host::Host;

/// Most directories looked at.
const CGROUPS_MAX: usize = 65_536;

/// Cgroup v2 id by process id.
#[derive(Default)]
pub(crate) struct CgroupMembers(HashMap<u32, u64>);

impl CgroupMembers {
    /// Reads the members of every cgroup of the host, of none where its hierarchy is out of reach.
    pub(crate) fn of_host(host: &Host) -> Self {
        host.cgroup_root.as_ref().map_or_else(|_| Self::default(), |root| Self::read(root.path()))
    }

    /// Reads the members of every cgroup below `root`.
    fn read(root: &Path) -> Self {
        let mut members = HashMap::new();
        let mut folders: Vec<PathBuf> = vec![root.to_owned()];
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            next += 1;
            // The id of a cgroup is the inode number of its directory.
            let Ok(id) = fs::metadata(&folder).map(|folder| folder.ino()) else { continue };
            // Not readable in threaded cgroups, whose processes their domain's root lists.
            let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            members.extend(pids.lines().filter_map(|pid| Some((pid.parse().ok()?, id))));
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let children = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(children.map(|entry| entry.path()).take(CGROUPS_MAX - folders.len()));
        }
        if folders.len() >= CGROUPS_MAX {
            tracing::warn!(
                "more than {CGROUPS_MAX} cgroups: processes in the others are found without theirs"
            );
        }
        Self(members)
    }

    /// The id of a process's cgroup, 0 where it was not found.
    pub(crate) fn of(&self, pid: u32) -> u64 {
        self.0.get(&pid).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_nested_cgroups() {
        let root = std::env::temp_dir().join(format!("cgroup-members-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("cgroup.procs"), "1\n").unwrap();
        fs::write(root.join("a/b/cgroup.procs"), "7\n8\n").unwrap();
        let members = CgroupMembers::read(&root);
        let id = |path: &str| fs::metadata(root.join(path)).unwrap().ino();
        assert_eq!(
            (members.of(1), members.of(7), members.of(8), members.of(9)),
            (id(""), id("a/b"), id("a/b"), 0)
        );
        fs::remove_dir_all(&root).unwrap();
    }
}
