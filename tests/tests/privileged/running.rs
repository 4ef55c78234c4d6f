//! What tests start and ask of agents, and cgroups that they start programs in.

use std::path::{Path, PathBuf};
use std::process::Command;

use watchfire_tests::cgroup2_root;
pub(crate) use watchfire_tests::{
    FAMILIES, agent, ask_who, bare, command, has_argument, http_get, metric, metric_until, nonce, only,
    ready, who, who_until,
};

/// A cgroup made for a test, named as kubelet names a container's, gone at the end.
pub(crate) struct TestCgroup {
    /// Path below the cgroup v2 root.
    pub(crate) path: String,
    folder: PathBuf,
}

impl TestCgroup {
    pub(crate) fn new(path: &str) -> Self {
        let root = cgroup2_root().expect("the test needs cgroup v2");
        let folder = root.join(path);
        std::fs::create_dir_all(&folder).expect("make a cgroup");
        Self { path: path.to_owned(), folder }
    }

    /// A shell command that moves itself into the cgroup and becomes `script`.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("echo $$ > {}/cgroup.procs && {script}", self.folder.display())]);
        command
    }

    /// The cgroup v2 id: the folder's inode number.
    pub(crate) fn id(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(&self.folder).expect("the cgroup is there").ino()
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        // From the leaf upwards, as far as nobody else uses it. A process that is just ending may hold it a moment; the
        // kernel answers the same for a folder with others in it.
        let root = cgroup2_root().unwrap_or_default();
        let has_folders = |folder: &Path| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.into_iter().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        };
        for folder in self.folder.ancestors().take_while(|folder| **folder != *root && !has_folders(folder)) {
            for _ in 0..200 {
                match std::fs::remove_dir(folder) {
                    Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                        std::thread::park_timeout(std::time::Duration::from_millis(10));
                    }
                    _ => break,
                }
            }
        }
    }
}
