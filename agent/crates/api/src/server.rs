//! Listeners and their connections.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::ServiceExt as _;
use watchfire_export::{ApiMetrics, ApiRefusal, OwnedSocket, SocketError};

use crate::limits::{
    CONNECTIONS_MAX, GOODBYE_MS_MAX, HANDSHAKE_SECONDS_MAX, HEAD_BYTES_MAX, HEAD_SECONDS_MAX, HEADERS_MAX,
};
use crate::pacing::Paced;
use crate::peer::Peer;
use crate::router::router;
use crate::setup::Setup;

/// Pause after an accept that failed, for want of descriptors most likely.
pub(crate) const ACCEPT_RETRY_MS: u64 = 500;

/// The API on a unix socket that does not answer yet.
#[derive(Debug)]
pub struct UnixServer {
    socket: OwnedSocket,
}

impl UnixServer {
    /// Makes the socket. Needs a tokio runtime around it.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        OwnedSocket::bind(path).map(|socket| Self { socket })
    }

    /// Answers until `shutdown` completes, then lets running answers end and removes the socket.
    pub async fn serve(self, setup: Setup, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut connections = Connections::new(setup.clone());
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.running.join_next() => {}
                accepted = self.socket.accept() => match accepted {
                    Ok(stream) => {
                        let peer = self.peer(&stream);
                        if let Some(place) = connections.place() {
                            connections.start(stream, peer, place);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept on the API's socket");
                        sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                    }
                },
            }
        }
        setup.0.hub.close();
        connections.end().await;
        self.socket.remove();
    }

    fn peer(&self, stream: &UnixStream) -> Peer {
        let credentials = stream.peer_cred().ok();
        Peer::Unix {
            uid: credentials.as_ref().map(tokio::net::unix::UCred::uid),
            pid: credentials.as_ref().and_then(tokio::net::unix::UCred::pid),
            is_permitted: self.socket.permits(stream),
        }
    }
}

/// The connections of one listener.
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    router: Router,
    metrics: ApiMetrics,
    pub(crate) running: JoinSet<()>,
    ending: watch::Sender<bool>,
}

impl Connections {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            metrics: setup.metrics().clone(),
            router: router(setup),
            running: JoinSet::new(),
            ending: watch::channel(false).0,
        }
    }

    /// A place for one more connection, if there is one.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            self.metrics.refused(ApiRefusal::Connections);
        }
        place
    }

    /// Answers on a connection. `held` is let go at its end.
    pub(crate) fn start<S>(&mut self, stream: S, peer: Peer, held: impl Send + 'static)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Paced::new(stream, self.metrics.clone());
        let connection =
            answer(stream, peer, self.router.clone(), self.metrics.clone(), self.ending.subscribe());
        self.running.spawn(async move {
            let _held = held;
            connection.await;
        });
    }

    /// The same once TLS is agreed on.
    pub(crate) fn start_tls(
        &mut self,
        stream: TcpStream,
        peer: Peer,
        tls: Arc<ServerConfig>,
        held: impl Send + 'static,
    ) {
        let stream = Paced::new(stream, self.metrics.clone());
        let (router, metrics, ending) = (self.router.clone(), self.metrics.clone(), self.ending.subscribe());
        self.running.spawn(async move {
            let _held = held;
            let handshake = TlsAcceptor::from(tls).accept(stream);
            match timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), handshake).await {
                Ok(Ok(stream)) => answer(stream, peer, router, metrics, ending).await,
                Ok(Err(error)) => {
                    metrics.refused(ApiRefusal::Handshake);
                    tracing::debug!(?peer, %error, "no TLS with a client of the API");
                }
                Err(_) => metrics.refused(ApiRefusal::Handshake),
            }
        });
    }

    /// One client has as many connections as it may.
    pub(crate) fn refuse_client(&self) {
        self.metrics.refused(ApiRefusal::ClientConnections);
    }

    /// Lets what is being answered be answered, for a while.
    pub(crate) async fn end(mut self) {
        self.ending.send_replace(true);
        let ended = async { while self.running.join_next().await.is_some() {} };
        if timeout(Duration::from_millis(GOODBYE_MS_MAX), ended).await.is_err() {
            self.running.shutdown().await;
        }
    }
}

async fn answer<S>(
    stream: S,
    peer: Peer,
    router: Router,
    metrics: ApiMetrics,
    mut ending: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _open = Open::new(&metrics);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let router = router.clone();
        router.oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEAD_SECONDS_MAX))
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = async { _ = ending.wait_for(|ending| *ending).await } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result
        && (error.is_parse() || error.is_timeout())
    {
        metrics.refused(ApiRefusal::BadHead);
        tracing::debug!(?peer, %error, "no request came over a connection to the API");
    }
}

/// Counts a connection for as long as it is open.
struct Open<'a>(&'a ApiMetrics);

impl<'a> Open<'a> {
    fn new(metrics: &'a ApiMetrics) -> Self {
        metrics.connections(1);
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections(-1);
    }
}
