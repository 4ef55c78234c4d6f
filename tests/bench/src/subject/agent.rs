//! The agent in one of its modes.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use watchfire_tests::{Agent, AgentCommand, FAMILIES, http_get, ready};

use super::Subject;
use crate::account::{Account, Wanted};
use crate::latency::Latency;
use crate::probe::Probe;
use crate::{lines, metrics};

/// The event log, in the agent's own folder.
const EVENTS: &str = "events.jsonl";
/// Large enough that nothing is rotated away before it is counted.
const EVENTS_BYTES_MAX: u64 = 4 << 30;
/// Emulated machines need longer to detach and to drain than the default leaves them.
const DRAIN_SECONDS: &str = "30";
/// A path that nothing has.
const NOWHERE: &str = "/nowhere/to/be/found";

/// An agent that has attached and taken in what is older.
pub(crate) struct RunningAgent {
    agent: Agent,
    before: metrics::Samples,
}

/// What an agent says of itself.
pub(crate) struct Observed {
    pub(crate) probes: Vec<Probe>,
    /// Of the records since it was ready.
    pub(crate) latency: Latency,
}

impl RunningAgent {
    pub(super) fn start(mode: Subject, watched: &Path) -> Result<Self> {
        let text = config(mode, watched).to_string();
        let arguments = ["run", "--config", "config.yaml", "--drain-timeout", DRAIN_SECONDS];
        let listeners = ["--metrics-listen", "127.0.0.1:0", "--socket", "o.sock"];
        let command = AgentCommand::new(arguments.iter().chain(&listeners)).with_file("config.yaml", &text);
        let agent = ready(command.start());
        let before = metrics::Samples::of(&http_get(&agent, "/metrics").1);
        Ok(Self { agent, before })
    }

    pub(super) fn pid(&self) -> u32 {
        self.agent.pid()
    }

    pub(super) fn observed(&self) -> Observed {
        let now = metrics::Samples::of(&http_get(&self.agent, "/metrics").1);
        Observed { probes: Probe::all(&now), latency: Latency::of(&now).since(&Latency::of(&self.before)) }
    }

    pub(super) fn stop(mut self, wanted: &[&Wanted]) -> Result<Vec<Account>> {
        // Counters are read from the kernel about once a second.
        std::thread::park_timeout(std::time::Duration::from_millis(1200));
        let after = metrics::Samples::of(&http_get(&self.agent, "/metrics").1);
        self.agent.signal("TERM");
        let status = self.agent.ended();
        anyhow::ensure!(status.success(), "the agent ended with {status}\n{}", self.agent.log().join("\n"));
        let account = |wanted: &&Wanted| {
            let grown = |name: &str| {
                wanted.kinds.iter().map(|kind| after.grown(&self.before, name, kind)).sum::<u64>()
            };
            let file = fs::File::open(self.agent.folder().join(EVENTS))?;
            Ok(Account {
                told: lines::count(file, &wanted.texts)?,
                suppressed: grown("watchfire_records_suppressed_total"),
                dropped: grown("watchfire_records_dropped_total"),
                sinks_dropped: after.grown_all(&self.before, "watchfire_sink_dropped_total"),
                ..Account::default()
            })
        };
        wanted.iter().map(account).collect()
    }
}

fn config(mode: Subject, watched: &Path) -> Value {
    let families: Value = FAMILIES.iter().map(|family| ((*family).to_owned(), Value::from(true))).collect();
    let sensor = match mode {
        Subject::Idle => json!({
            "families": families, "capabilities": ["CAP_SYS_BOOT"],
            "files": {"read": [NOWHERE], "write": [NOWHERE]},
        }),
        Subject::All => json!({
            "families": families, "unixSockets": true, "environment": ["PATH"],
            "files": {"read": [watched], "write": ["/etc", watched]}, "rate": {"eventsPerSecond": 0},
        }),
        _ => json!({}),
    };
    let mut config = json!({
        "output": {"to": EVENTS, "fileBytesMax": EVENTS_BYTES_MAX}, "sensor": sensor,
        "kubernetes": {"api": "none"}, "containerRuntime": "none",
    });
    if mode == Subject::All {
        // Beside what is watched, in a folder that the benchmark removes.
        config["ledger"] = json!({"dir": watched.with_file_name("ledger")});
    }
    config
}
