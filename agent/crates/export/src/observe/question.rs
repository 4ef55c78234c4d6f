//! Questions over the observe socket: one line, and an answer of one or several.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::client::{CLIENT_LINE_BYTES_MAX, ObserveError, connect};
use super::protocol::Notice;

/// Longest text that can be asked about, bytes.
pub const WHO_BYTES_MAX: usize = 1024;
/// Questions that wait for the pipeline; further ones wait at the socket.
pub const QUESTIONS_MAX: usize = 16;
/// How long a client waits for an answer to begin, seconds.
pub const ANSWER_SECONDS_MAX: u64 = 10;
/// How long an answer may take to be read, seconds. A client that is slower is sent away: what it was to be told is held
/// until then.
pub(super) const ANSWER_READ_SECONDS_MAX: u64 = 60;

/// What can be asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// A pid, an address, a container id or its beginning, or the name of a pod. One line.
    Who(String),
    /// What the agent goes by. One line for each object.
    State(StateOf),
}

/// What there is to be known of the agent's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateOf {
    /// What connections are judged by: pods, namespaces, nodes, services, names and policies.
    Policy,
    /// The policies alone, behind how they are read.
    Policies,
    /// What candidate policies would change, in one object.
    Candidates,
}

/// What is answered: JSON objects, made when they are written.
pub type Answer = Box<dyn Iterator<Item = Value> + Send>;

/// A question on its way to where the answer is known.
pub struct Question {
    /// What is asked.
    pub ask: Ask,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("ask", &self.ask).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhoRequest {
    who: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateRequest {
    state: StateOf,
}

impl Ask {
    /// Keys by which questions are told from other requests.
    pub(super) const KEYS: [&str; 2] = ["who", "state"];

    /// Reads a request that has one of the keys.
    pub(super) fn read(request: Map<String, Value>) -> serde_json::Result<Self> {
        if request.contains_key("state") {
            let StateRequest { state } = serde_json::from_value(request.into())?;
            return Ok(Self::State(state));
        }
        let WhoRequest { who } = serde_json::from_value(request.into())?;
        Ok(Self::Who(who))
    }

    /// Whether the answer has as many lines as there are, with a notice behind the last.
    pub(super) const fn has_lines(&self) -> bool {
        matches!(self, Self::State(_))
    }
}

/// Asks and waits for the answer. The error is what the client is told.
pub async fn ask(questions: Option<&mpsc::Sender<Question>>, ask: Ask) -> Result<Answer, String> {
    if let Ask::Who(who) = &ask
        && (who.is_empty() || who.len() > WHO_BYTES_MAX)
    {
        return Err(format!("bad request: who is {} bytes long, expected 1 to {WHO_BYTES_MAX}", who.len()));
    }
    let questions = questions.ok_or("this agent answers no questions")?;
    let (answer, answered) = oneshot::channel();
    let gone = |_| "the agent is shutting down".to_owned();
    let limit = std::time::Duration::from_secs(ANSWER_SECONDS_MAX);
    let asking = async {
        questions.send(Question { ask, answer }).await.map_err(|_| ()).map_err(gone)?;
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
    let mut reader = send(socket, &Ask::Who(who.to_owned()))?;
    let line =
        next(&mut reader)?.ok_or_else(|| ObserveError::Broken(std::io::ErrorKind::UnexpectedEof.into()))?;
    value(&line)
}

/// Connects and asks for a part of the agent's state. Answers JSON objects; all of them, or an error.
pub fn state(socket: &Path, of: StateOf) -> Result<Vec<Value>, ObserveError> {
    let mut reader = send(socket, &Ask::State(of))?;
    let mut values = Vec::new();
    while let Some(line) = next(&mut reader)? {
        if let Ok(Notice::End { lines }) = serde_json::from_str(&line) {
            if lines == values.len() as u64 {
                return Ok(values);
            }
            break;
        }
        values.push(value(&line)?);
    }
    Err(ObserveError::Broken(std::io::ErrorKind::UnexpectedEof.into()))
}

fn send(socket: &Path, ask: &Ask) -> Result<BufReader<UnixStream>, ObserveError> {
    let mut stream: UnixStream = connect(socket)?;
    let mut line = serde_json::to_vec(ask).expect("a question has string keys only");
    line.push(b'\n');
    stream.write_all(&line).map_err(ObserveError::Broken)?;
    Ok(BufReader::new(stream))
}

/// The next line with its end; none where the agent has ended its answer.
fn next(reader: &mut BufReader<UnixStream>) -> Result<Option<String>, ObserveError> {
    let mut line = String::new();
    let mut bounded = reader.take(CLIENT_LINE_BYTES_MAX);
    let bytes = bounded.read_line(&mut line).map_err(ObserveError::Broken)?;
    if line.starts_with("{\"type\":\"error\"")
        && let Ok(Notice::Error { error }) = serde_json::from_str(&line)
    {
        return Err(ObserveError::Refused(error));
    }
    if bytes as u64 == CLIENT_LINE_BYTES_MAX && !line.ends_with('\n') {
        return Err(ObserveError::LineTooLong);
    }
    Ok((bytes > 0).then_some(line))
}

fn value(line: &str) -> Result<Value, ObserveError> {
    serde_json::from_str(line).map_err(|error| ObserveError::Broken(error.into()))
}
