//! The root of the cgroup v2 hierarchy: where it is mounted, or else on a mount of the agent's own.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// Inode number of the root of the cgroup v2 hierarchy: the first that kernfs gives (fs/kernfs/dir.c). A container's
/// own mount begins further down, and mountinfo tells paths relative to the reader's cgroup namespace, so the inode
/// number is what tells the root.
const ROOT_INODE: u64 = 1;

/// Where the mounts of this process are listed.
pub(crate) const MOUNTS: &str = "/proc/self/mountinfo";

/// The root of the cgroup v2 hierarchy, to be had for as long as this or a clone of it lives.
#[derive(Clone, Debug)]
pub struct CgroupRoot {
    path: PathBuf,
    /// A mount that no mount namespace has: it ends with its last descriptor.
    mount: Option<Arc<OwnedFd>>,
}

/// Why the root of the cgroup v2 hierarchy is out of reach.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum NoCgroupRoot {
    /// No cgroup v2 hierarchy is mounted, and none can be.
    #[error(
        "no cgroup v2 hierarchy is mounted ({MOUNTS} lists none), and the agent cannot mount one for itself: {0}"
    )]
    NotMounted(String),
    /// Only a part of the hierarchy is to be seen: the agent runs in a container that was not given the host's.
    #[error("the cgroup v2 hierarchy at {} is only a part of the host's; mount the host's into the container", .0.display())]
    Part(PathBuf),
}

impl CgroupRoot {
    /// Looks for it in the text of [`MOUNTS`], then mounts it for this process alone.
    pub(crate) fn find(mountinfo: &str) -> Result<Self, NoCgroupRoot> {
        let part = match mounted(mountinfo) {
            Ok(root) => return Ok(root),
            Err(part) => part,
        };
        match (mount_privately(), part) {
            (Ok(root), _) => Ok(root),
            (Err(_), Some(part)) => Err(NoCgroupRoot::Part(part)),
            (Err(error), None) => Err(NoCgroupRoot::NotMounted(error.to_string())),
        }
    }

    /// A path that leads to it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nobody else sees the mount.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.mount.is_some()
    }

    /// One that is mounted, as long as it is.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mount: None }
    }
}

/// The root where it is mounted; else a part of the hierarchy, where one is mounted.
fn mounted(mountinfo: &str) -> Result<CgroupRoot, Option<PathBuf>> {
    let mounts = mounts(mountinfo);
    mounts.iter().find(|path| is_root(path)).map(CgroupRoot::at).ok_or_else(|| mounts.first().cloned())
}

fn is_root(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|dir| dir.ino() == ROOT_INODE)
}

/// Mount points of type `cgroup2` (proc_pid_mountinfo(5): field 5 is the mount point, the type follows the dash).
fn mounts(mountinfo: &str) -> Vec<PathBuf> {
    let point = |line: &str| {
        let (mount, fs) = line.split_once(" - ")?;
        fs.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    };
    mountinfo.lines().filter_map(point).collect()
}

/// Makes a mount that is in no namespace. Needs `CAP_SYS_ADMIN`.
fn mount_privately() -> io::Result<CgroupRoot> {
    // On a thread that ends: it leaves its cgroup namespace.
    let thread = thread::Builder::new().name("cgroup-mount".to_owned()).spawn(mount_detached)?;
    let mount = thread.join().map_err(|_| io::Error::other("the mounting thread panicked"))??;
    // With the dot, so that looks at the link itself find the folder.
    let path = PathBuf::from(format!("/proc/self/fd/{}/.", mount.as_raw_fd()));
    if !is_root(&path) {
        return Err(io::Error::other("the agent's cgroup namespace shows only a part of it"));
    }
    Ok(CgroupRoot { path, mount: Some(Arc::new(mount)) })
}

/// What a mount shows is decided by the cgroup namespace in which its context is opened, which is the agent's. A mount
/// that is created from within the first cgroup namespace would also set the hierarchy's options, such as `nsdelegate`, for
/// all of its mounts (kernel/cgroup/cgroup.c, `apply_cgroup_root_flags`): so it is created from within another.
fn mount_detached() -> io::Result<OwnedFd> {
    let close_on_exec = 1; // FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC
    let create = 6; // FSCONFIG_CMD_CREATE
    // SAFETY: system calls that are given a text with its end, numbers and null pointers; only this thread changes its
    // namespace. Each descriptor that is not negative is new, and owned here alone.
    unsafe {
        let context = descriptor(libc::syscall(libc::SYS_fsopen, c"cgroup2".as_ptr(), close_on_exec))?;
        done(libc::unshare(libc::CLONE_NEWCGROUP).into())?;
        let nothing = std::ptr::null::<libc::c_char>();
        done(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), create, nothing, nothing, 0))?;
        let flags = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
        descriptor(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), close_on_exec, flags))
    }
}

fn done(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// # Safety
/// A result that is not negative has to be a descriptor that nobody else owns.
unsafe fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    // SAFETY: as promised by the caller; descriptors are no larger than an i32.
    done(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
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
            assert_eq!(mounts(text), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_part_of_the_hierarchy_is_not_taken_for_the_whole() {
        let folder = std::env::temp_dir();
        let text = format!("30 23 0:26 / {} rw - cgroup2 cgroup2 rw\n", folder.display());
        assert_eq!(mounted(&text).err(), Some(Some(folder)));
        assert_eq!(mounted("").err(), Some(None));
    }
}
