//! The agent's end of the observe socket.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::CLIENTS_MAX;
use super::connection::Connection;
use super::hub::ObserveHub;
use super::socket::{OwnedSocket, SocketError};

/// Connections at a time, those included that have not sent their request yet; further ones wait.
const CONNECTIONS_MAX: usize = 4 * CLIENTS_MAX;

/// Pause after an accept that failed, for want of descriptors most likely.
const ACCEPT_RETRY_MS: u64 = 500;

/// At shutdown, clients get this long to read what is queued for them.
const GOODBYE_MS_MAX: u64 = 1000;

/// A bound socket that does not answer yet.
#[derive(Debug)]
pub struct ObserveServer {
    socket: OwnedSocket,
}

impl ObserveServer {
    /// Makes the socket, in place of one that a killed agent left behind. Needs a tokio runtime around it.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        OwnedSocket::bind(path).map(|socket| Self { socket })
    }

    /// Serves clients until `shutdown` completes, then closes the hub and removes the socket.
    pub async fn serve(self, hub: Arc<ObserveHub>, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.socket.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok(stream) => {
                        let permitted = self.socket.permits(&stream);
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
        self.socket.remove();
    }
}
