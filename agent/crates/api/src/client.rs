//! The client's end of the API, for the command line. It blocks.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longest line that a client takes, bytes.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a client waits for a connection, and for an answer to begin, seconds.
const PATIENCE_SECONDS: u64 = 60;

/// Where an agent answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Over its unix socket.
    Unix(PathBuf),
    /// Over TLS.
    Https {
        /// Name or address, as its certificate has it.
        host: String,
        /// Port.
        port: u16,
    },
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("found `{text}`, expected unix:PATH or https://HOST:PORT");
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let authority = text.strip_prefix("https://").ok_or_else(expected)?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').ok_or_else(expected)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('/') {
            return Err(expected());
        }
        Ok(Self::Https { host: host.to_owned(), port: port.parse().map_err(|_| expected())? })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Https { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot reach an agent at {target}")]
    Connect {
        /// Where.
        target: Target,
        /// The system's answer.
        source: io::Error,
    },
    /// The connection broke, or carried something else.
    #[error("the connection to the agent broke: {0}")]
    Broken(String),
    /// The agent refused.
    #[error("the agent refused: {0}")]
    Refused(String),
    /// What is needed to connect cannot be used.
    #[error("{0}")]
    Setup(String),
}

/// Which agent to ask, and by what.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it answers.
    pub target: Target,
    /// What it is shown.
    pub token: Option<String>,
    /// Certificates of the authorities that its certificate may be signed by, PEM.
    pub authorities: Option<Vec<u8>>,
}

impl Client {
    /// Asks for a stream of records. Parameters are pairs of names and values.
    pub fn records(&self, path: &str, parameters: &[(&str, String)]) -> Result<Lines, ClientError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ClientError::Setup(format!("no runtime: {error}")))?;
        let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let body = runtime.block_on(async {
            let patience = Duration::from_secs(PATIENCE_SECONDS);
            timeout(patience, self.get(&format!("{path}?{query}"))).await.unwrap_or_else(|_| {
                Err(ClientError::Broken(format!("no answer within {PATIENCE_SECONDS} s")))
            })
        })?;
        Ok(Lines { runtime, body: Some(body), buffer: Vec::new(), begin: 0 })
    }

    async fn get(&self, path: &str) -> Result<Incoming, ClientError> {
        let failed = |source| ClientError::Connect { target: self.target.clone(), source };
        match &self.target {
            Target::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(failed)?;
                self.ask(stream, "agent", path).await
            }
            Target::Https { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                let name = ServerName::try_from(host.clone())
                    .map_err(|_| ClientError::Setup(format!("{host} is no name of a server")))?;
                let tls = TlsConnector::from(Arc::new(self.tls()?));
                let stream = tls.connect(name, stream).await.map_err(failed)?;
                self.ask(stream, host, path).await
            }
        }
    }

    fn tls(&self) -> Result<ClientConfig, ClientError> {
        let Some(pem) = &self.authorities else {
            let why = "https needs --ca-file: certificates that the agent's may be signed by";
            return Err(ClientError::Setup(why.to_owned()));
        };
        let failed = |error: String| ClientError::Setup(format!("the CA file: {error}"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(failed("it has no certificate in PEM".to_owned()));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder =
            builder.with_safe_default_protocol_versions().map_err(|error| failed(error.to_string()))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    async fn ask<S>(&self, stream: S, host: &str, path: &str) -> Result<Incoming, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| ClientError::Broken(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let mut request = Request::get(path)
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/x-ndjson")
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| ClientError::Setup(format!("the request cannot be sent: {error}")))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or_default();
        Err(ClientError::Refused(match problem["position"].as_u64() {
            Some(position) => format!("{status}: {detail} (at character {position})"),
            None => format!("{status}: {detail}"),
        }))
    }
}

/// The lines of an answer, without their newlines.
#[derive(Debug)]
pub struct Lines {
    runtime: Runtime,
    body: Option<Incoming>,
    buffer: Vec<u8>,
    begin: usize,
}

impl Lines {
    fn line(&mut self) -> Option<Vec<u8>> {
        let length = self.buffer[self.begin..].iter().position(|byte| *byte == b'\n')?;
        let line = self.buffer[self.begin..self.begin + length].to_vec();
        self.begin += length + 1;
        Some(line)
    }
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.line() {
                return Some(Ok(line));
            }
            self.buffer.drain(..self.begin);
            self.begin = 0;
            let body = self.body.as_mut()?;
            let failed = match self.runtime.block_on(body.frame()) {
                None if self.buffer.is_empty() => None,
                None => Some("it ended within a record".to_owned()),
                Some(Err(error)) => Some(format!("records are missing: {error}")),
                Some(Ok(_)) if self.buffer.len() > LINE_BYTES_MAX => {
                    Some(format!("a line of more than {LINE_BYTES_MAX} bytes"))
                }
                Some(Ok(frame)) => {
                    self.buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                    continue;
                }
            };
            self.body = None;
            self.buffer.clear();
            return failed.map(|why| Err(ClientError::Broken(why)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_sockets_or_https() {
        let https = |host: &str, port| Ok(Target::Https { host: host.to_owned(), port });
        for (text, expected) in [
            ("unix:/run/a.sock", Ok(Target::Unix("/run/a.sock".into()))),
            ("https://node-1:9465", https("node-1", 9465)),
            ("https://node-1:9465/", https("node-1", 9465)),
            ("https://[2001:db8::1]:9465", https("2001:db8::1", 9465)),
        ] {
            assert_eq!(text.parse::<Target>(), expected);
        }
        for text in
            ["", "unix:", "/run/a.sock", "http://node:1", "https://node", "https://:1", "https://n/x:1"]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
