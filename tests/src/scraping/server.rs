//! Prometheus, Alertmanager and VictoriaMetrics, each a process of its own on a free port of the loopback interface.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::until;

/// A running server; dropping it ends it, by its own process id.
pub struct Server {
    child: Child,
    name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// With TLS, the authority that has signed its certificate.
    authority: Option<PathBuf>,
}

impl Server {
    /// Starts a program that is told where to listen, and waits until `ready` answers with 200. Its log goes into the
    /// folder.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(
        name: &'static str,
        command: Command,
        folder: &Path,
        ready: &str,
        arguments: impl FnOnce(SocketAddr) -> Vec<String>,
    ) -> Self {
        Self::started(name, command, folder, ready, None, arguments)
    }

    /// The same of a program that talks TLS as `localhost`, with a certificate that this authority has signed. It is asked by
    /// openssl.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_tls(
        name: &'static str,
        command: Command,
        folder: &Path,
        ready: &str,
        authority: PathBuf,
        arguments: impl FnOnce(SocketAddr) -> Vec<String>,
    ) -> Self {
        Self::started(name, command, folder, ready, Some(authority), arguments)
    }

    fn started(
        name: &'static str,
        mut command: Command,
        folder: &Path,
        ready: &str,
        authority: Option<PathBuf>,
        arguments: impl FnOnce(SocketAddr) -> Vec<String>,
    ) -> Self {
        let address = free_address();
        let log = File::create(folder.join(format!("{name}.log"))).expect("make a log file");
        let child = command
            .args(arguments(address))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("another descriptor"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let mut server = Self { child, name, address, authority };
        until(&format!("{name} is ready"), || {
            if let Ok(Some(status)) = server.child.try_wait() {
                let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
                panic!("{name} ended with {status}: {log}");
            }
            (server.ask(ready).ok()?.0 == 200).then_some(())
        });
        server
    }

    /// The answer of an instant query, one value for each series, or why there is none.
    ///
    /// # Panics
    /// When the server is not there.
    pub fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        let (status, body) = self.ask(&path).expect("ask a server");
        let answer: Value = serde_json::from_slice(&body).map_err(|error| format!("{status} {error}"))?;
        if status != 200 {
            return Err(format!("{} answers {status}: {answer}", self.name));
        }
        let result = &answer["data"]["result"];
        Ok(match answer["data"]["resultType"].as_str() {
            Some("scalar") => vec![result.clone()],
            _ => result.as_array().cloned().unwrap_or_default(),
        })
    }

    /// The JSON that it answers at a path.
    ///
    /// # Panics
    /// When it answers something else.
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(path).expect("ask a server");
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("an answer in JSON")
    }

    /// Status and body of an answer. By HTTP/1.0, so that no answer comes in chunks.
    fn ask(&self, path: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        let mut answer = match &self.authority {
            None => {
                let mut stream = TcpStream::connect(self.address)?;
                stream.write_all(request.as_bytes())?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer)?;
                answer
            }
            Some(authority) => by_openssl(self.address, authority, &request)?,
        };
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
        let status = String::from_utf8_lossy(&answer[..end])
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_default();
        Ok((status, answer.split_off((end + 4).min(answer.len()))))
    }
}

/// What a server answers over TLS.
fn by_openssl(address: SocketAddr, authority: &Path, request: &str) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-servername", "localhost", "-connect"])
        .arg(address.to_string())
        .arg("-CAfile")
        .arg(authority)
        .env("OPENSSL_CONF", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // It may have ended already, where nobody listens yet.
    let written = stdin.write_all(request.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    written.map(|()| output.stdout)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address")
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
