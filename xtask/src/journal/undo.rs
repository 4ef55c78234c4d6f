//! How each thing that is noted is undone. Everything may have been undone before, or never made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::made::Made;
use crate::process::{self, wait_until};
use crate::{cgroups, packages, setup};

const UNDO_LIMIT: Duration = Duration::from_secs(10);

/// Undoes everything, the last first, and returns what could not be undone.
pub(super) fn all(made: &[Made], folder: &Path) -> Vec<String> {
    let mut failures = Vec::new();
    let mut note = |outcome: Result<()>| failures.extend(outcome.err().map(|error| format!("{error:#}")));
    let last_first = || made.iter().rev();
    // What ends processes comes first, for all of them: one that lives keeps cgroups, mounts and namespaces alive.
    // Whole trees come before single processes, which need not end one by one then.
    last_first().map(empty).for_each(&mut note);
    last_first().map(stop).for_each(&mut note);
    note(unmount_below(folder));
    last_first().map(remove).for_each(&mut note);
    failures
}

fn empty(made: &Made) -> Result<()> {
    match made {
        Made::CgroupTree(name) => cgroups::empty_everywhere(name),
        _ => Ok(()),
    }
}

fn stop(made: &Made) -> Result<()> {
    match made {
        Made::Process(running) => running.end(&["TERM", "KILL"]),
        // cgroup.kill (Linux 5.14) reaches every cgroup below, so it is for the task's own leaves alone.
        Made::Cgroup(path) if cgroups::folders_in(path).is_empty() && path.join("cgroup.kill").exists() => {
            fs::write(path.join("cgroup.kill"), "1").with_context(|| format!("empty {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn remove(made: &Made) -> Result<()> {
    match made {
        Made::Cgroup(path) => {
            // What somebody else has put into it since keeps it: then it is no longer the task's to remove.
            let is_used = || !cgroups::folders_in(path).is_empty();
            let gone = || (!path.exists() || is_used() || fs::remove_dir(path).is_ok()).then_some(());
            wait_until(UNDO_LIMIT, gone).with_context(|| format!("{} is still in use", path.display()))
        }
        Made::CgroupTree(name) => cgroups::remove_everywhere(name),
        Made::Device(name) => remove_device(name),
        Made::Folder(path) => {
            remove_empty(path);
            Ok(())
        }
        Made::Namespace(name) if Path::new("/run/netns").join(name).exists() => {
            process::run_quietly(ip()?.args(["netns", "delete", name]))
        }
        Made::Setting(path, value) => {
            fs::write(path, value).with_context(|| format!("restore {}", path.display()))
        }
        Made::Table(family, name) => {
            let nft = setup::tool(&packages::NFT)?;
            let tables = process::read(Command::new(&nft).args(["list", "tables", family]))?;
            if tables.lines().any(|line| line == format!("table {family} {name}")) {
                process::run_quietly(Command::new(&nft).args(["delete", "table", family, name]))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Removes a folder, and those in it, as far as they hold no file.
fn remove_empty(folder: &Path) {
    for below in cgroups::folders_in(folder) {
        remove_empty(&below);
    }
    // What is not empty, or not there, is left as it is.
    let _ = fs::remove_dir(folder);
}

fn remove_device(name: &str) -> Result<()> {
    let device = Path::new("/sys/class/net").join(name);
    // The far ends are in namespaces that the kernel takes down when it has time.
    for port in fs::read_dir(device.join("brif")).into_iter().flatten().flatten() {
        let port = port.file_name().to_string_lossy().into_owned();
        // Gone in between is what is wanted.
        let _ = process::run_quietly(ip()?.args(["link", "delete", &port]));
    }
    if device.exists() {
        process::run_quietly(ip()?.args(["link", "delete", name]))?;
    }
    Ok(())
}

fn ip() -> Result<Command> {
    Ok(Command::new(setup::tool(&packages::IP)?))
}

/// Takes down every mount below a folder. As long as there is one, the folder cannot be removed: what is mounted may be
/// somebody else's files.
fn unmount_below(folder: &Path) -> Result<()> {
    let gone = || {
        for mount in mounts_below(folder).iter().rev() {
            let _ = process::run_quietly(Command::new("umount").arg(mount));
        }
        mounts_below(folder).is_empty().then_some(())
    };
    if wait_until(UNDO_LIMIT, gone).is_none() {
        bail!("still mounted: {:?}", mounts_below(folder));
    }
    Ok(())
}

fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    below(&mounts, folder)
}

fn below(mounts: &str, folder: &Path) -> Vec<PathBuf> {
    let paths = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(unescaped).map(PathBuf::from);
    paths.filter(|path| path.starts_with(folder)).collect()
}

/// Blanks and a few others stand in octal (proc_mounts(5)).
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (octal, plain)| path.replace(octal, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_folders_of_others_only_empty_ones_go() {
        let root = std::env::temp_dir().join(format!("watchfire-undo-{}", std::process::id()));
        fs::create_dir_all(root.join("empty/below")).unwrap();
        fs::create_dir_all(root.join("used")).unwrap();
        fs::write(root.join("used/file"), "").unwrap();
        remove_empty(&root);
        assert!(!root.join("empty").exists() && root.join("used/file").exists());
        fs::remove_file(root.join("used/file")).unwrap();
        remove_empty(&root);
        assert!(!root.exists());
    }

    #[test]
    fn mounts_of_a_folder_are_its_own_and_those_below() {
        let mounts = "overlay /var/lib/wf/run/rootfs overlay rw 0 0\n\
            tmpfs /var/lib/wf\\040x tmpfs rw 0 0\n\
            tmpfs /var/lib/wf2 tmpfs rw 0 0\n\
            tmpfs /var/lib/wf/a\\040b tmpfs rw 0 0\n";
        let expected: Vec<PathBuf> = vec!["/var/lib/wf/run/rootfs".into(), "/var/lib/wf/a b".into()];
        assert_eq!(below(mounts, Path::new("/var/lib/wf")), expected);
    }
}
