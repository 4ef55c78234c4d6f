//! Facts about this boot of this host that records are read by.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use watchfire_model::Timebase;

/// Facts about this boot of this host.
#[derive(Clone, Debug)]
pub struct Host {
    /// First 32 bits of the boot id.
    pub boot: u32,
    /// Root of the cgroup v2 hierarchy. Without it connections are not seen, and processes without their cgroup.
    pub cgroup_root: Result<PathBuf, NoCgroupRoot>,
    /// Kernel release, as uname(2) tells it.
    pub kernel_release: String,
    /// Wall clock of boot.
    pub timebase: Timebase,
}

/// Why the host could not be described.
#[derive(thiserror::Error, Debug)]
pub enum HostError {
    /// A file of procfs could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The boot id has another form than a UUID.
    #[error("boot id \"{0}\" is no UUID")]
    BootId(String),
}

/// Why the root of the cgroup v2 hierarchy is out of reach.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum NoCgroupRoot {
    /// No cgroup v2 hierarchy is mounted.
    #[error("no cgroup v2 hierarchy is mounted: /proc/self/mountinfo lists none of type cgroup2")]
    NotMounted,
    /// Only a part of the hierarchy is to be seen: the agent runs in a container that was not given the host's.
    #[error("the cgroup v2 hierarchy at {} is only a part of the host's; mount the host's into the container", .0.display())]
    Part(PathBuf),
}

impl Host {
    /// Reads them from procfs and the clocks.
    pub fn read() -> Result<Self, HostError> {
        let boot_id = read("/proc/sys/kernel/random/boot_id")?;
        let boot_id = boot_id.trim();
        let boot = boot_id.get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        Ok(Self {
            boot: boot.ok_or_else(|| HostError::BootId(boot_id.to_owned()))?,
            cgroup_root: cgroup2_root(&read("/proc/self/mountinfo")?),
            kernel_release: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            timebase: Timebase { boot_epoch_ns: boot_epoch_ns() },
        })
    }
}

fn read(path: &'static str) -> Result<String, HostError> {
    fs::read_to_string(path).map_err(|source| HostError::Read { path, source })
}

/// Inode number of the root of the cgroup v2 hierarchy: the first that kernfs gives (fs/kernfs/dir.c). A container's
/// own mount begins further down, and mountinfo tells paths relative to the reader's cgroup namespace, so the inode
/// number is what tells the root.
const CGROUP_ROOT_INODE: u64 = 1;

fn cgroup2_root(mountinfo: &str) -> Result<PathBuf, NoCgroupRoot> {
    let mounts = cgroup2_mounts(mountinfo);
    let is_root = |path: &&PathBuf| fs::metadata(path).is_ok_and(|dir| dir.ino() == CGROUP_ROOT_INODE);
    match (mounts.iter().find(is_root), mounts.first()) {
        (Some(root), _) => Ok(root.clone()),
        (None, Some(part)) => Err(NoCgroupRoot::Part(part.clone())),
        (None, None) => Err(NoCgroupRoot::NotMounted),
    }
}

/// Mount points of type `cgroup2` (proc_pid_mountinfo(5): field 5 is the mount point, the type follows the dash).
fn cgroup2_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let point = |line: &str| {
        let (mount, fs) = line.split_once(" - ")?;
        fs.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    };
    mountinfo.lines().filter_map(point).collect()
}

/// CLOCK_REALTIME minus CLOCK_BOOTTIME. The two are read around each other and the tightest of a few tries taken.
fn boot_epoch_ns() -> i64 {
    let mut best = (i64::MAX, 0);
    for _ in 0..5 {
        let before = clock_ns(libc::CLOCK_BOOTTIME);
        let real = clock_ns(libc::CLOCK_REALTIME);
        let after = clock_ns(libc::CLOCK_BOOTTIME);
        if after - before < best.0 {
            best = (after - before, real - i64::midpoint(before, after));
        }
    }
    best.1
}

/// CLOCK_BOOTTIME now, the clock of kernel records.
pub(crate) fn boot_ns() -> u64 {
    clock_ns(libc::CLOCK_BOOTTIME).cast_unsigned()
}

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; both clocks exist on every supported kernel.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * Duration::from_secs(1).as_nanos() as i64 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_cgroup2_wherever_it_is_mounted() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      38 31 0:35 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let container = "30 23 0:26 /../.. /host/cgroup rw - cgroup2 cgroup2 rw\n\
                         31 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        for (text, expected) in [
            (hybrid, vec!["/sys/fs/cgroup/unified"]),
            (unified, vec!["/sys/fs/cgroup"]),
            (container, vec!["/host/cgroup", "/sys/fs/cgroup"]),
            ("", vec![]),
        ] {
            assert_eq!(cgroup2_mounts(text), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_part_of_the_hierarchy_is_not_taken_for_the_whole() {
        let folder = std::env::temp_dir();
        let text = format!("30 23 0:26 / {} rw - cgroup2 cgroup2 rw\n", folder.display());
        assert!(cgroup2_root(&text) == Err(NoCgroupRoot::Part(folder)));
    }
}
