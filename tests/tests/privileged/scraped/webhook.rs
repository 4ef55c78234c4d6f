//! Who Alertmanager tells of alerts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use serde_json::Value;
use watchfire_tests::scraping::free_address;

/// A receiver of webhooks, which goes on until the test binary ends.
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    pub(crate) told: Receiver<Value>,
}

impl Webhook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(free_address()).expect("listen");
        let address = listener.local_addr().expect("an address");
        let (sender, told) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A sender that breaks off has told nothing.
                let _ = answer(stream, &sender);
            }
        });
        Self { address, told }
    }
}

fn answer(mut stream: TcpStream, told: &Sender<Value>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if let Ok(value) = serde_json::from_slice(&body) {
        // The test may have seen enough.
        let _ = told.send(value);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
