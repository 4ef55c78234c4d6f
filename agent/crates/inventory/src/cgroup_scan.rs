//! Walks the cgroup v2 tree: the IO leaf of the cgroup table.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Deepest level below the root that is walked.
pub const CGROUP_DEPTH_MAX: usize = 32;

/// What a walk found.
#[derive(Default, Debug)]
pub struct CgroupScan {
    /// Id (the inode number of the directory, `kernfs_node.id`) and path below the root, as `/proc/PID/cgroup` shows it.
    pub found: Vec<(u64, String)>,
    /// The walk ended at its limit; there are more.
    pub truncated: bool,
}

/// Walks the tree below `root`, parents first, up to `max` groups. A directory that vanishes under way is left out.
#[must_use]
pub fn scan_cgroups(root: &Path, max: usize) -> CgroupScan {
    let mut scan = CgroupScan::default();
    let mut level = vec![(root.to_owned(), String::new())];
    for _ in 0..=CGROUP_DEPTH_MAX {
        let mut next = Vec::new();
        for (dir, path) in level {
            let Ok(metadata) = fs::symlink_metadata(&dir) else { continue };
            if scan.found.len() == max {
                scan.truncated = true;
                return scan;
            }
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if let Some(name) = entry.file_name().to_str() {
                    next.push((entry.path(), format!("{path}/{name}")));
                }
            }
            scan.found.push((metadata.ino(), if path.is_empty() { "/".to_owned() } else { path }));
        }
        if next.is_empty() {
            return scan;
        }
        level = next;
    }
    scan.truncated = true;
    scan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_inode_numbers_and_the_limit_holds() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("kubepods/burstable")).unwrap();
        fs::create_dir_all(root.path().join("system.slice")).unwrap();
        fs::write(root.path().join("cgroup.procs"), "").unwrap();

        let scan = scan_cgroups(root.path(), 10);
        assert!(!scan.truncated);
        assert_eq!(scan.found.len(), 4);
        let ino = fs::metadata(root.path().join("kubepods/burstable")).unwrap().ino();
        assert!(scan.found.contains(&(ino, "/kubepods/burstable".to_owned())));
        assert_eq!(scan.found[0].1, "/");

        let scan = scan_cgroups(root.path(), 3);
        assert!(scan.truncated);
        assert_eq!(scan.found.len(), 3);
    }
}
