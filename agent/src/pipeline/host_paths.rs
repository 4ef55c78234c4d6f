//! Where on the host a container's file lies: in the upper layer of its overlay filesystem, once it was written.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Most mount namespaces that are remembered.
const NAMESPACES_MAX: usize = 1024;
/// Most mounts of one namespace that are looked at; of one with more nothing is said.
const MOUNTS_MAX: usize = 4096;
/// How long a mount table is believed: mounts change, and the numbers of namespaces come back.
const KEEP: Duration = Duration::from_secs(10);

/// The mount tables of containers, as far as they tell where files lie.
#[derive(Debug)]
pub(crate) struct HostPaths {
    /// The host's own mount namespace, whose paths are the host's; 0 where it cannot be told.
    host_mnt_ns: u32,
    /// The host's root as the agent sees it.
    host_root: PathBuf,
    layers: HashMap<u32, (Instant, Option<Layer>)>,
    /// Namespaces in the order of coming in.
    order: VecDeque<u32>,
}

/// The upper layer of a namespace's root.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Layer {
    upper: String,
    /// Mount points below the root, under which files lie elsewhere.
    mounts: Vec<String>,
}

impl HostPaths {
    /// Finds out what the host's own mount namespace is.
    pub(crate) fn new() -> Self {
        // Process 2 (kthreadd) never leaves the first namespaces, where process 1 may not be looked at.
        let host = mnt_ns("1").or_else(|| mnt_ns("2")).unwrap_or(0);
        let is_host = mnt_ns("self") == Some(host);
        let host_root = PathBuf::from(if is_host { "/" } else { "/proc/1/root" });
        Self { host_mnt_ns: host, host_root, layers: HashMap::new(), order: VecDeque::new() }
    }

    /// The host's path of a file that processes of that mount namespace see at `path`; none where it is the same, or
    /// not known. One of `pids` is asked for its mount table, the first that is still there.
    pub(crate) fn of(
        &mut self,
        mnt_ns: u32,
        pids: impl IntoIterator<Item = u32>,
        path: &str,
    ) -> Option<String> {
        if mnt_ns == 0 || mnt_ns == self.host_mnt_ns || self.host_mnt_ns == 0 || !path.starts_with('/') {
            return None;
        }
        let upper = self.layer(mnt_ns, pids)?.upper_of(path)?.to_owned();
        is_there(&self.host_root.join(upper.trim_start_matches('/')), path).then(|| upper + path)
    }

    fn layer(&mut self, mnt_ns: u32, pids: impl IntoIterator<Item = u32>) -> Option<&Layer> {
        let is_fresh = self.layers.get(&mnt_ns).is_some_and(|(read, _)| read.elapsed() < KEEP);
        if !is_fresh {
            let table = pids.into_iter().find_map(|pid| read_mounts(mnt_ns, pid))?;
            if self.layers.insert(mnt_ns, (Instant::now(), Layer::of(&table))).is_none() {
                self.order.push_back(mnt_ns);
            }
            if self.order.len() > NAMESPACES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.layers.remove(&oldest);
            }
        }
        self.layers.get(&mnt_ns)?.1.as_ref()
    }
}

/// The mount table of a process, if that process is (still) in the namespace.
fn read_mounts(expected: u32, pid: u32) -> Option<String> {
    if mnt_ns(&pid.to_string()) != Some(expected) {
        return None;
    }
    fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()
}

fn mnt_ns(process: &str) -> Option<u32> {
    let inode = fs::metadata(format!("/proc/{process}/ns/mnt")).ok()?.ino();
    u32::try_from(inode).ok()
}

impl Layer {
    /// Reads proc_pid_mountinfo(5): field 5 is the mount point, after a dash come type, source and options.
    fn of(mountinfo: &str) -> Option<Self> {
        let mut upper = None;
        let mut mounts = Vec::new();
        for line in mountinfo.lines() {
            let (mount, filesystem) = line.split_once(" - ")?;
            let point = unescape(mount.split(' ').nth(4)?);
            if point != "/" {
                mounts.push(point);
                continue;
            }
            let mut fields = filesystem.split(' ');
            let (kind, options) = (fields.next()?, fields.nth(1).unwrap_or_default());
            // The last mount on a point is the one that is seen.
            upper = (kind == "overlay")
                .then(|| options.split(',').find_map(|option| option.strip_prefix("upperdir=")))
                .flatten()
                .map(unescape);
        }
        let upper = upper.filter(|upper| upper.starts_with('/') && mounts.len() <= MOUNTS_MAX)?;
        Some(Self { upper, mounts })
    }

    /// The layer's folder, where the path lies in it.
    fn upper_of(&self, path: &str) -> Option<&str> {
        let is_under = |point: &String| {
            path.strip_prefix(point.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        (!self.mounts.iter().any(is_under)).then_some(self.upper.as_str())
    }
}

/// Spaces and their like stand as `\040` in mountinfo.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let char = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match char.filter(u8::is_ascii) {
            Some(char) => {
                plain.push(char.into());
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Whether the file is below that folder, without following symbolic links, which mean something else on the host.
fn is_there(folder: &Path, path: &str) -> bool {
    let mut at = folder.to_owned();
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        at.push(name);
        let Ok(file) = fs::symlink_metadata(&at) else { return false };
        if names.peek().is_some() && !file.is_dir() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTAINER: &str = "\
600 500 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/l/1:/l/2,upperdir=/u\\040x/fs,workdir=/w
601 600 0:51 / /proc rw - proc proc rw
602 600 8:1 /hosts /etc/hosts rw - ext4 /dev/sda1 rw
";

    #[test]
    fn the_upper_layer_is_told_and_what_is_mounted_over_it_is_not() {
        let layer = Layer::of(CONTAINER).unwrap();
        assert_eq!(layer.upper_of("/etc/shadow"), Some("/u x/fs"));
        assert_eq!(layer.upper_of("/etc/hosts.allow"), Some("/u x/fs"));
        assert_eq!((layer.upper_of("/etc/hosts"), layer.upper_of("/proc/1/mem")), (None, None));
        let covered = CONTAINER.to_owned() + "603 600 0:60 / / rw - tmpfs tmpfs rw\n";
        assert_eq!(Layer::of(&covered), None);
        assert_eq!(Layer::of("30 1 8:1 / / rw - ext4 /dev/sda1 rw\n"), None);
        assert_eq!(Layer::of("nonsense"), None);
    }

    #[test]
    fn a_file_counts_where_it_is_there_without_links() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/shadow"), "").unwrap();
        std::os::unix::fs::symlink("etc", root.join("link")).unwrap();
        for (path, expected) in
            [("/etc/shadow", true), ("/etc", true), ("/link", true), ("/link/shadow", false), ("/no", false)]
        {
            assert_eq!(is_there(root, path), expected, "{path}");
        }
    }

    #[test]
    fn the_host_and_processes_that_are_gone_have_none() {
        let mut paths = HostPaths::new();
        let own = mnt_ns("self").unwrap();
        paths.host_mnt_ns = own;
        assert_eq!(paths.of(own, [std::process::id()], "/etc/passwd"), None);
        assert_eq!(paths.of(0, [1], "/etc/passwd"), None);
        assert_eq!(
            paths.of(own.wrapping_add(1), [std::process::id()], "/etc/passwd"),
            None,
            "another namespace"
        );
        assert!(paths.layers.is_empty());
    }
}
