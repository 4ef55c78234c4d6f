//! Starting an agent that is ready, and asking it things.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::agent::PATIENCE;
use crate::{Agent, AgentCommand, watchfire};

/// Arguments of an agent that disturbs no other: a free port, a socket in its own folder, records on stdout. Emulated
/// machines need longer to detach and to drain than the default leaves them.
const RUN: [&str; 7] =
    ["run", "--metrics-listen", "127.0.0.1:0", "--socket", "observe.sock", "--drain-timeout", "30"];

/// An agent with more arguments.
///
/// # Panics
/// When no temporary folder can be made.
#[must_use]
pub fn bare(more: &[&str]) -> AgentCommand {
    AgentCommand::new(RUN.iter().chain(more))
}

/// An agent with more arguments that watches what every agent does, and none of the families that can be switched off:
/// the fewer, the sooner it starts.
///
/// # Panics
/// When no temporary folder can be made.
#[must_use]
pub fn command(more: &[&str]) -> AgentCommand {
    let config = serde_json::json!({ "sensor": { "families": only(&[]) } });
    let arguments: Vec<&str> = ["--config", "base.yaml"].iter().chain(more).copied().collect();
    bare(&arguments).with_file("base.yaml", &config.to_string())
}

/// Every family that can be switched off.
pub const FAMILIES: [&str; 9] =
    ["credentials", "capability", "file", "namespace", "kernel", "memory", "socket", "signal", "stdio"];

/// The `families` section with these on, and no other.
#[must_use]
pub fn only(wanted: &[&str]) -> Value {
    let is_wanted = |family: &&str| ((*family).to_owned(), Value::from(wanted.contains(family)));
    FAMILIES.iter().map(is_wanted).collect()
}

/// A running agent whose probes are attached and which has taken in what is older.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn agent() -> Agent {
    ready(command(&[]).start())
}

/// Waits until the agent is ready.
///
/// # Panics
/// When it does not say where it answers.
#[must_use]
pub fn ready(agent: Agent) -> Agent {
    while !http_get(&agent, "/readyz").0.contains("200") {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    agent
}

/// Address of the agent's HTTP server.
///
/// # Panics
/// When the agent does not say it.
#[must_use]
pub fn http_address(agent: &Agent) -> String {
    let line = agent.logged("metrics at http://");
    let (_, rest) = line.split_once("http://").expect("the log names the address");
    rest.split('/').next().expect("the address ends at the path").to_owned()
}

/// Body of an HTTP answer, with its status line.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn http_get(agent: &Agent, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(http_address(agent)).expect("connect to the agent");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer has a head");
    (head.lines().next().expect("a status line").to_owned(), body.to_owned())
}

/// Value of a metric by its name and labels as they are written.
///
/// # Panics
/// When there is no such series.
#[must_use]
pub fn metric(agent: &Agent, series: &str) -> u64 {
    let (_, body) = http_get(agent, "/metrics");
    value(&body, series).unwrap_or_else(|| panic!("no series {series} in\n{body}"))
}

/// Waits until a metric has a value: some are set about every second, and not there before.
///
/// # Panics
/// When it has none like that in time.
pub fn metric_until(agent: &Agent, series: &str, is_awaited: impl Fn(u64) -> bool) {
    let look = || value(&http_get(agent, "/metrics").1, series).filter(|value| is_awaited(*value));
    until(series, look);
}

fn value(body: &str, series: &str) -> Option<u64> {
    let value = body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(value.parse().unwrap_or_else(|_| panic!("{series} is {value}")))
}

/// What `watchfire who` does with these arguments.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn ask_who(agent: &Agent, arguments: &[&str]) -> Output {
    let socket = agent.folder().join("observe.sock");
    let mut command = Command::new(watchfire());
    command.arg("who").args(arguments).arg("--socket").arg(socket).output().expect("start `watchfire who`")
}

/// All that `watchfire who` tells of somebody, in JSON: nothing where nobody is known by that.
///
/// # Panics
/// When the agent does not answer.
#[must_use]
pub fn who(agent: &Agent, query: &str) -> Vec<Value> {
    let output = ask_who(agent, &["--output", "json", query]);
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let matches = answer["matches"].as_array().expect("an answer has matches").clone();
    assert_eq!(output.status.code(), Some(i32::from(matches.is_empty())), "{answer}");
    matches
}

/// Asks who somebody is, again and again, until the answer has what is awaited.
///
/// # Panics
/// When it has not come in time.
#[must_use]
pub fn who_until(agent: &Agent, query: &str, is_awaited: impl Fn(&Value) -> bool) -> Value {
    until(query, || who(agent, query).into_iter().find(&is_awaited))
}

/// Looks again and again, until there is something.
///
/// # Panics
/// When it has not come in time.
pub fn until<T>(awaited: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{awaited}: did not come");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// A text that no other process of this machine has among its arguments.
///
/// # Panics
/// When the clock is wrong by decades.
#[must_use]
pub fn nonce(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    format!("{name}-{}-{}", std::process::id(), now.as_nanos())
}

/// Whether a record is about a process that has `argument` among its arguments.
#[must_use]
pub fn has_argument(record: &Value, argument: &str) -> bool {
    record["process"]["args"].as_array().is_some_and(|args| args.iter().any(|arg| arg == argument))
}
