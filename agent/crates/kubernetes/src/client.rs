//! Connections. Put together here, since kube's own client has no keepalive (a watch on a dead connection would be silent
//! for minutes) and repeats each failure in the log.

use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config, Error};
use tower::{BoxError, ServiceBuilder};

/// Longest wait for a TCP connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which the other side is asked whether it is still there.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// How often it is asked.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How many times it may not answer.
pub const KEEPALIVE_RETRIES: u32 = 3;
/// How long an unused connection is kept: a kind that is not there is not worth one.
const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(10);

/// A client that sends nothing yet.
pub(crate) fn client(mut config: Config) -> Result<Client, Error> {
    if let Some(proxy_url) = config.proxy_url.take() {
        let protocol_feature = "a proxy, which this agent has not";
        return Err(Error::ProxyProtocolDisabled { proxy_url: Box::new(proxy_url), protocol_feature });
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_keepalive(Some(KEEPALIVE_AFTER));
    connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    connector.set_tcp_user_timeout(Some(KEEPALIVE_AFTER + KEEPALIVE_RETRIES * KEEPALIVE_INTERVAL));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let client = HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_KEPT)
        .build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(Client::new(service, config.default_namespace))
}
