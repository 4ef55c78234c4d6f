//! One HTTP/2 connection over a unix socket. It is opened here and not by a pool that reconnects by itself, so that its
//! end is noticed at once and what was missed is listed anew.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time;
use tonic::body::Body;
use tower_service::Service;

use crate::CriError;

/// An open connection. Dropping it closes the socket.
#[derive(Debug)]
pub(crate) struct Connection {
    requests: Requests,
    driver: JoinSet<Option<hyper::Error>>,
}

impl Connection {
    pub(crate) async fn open(socket: &Path, within: Duration) -> Result<Self, CriError> {
        let connect = async {
            let stream = UnixStream::connect(socket).await.map_err(CriError::Connect)?;
            let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            handshake.await.map_err(|error| CriError::Closed(Some(error)))
        };
        let timeout = |_| CriError::ConnectTimeout(within.as_millis());
        let (sender, connection) = time::timeout(within, connect).await.map_err(timeout)??;
        let mut driver = JoinSet::new();
        driver.spawn(async move { connection.await.err() });
        Ok(Self { requests: Requests(sender), driver })
    }

    pub(crate) fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Waits for the end of the connection.
    pub(crate) async fn closed(&mut self) -> CriError {
        let ended = self.driver.join_next().await;
        CriError::Closed(ended.and_then(Result::ok).flatten())
    }
}

/// Sends requests over a connection, as tonic wants it.
#[derive(Clone, Debug)]
pub(crate) struct Requests(http2::SendRequest<Body>);

impl Requests {
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Service<Request<Body>> for Requests {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
