//! The HTTP server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use watchfire_export::{Condition, Health, HttpError, HttpServer, Metrics};

use crate::metrics::metrics;

struct Running {
    address: SocketAddr,
    health: Arc<Health>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), HttpError>>,
}

async fn serve() -> Running {
    let server = HttpServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, health) = (server.address(), Arc::new(Health::new()));
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    let served = tokio::spawn(server.serve(metrics(), Arc::clone(&health), shutdown));
    Running { address, health, stop, served }
}

/// Asks and reads until the server closes, which it does after one answer.
async fn ask(address: SocketAddr, method: &'static str, path: &'static str) -> (String, String) {
    let answer = spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        // Behind a `?`, which no path here has, what is accepted.
        let (path, accepted) = path.split_once('?').unwrap_or((path, "*/*"));
        let head = format!("{method} {path} HTTP/1.1\r\nHost: watchfire\r\nAccept: {accepted}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn metrics_health_and_nothing_else() {
    let running = serve().await;
    let (head, body) = ask(running.address, "GET", "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains(&format!("content-type: {}", Metrics::PLAIN_TEXT)), "{head}");
    assert!(body.contains("watchfire_build_info{") && !body.contains("# EOF"), "{body}");
    // As Prometheus asks.
    let asked =
        "/metrics?application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (head, body) = ask(running.address, "GET", asked).await;
    assert!(head.contains(&format!("content-type: {}", Metrics::OPEN_METRICS)), "{head}");
    assert!(body.contains("watchfire_build_info{") && body.ends_with("# EOF\n"), "{body}");

    for (method, path, status, expected) in [
        ("GET", "/healthz", "200", "ok\n"),
        ("GET", "/readyz", "503", "sensor-attached: not yet\ninitial-state: not yet\n"),
        ("GET", "/", "404", "not found; try /metrics, /healthz or /readyz\n"),
        ("POST", "/metrics", "405", ""),
    ] {
        let (head, body) = ask(running.address, method, path).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {head}");
        assert_eq!(body, expected, "{path}");
    }
    for condition in Condition::AT_START {
        running.health.fulfil(condition);
    }
    assert_eq!(ask(running.address, "GET", "/readyz").await.1, "ok\n");

    running.stop.send(()).unwrap();
    running.served.await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).is_err(), "stopped listening");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let running = serve().await;
    let error = HttpServer::bind(running.address).await.unwrap_err().to_string();
    let address = running.address;
    assert_eq!(
        error,
        format!("cannot listen on {address} for metrics and probes: port in use by another process")
    );
}
