//! A unix socket for the agent's user and root alone.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Records tell command lines: for the agent's user and root alone.
const SOCKET_MODE: u32 = 0o600;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another agent runs.
    #[error("socket {0} is in use by a running agent")]
    InUse(PathBuf),
    /// Something else has the name.
    #[error("{0} exists and is no socket; it is left alone")]
    NoSocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on socket {path}")]
    Bind {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A bound socket that does not answer yet.
#[derive(Debug)]
pub struct OwnedSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket file.
    identity: (u64, u64),
    owner_uid: u32,
}

impl OwnedSocket {
    /// Makes the socket, in place of one that a killed agent left behind. Needs a tokio runtime around it.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        remove_stale(path)?;
        Self::make(path).map_err(|source| failed(path, source))
    }

    fn make(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let listener = UnixListener::bind(path)?;
        // Until here the umask decides who may connect; the check of each peer's user covers that moment.
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        let metadata = fs::symlink_metadata(path)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { listener, path: path.to_owned(), identity, owner_uid: metadata.uid() })
    }

    /// Waits for the next connection.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the process at the other end may ask.
    #[must_use]
    pub fn permits(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == self.owner_uid)
    }

    /// Removes the socket, unless a newer agent has put its own in place.
    pub fn remove(&self) {
        let ours = |metadata: fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(path, source)),
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| failed(path, source))
        }
        Err(source) => Err(failed(path, source)),
    }
}

fn failed(path: &Path, source: io::Error) -> SocketError {
    SocketError::Bind { path: path.to_owned(), source }
}
