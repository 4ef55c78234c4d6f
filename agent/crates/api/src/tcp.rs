//! The API over TCP: with TLS, for whoever has a token.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::credentials::{CredentialError, CredentialFiles, Credentials};
use crate::limits::{CLIENT_CONNECTIONS_MAX, FILES_SECONDS};
use crate::peer::Peer;
use crate::reviews::{Reviewer, Reviews};
use crate::server::{ACCEPT_RETRY_MS, Connections};
use crate::setup::Setup;
use crate::wrong_tokens::WrongTokens;

/// Why the API is not to be had over TCP.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for the API")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// Certificate, key or tokens cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

/// Who may ask over TCP.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) credentials: Credentials,
    pub(crate) wrong: WrongTokens,
    /// Who is asked about tokens that no file has.
    pub(crate) reviews: Option<Reviews>,
}

/// The API over TCP that does not answer yet.
#[derive(Debug)]
pub struct TcpServer {
    listener: TcpListener,
    address: SocketAddr,
    gate: Arc<Gate>,
}

impl TcpServer {
    /// Takes the address and reads certificate, key and tokens. Tokens that the file has not are asked of `reviewer`.
    pub async fn bind(
        address: SocketAddr,
        files: CredentialFiles,
        reviewer: Option<Arc<dyn Reviewer>>,
    ) -> Result<Self, TcpError> {
        let credentials = Credentials::open(files)?;
        let failed = |source| TcpError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let gate = Gate { credentials, wrong: WrongTokens::default(), reviews: reviewer.map(Reviews::new) };
        Ok(Self { listener, address, gate: Arc::new(gate) })
    }

    /// The address taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` completes, then lets running answers end.
    pub async fn serve(self, setup: Setup, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut connections = Connections::new(setup.with_gate(Arc::clone(&self.gate)));
        let clients = Arc::new(Clients::default());
        let mut files = interval(Duration::from_secs(FILES_SECONDS));
        files.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.running.join_next() => {}
                _ = files.tick() => look(&self.gate).await,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.start(stream, peer, &clients, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept for the API");
                        sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                    }
                },
            }
        }
        setup.0.hub.close();
        connections.end().await;
    }

    fn start(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        clients: &Arc<Clients>,
        connections: &mut Connections,
    ) {
        let Some(client) = Clients::enter(clients, peer.ip()) else {
            connections.refuse_client();
            return;
        };
        if let Some(place) = connections.place() {
            let tls = self.gate.credentials.current().tls;
            connections.start_tls(stream, Peer::Tcp(peer), tls, (place, client));
        }
    }
}

/// The files are read where that may wait for a disk.
async fn look(gate: &Arc<Gate>) {
    let looking = Arc::clone(gate);
    match tokio::task::spawn_blocking(move || looking.credentials.look()).await {
        Ok(Ok(true)) => tracing::info!("the API has taken in a new certificate, key or list of tokens"),
        Ok(Ok(false)) | Err(_) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "the API keeps its certificate, key and tokens");
        }
    }
}

/// How many connections each address has.
#[derive(Default, Debug)]
struct Clients(Mutex<HashMap<IpAddr, usize>>);

/// One connection of an address.
struct Client {
    clients: Arc<Clients>,
    ip: IpAddr,
}

impl Clients {
    fn enter(clients: &Arc<Self>, ip: IpAddr) -> Option<Client> {
        let mut open = clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(ip).or_default();
        if *count >= CLIENT_CONNECTIONS_MAX {
            return None;
        }
        *count += 1;
        Some(Client { clients: Arc::clone(clients), ip })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut open = self.clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.ip);
            }
        }
    }
}
