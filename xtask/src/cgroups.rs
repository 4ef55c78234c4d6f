//! The machine's cgroup hierarchies: one on hosts with v2 alone, a dozen on hybrid ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::{self, wait_until};

const EMPTY_LIMIT: Duration = Duration::from_secs(20);

/// Where the cgroup v2 hierarchy is mounted (proc_mounts(5)); on a hybrid host that is not /sys/fs/cgroup.
pub(crate) fn v2_root() -> Result<PathBuf> {
    let found = mounted()?.into_iter().find(|(kind, _)| kind == "cgroup2");
    Ok(found.context("no cgroup v2 hierarchy is mounted")?.1)
}

/// The root of every hierarchy, v1 and v2.
pub(crate) fn roots() -> Result<Vec<PathBuf>> {
    Ok(mounted()?.into_iter().map(|(_, folder)| folder).collect())
}

/// Makes a folder of this name below the root of every hierarchy.
pub(crate) fn create_everywhere(name: &str) -> Result<()> {
    for folder in everywhere(name)? {
        if !folder.is_dir() {
            fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
    }
    let root = v2_root()?;
    // Where v2 has the controllers, those below have what is handed down to them alone. What they lack in the end,
    // whoever needs it says.
    for controller in
        fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default().split_whitespace()
    {
        let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
    }
    Ok(())
}

/// Ends every process in the folders of this name, and below, of every hierarchy.
pub(crate) fn empty_everywhere(name: &str) -> Result<()> {
    let folders: Vec<PathBuf> = everywhere(name)?.into_iter().filter(|folder| folder.is_dir()).collect();
    let is_empty = || {
        let mut living = Vec::new();
        for folder in &folders {
            // Linux 5.14 and newer, v2 alone: reaches those, too, that are just being forked.
            let kill = folder.join("cgroup.kill");
            if kill.exists() {
                let _ = fs::write(kill, "1");
            }
            living.extend(processes(folder));
        }
        if living.is_empty() {
            return Some(());
        }
        let script = format!("kill -KILL {}", living.join(" "));
        // One that has ended in between makes the command fail; who still lives is seen in the next round.
        let _ = process::run_quietly(Command::new("/bin/sh").args(["-c", &script]));
        None
    };
    wait_until(EMPTY_LIMIT, is_empty).with_context(|| format!("processes in the cgroup {name} do not end"))
}

/// Removes the folders of this name, with all that are below, from every hierarchy.
pub(crate) fn remove_everywhere(name: &str) -> Result<()> {
    for folder in everywhere(name)? {
        let gone = || (!folder.exists() || remove_tree(&folder).is_ok()).then_some(());
        wait_until(EMPTY_LIMIT, gone).with_context(|| format!("{} is still in use", folder.display()))?;
    }
    Ok(())
}

fn everywhere(name: &str) -> Result<Vec<PathBuf>> {
    Ok(roots()?.into_iter().map(|root| root.join(name)).collect())
}

/// The ids of the processes in a cgroup and in those below it.
fn processes(folder: &Path) -> Vec<String> {
    let own = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<String> = own.lines().map(str::to_owned).collect();
    for below in folders_in(folder) {
        found.extend(processes(&below));
    }
    found
}

/// What cgroupfs offers as files goes with its folder, and cannot be removed otherwise.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    for below in folders_in(folder) {
        remove_tree(&below)?;
    }
    fs::remove_dir(folder)
}

pub(crate) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn mounted() -> Result<Vec<(String, PathBuf)>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    Ok(parse(&mounts))
}

fn parse(mounts: &str) -> Vec<(String, PathBuf)> {
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (folder, kind) = (fields.next()?, fields.next()?);
        ["cgroup", "cgroup2"].contains(&kind).then(|| (kind.to_owned(), PathBuf::from(folder)))
    };
    mounts.lines().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found_among_other_mounts() {
        let mounts = "proc /proc proc rw 0 0\n\
            tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let expected = [
            ("cgroup".to_owned(), PathBuf::from("/sys/fs/cgroup/cpu")),
            ("cgroup2".to_owned(), PathBuf::from("/sys/fs/cgroup/unified")),
        ];
        assert_eq!(parse(mounts), expected);
    }

    #[test]
    fn a_tree_of_folders_is_removed_from_its_leaves() {
        let root = std::env::temp_dir().join(format!("watchfire-cgroups-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("c")).unwrap();
        remove_tree(&root).unwrap();
        assert!(!root.exists());
    }
}
