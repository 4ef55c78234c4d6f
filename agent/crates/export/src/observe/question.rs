//! Questions over the observe socket: one line, one answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::client::{CLIENT_LINE_BYTES_MAX, ObserveError, connect};
use super::protocol::Notice;

/// Longest text that can be asked about, bytes.
pub const WHO_BYTES_MAX: usize = 1024;
/// Questions that wait for the pipeline; further ones wait at the socket.
pub const QUESTIONS_MAX: usize = 16;
/// How long a client waits for an answer, seconds.
pub const ANSWER_SECONDS_MAX: u64 = 10;

/// A question on its way to where the answer is known.
#[derive(Debug)]
pub struct Question {
    /// A pid, an address, a container id or its beginning, or the name of a pod.
    pub who: String,
    /// Where the answer goes: a JSON object.
    pub answer: oneshot::Sender<Value>,
}

/// The line that a client sends who asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoRequest {
    pub(super) who: String,
}

/// Asks and waits for the answer. The error is what the client is told.
pub(super) async fn ask(questions: Option<&mpsc::Sender<Question>>, who: String) -> Result<Value, String> {
    if who.is_empty() || who.len() > WHO_BYTES_MAX {
        return Err(format!("bad request: who is {} bytes long, expected 1 to {WHO_BYTES_MAX}", who.len()));
    }
    let questions = questions.ok_or("this agent answers no questions")?;
    let (answer, answered) = oneshot::channel();
    let gone = |_| "the agent is shutting down".to_owned();
    let limit = std::time::Duration::from_secs(ANSWER_SECONDS_MAX);
    let asking = async {
        questions.send(Question { who, answer }).await.map_err(|_| ()).map_err(gone)?;
        answered.await.map_err(|_| ()).map_err(gone)
    };
    match tokio::time::timeout(limit, asking).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {ANSWER_SECONDS_MAX} s: the agent is busy")),
    }
}

/// Connects and asks who somebody is: a pid, an address, a container id or its beginning, or the name of a pod. Answers
/// a JSON object.
pub fn who(socket: &Path, who: &str) -> Result<Value, ObserveError> {
    let mut stream: UnixStream = connect(socket)?;
    let mut line =
        serde_json::to_vec(&WhoRequest { who: who.to_owned() }).expect("a request has string keys only");
    line.push(b'\n');
    stream.write_all(&line).map_err(ObserveError::Broken)?;
    let mut line = String::new();
    let mut bounded = BufReader::new(stream.take(CLIENT_LINE_BYTES_MAX));
    bounded.read_line(&mut line).map_err(ObserveError::Broken)?;
    if let Ok(Notice::Error { error }) = serde_json::from_str(&line) {
        return Err(ObserveError::Refused(error));
    }
    serde_json::from_str(&line).map_err(|error| ObserveError::Broken(error.into()))
}
