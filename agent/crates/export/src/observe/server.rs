//! The agent's end of the observe socket.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::CLIENTS_MAX;
use super::connection::Connection;
use super::hub::ObserveHub;

/// Records tell command lines: for the agent's user and root alone.
const SOCKET_MODE: u32 = 0o600;

/// Connections at a time, those included that have not sent their request yet; further ones wait.
const CONNECTIONS_MAX: usize = 4 * CLIENTS_MAX;

/// Pause after an accept that failed, for want of descriptors most likely.
const ACCEPT_RETRY_MS: u64 = 500;

/// At shutdown, clients get this long to read what is queued for them.
const GOODBYE_MS_MAX: u64 = 1000;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ObserveServerError {
    /// Another agent runs.
    #[error("observe socket {0} is in use by a running agent")]
    InUse(PathBuf),
    /// Something else has the name.
    #[error("{0} exists and is no socket; it is left alone")]
    NoSocket(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on observe socket {path}")]
    Bind {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A bound socket that does not answer yet.
#[derive(Debug)]
pub struct ObserveServer {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket file.
    identity: (u64, u64),
    owner_uid: u32,
}

impl ObserveServer {
    /// Makes the socket, in place of one that a killed agent left behind. Needs a tokio runtime around it.
    pub fn bind(path: &Path) -> Result<Self, ObserveServerError> {
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

    /// Serves clients until `shutdown` completes, then closes the hub and removes the socket.
    pub async fn serve(self, hub: Arc<ObserveHub>, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        let permitted = self.permits(&stream);
                        connections.spawn(Connection::new(stream, Arc::clone(&hub)).run(permitted));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept on the observe socket");
                        sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                    }
                },
            }
        }
        hub.close();
        let goodbye = async { while connections.join_next().await.is_some() {} };
        if timeout(Duration::from_millis(GOODBYE_MS_MAX), goodbye).await.is_err() {
            connections.shutdown().await;
        }
        // Not if a newer agent has put its own in place.
        let ours = |metadata: fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn permits(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == self.owner_uid)
    }
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> Result<(), ObserveServerError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ObserveServerError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(path, source)),
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(ObserveServerError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| failed(path, source))
        }
        Err(source) => Err(failed(path, source)),
    }
}

fn failed(path: &Path, source: io::Error) -> ObserveServerError {
    ObserveServerError::Bind { path: path.to_owned(), source }
}
