//! The client's end of the observe socket, for `watchfire observe`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::ObserveRequest;
use super::protocol::Notice;

/// Longest line that a client takes, bytes.
pub const CLIENT_LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why records cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// Nobody listens there.
    #[error("no agent listens on {path}; is `watchfire run` running with this socket?")]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The socket cannot be used.
    #[error("cannot connect to {path}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The agent refused the request.
    #[error("the agent refused: {0}")]
    Refused(String),
    /// The connection broke.
    #[error("connection to the agent broke")]
    Broken(#[source] io::Error),
    /// A line longer than any that the agent writes.
    #[error("the agent sent a line of more than {CLIENT_LINE_BYTES_MAX} bytes")]
    LineTooLong,
}

/// Lines as they come, each a JSON object, without their newlines. Ends when the agent does, or behind the last
/// recent record if the request does not follow.
#[derive(Debug)]
pub struct ObservedLines {
    reader: BufReader<UnixStream>,
    ended: bool,
}

/// Connects and asks. The lines are read where the caller iterates, which blocks.
pub fn observe(socket: &Path, request: &ObserveRequest) -> Result<ObservedLines, ObserveError> {
    let mut stream = connect(socket)?;
    let mut line = serde_json::to_vec(request).expect("a request has string keys only");
    line.push(b'\n');
    stream.write_all(&line).map_err(ObserveError::Broken)?;
    Ok(ObservedLines { reader: BufReader::new(stream), ended: false })
}

pub(super) fn connect(socket: &Path) -> Result<UnixStream, ObserveError> {
    UnixStream::connect(socket).map_err(|source| {
        let path = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ObserveError::NotRunning { path, source }
            }
            _ => ObserveError::Connect { path, source },
        }
    })
}

impl ObservedLines {
    fn read(&mut self) -> Result<Option<String>, ObserveError> {
        let mut line = String::new();
        let mut bounded = (&mut self.reader).take(CLIENT_LINE_BYTES_MAX);
        let bytes = match bounded.read_line(&mut line) {
            Ok(bytes) => bytes as u64,
            // The agent was killed; what it had sent has been read.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(ObserveError::Broken(error)),
        };
        if bytes == 0 {
            return Ok(None);
        }
        if line.pop() != Some('\n') {
            return match bytes {
                CLIENT_LINE_BYTES_MAX => Err(ObserveError::LineTooLong),
                _ => Err(ObserveError::Broken(io::ErrorKind::UnexpectedEof.into())),
            };
        }
        // Records begin with their time, so this looks at notices alone.
        if line.starts_with("{\"type\":\"error\"")
            && let Ok(Notice::Error { error }) = serde_json::from_str(&line)
        {
            return Err(ObserveError::Refused(error));
        }
        Ok(Some(line))
    }
}

impl Iterator for ObservedLines {
    type Item = Result<String, ObserveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
