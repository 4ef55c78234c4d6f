//! Whose connection tracking is asked: each network namespace has its own.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// This thread's own.
const OWN: &str = "/proc/thread-self/ns/net";
/// The host's is that of process 1, where the agent sees the host's processes. Some hosts let nobody look at their
/// process 1; process 2 (kthreadd) never leaves the first namespace either.
const HOST: [&str; 3] = ["/proc/1/ns/net", "/proc/2/ns/net", OWN];

/// A network namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NetworkNamespace {
    /// The host's, where kube-proxy translates what pods send to services.
    Host,
    /// Another, by a file such as `/run/netns/NAME`.
    At(PathBuf),
}

impl NetworkNamespace {
    /// Moves this thread into it. That takes `CAP_SYS_ADMIN`, unless it is there already.
    pub(crate) fn enter(&self) -> Result<(), (PathBuf, io::Error)> {
        let path = self.path();
        let enter = || {
            let wanted = File::open(path)?;
            let (there, here) = (wanted.metadata()?, fs::metadata(OWN)?);
            if (there.dev(), there.ino()) != (here.dev(), here.ino()) {
                move_into_link_name_space(wanted.as_fd(), Some(LinkNameSpaceType::Network))?;
            }
            Ok(())
        };
        enter().map_err(|error| (path.to_owned(), error))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Host => Path::new(HOST.iter().find(|path| File::open(path).is_ok()).unwrap_or(&OWN)),
            Self::At(path) => path,
        }
    }
}
