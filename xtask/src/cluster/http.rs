//! Asking the node's programs that answer without encryption.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Whether a page that says how its server is says that it is well.
pub(super) fn is_healthy(address: &str, page: &str) -> bool {
    ask(address, "GET", page, "").is_ok()
}

/// Sends JSON; the answer.
pub(super) fn post(address: &str, page: &str, body: &Value) -> Result<Value> {
    let answer = ask(address, "POST", page, &body.to_string())?;
    serde_json::from_str(&answer).with_context(|| format!("{address}{page} answers {answer}"))
}

/// HTTP/1.0, whose answers come in one piece.
fn ask(address: &str, method: &str, page: &str, body: &str) -> Result<String> {
    let name = || format!("{method} http://{address}{page}");
    let mut stream = TcpStream::connect_timeout(&address.parse::<SocketAddr>()?, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    write!(
        stream,
        "{method} {page} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .with_context(name)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(name)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(name)?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("200"), "{}: {status}", name());
    Ok(body.to_owned())
}
