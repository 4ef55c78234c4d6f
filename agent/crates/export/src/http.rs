//! The HTTP server: /metrics, /healthz and /readyz.

mod listener;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::{Health, Metrics};

use self::listener::BoundedListener;
pub use self::listener::{HTTP_CONNECTION_SECONDS_MAX, HTTP_CONNECTIONS_MAX};

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} for metrics and probes: {hint}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What is wrong with it.
        hint: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The listener broke.
    #[error("metrics server failed")]
    Serve(#[source] io::Error),
}

/// A bound server that does not answer yet.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpServer {
    /// Takes the address. Bound first and served later, so that a taken port ends the start and nothing else.
    pub async fn bind(address: SocketAddr) -> Result<Self, HttpError> {
        let failed = |source: io::Error| {
            let hint = match source.kind() {
                io::ErrorKind::AddrInUse => "port in use by another process".to_owned(),
                io::ErrorKind::AddrNotAvailable => "no interface of this host has the address".to_owned(),
                io::ErrorKind::PermissionDenied => {
                    "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)".to_owned()
                }
                _ => source.to_string(),
            };
            HttpError::Bind { address, hint, source }
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address taken; tells the port where port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` completes, then lets running answers finish.
    pub async fn serve(
        self,
        metrics: Metrics,
        health: Arc<Health>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), HttpError> {
        axum::serve(BoundedListener::new(self.listener), router(Views { metrics, health }))
            .with_graceful_shutdown(shutdown)
            .await
            .map_err(HttpError::Serve)
    }
}

#[derive(Clone)]
struct Views {
    metrics: Metrics,
    health: Arc<Health>,
}

fn router(views: Views) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || (StatusCode::NOT_FOUND, "not found; try /metrics, /healthz or /readyz\n"))
        .layer(middleware::map_response(one_request_per_connection))
        .with_state(views)
}

/// In OpenMetrics for whoever asks for it, as Prometheus does; else in the format that everybody reads.
async fn metrics(State(views): State<Views>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (media_type, text) =
        if accepted.into_iter().any(|accepted| accepted.contains("application/openmetrics-text")) {
            (Metrics::OPEN_METRICS, views.metrics.render())
        } else {
            (Metrics::PLAIN_TEXT, views.metrics.render_plain())
        };
    ([(header::CONTENT_TYPE, media_type)], text)
}

async fn healthz(State(views): State<Views>) -> impl IntoResponse {
    answer(views.health.alive())
}

async fn readyz(State(views): State<Views>) -> impl IntoResponse {
    answer(views.health.ready())
}

fn answer(state: Result<(), String>) -> (StatusCode, String) {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}

/// A scraper comes by every few seconds: idle connections would only use up the bounded number of them.
async fn one_request_per_connection(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
