//! Prometheus, Alertmanager and VictoriaMetrics, each a process of its own on a free port of the loopback interface.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use watchfire_tests::until;

/// A running server; dropping it ends it, by its own process id.
pub(crate) struct Server {
    child: Child,
    name: &'static str,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program that is told where to listen, and waits until `ready` answers with 200. Its log goes into the
    /// folder.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        folder: &Path,
        ready: &str,
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
        let mut server = Self { child, name, address };
        until(&format!("{name} is ready"), || {
            if let Ok(Some(status)) = server.child.try_wait() {
                let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
                panic!("{name} ended with {status}: {log}");
            }
            (request(address, "GET", ready, &[], b"").ok()?.0 == 200).then_some(())
        });
        server
    }

    /// The answer of an instant query: one value for each series.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        let (status, body) = request(self.address, "GET", &path, &[], b"").expect("ask a server");
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
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = request(self.address, "GET", path, &[], b"").expect("ask a server");
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("an answer in JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address")
}

/// Status and body of an answer. By HTTP/1.0, so that no answer comes in chunks.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
    let status = String::from_utf8_lossy(&answer[..end])
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    Ok((status, answer.split_off((end + 4).min(answer.len()))))
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
