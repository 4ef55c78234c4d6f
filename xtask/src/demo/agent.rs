//! The agent that the demo starts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::table::Table;
use crate::lab;
use crate::process::{Step, wait_until};

/// Where the agent serves metrics unless told otherwise.
const METRICS_DEFAULT: &str = "127.0.0.1:9464";
const READY_LIMIT: Duration = Duration::from_secs(30);
const COUNTERS_LIMIT: Duration = Duration::from_secs(5);
/// A series that the lab's traffic raises.
const COUNTED: &str = "watchfire_records_received_total{kind=\"tcp-close\"}";
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What the demo shows soon: nobody waits a minute for findings that go on, or an hour for a sealed segment.
fn config(ledger: &Path) -> String {
    format!(
        "findings: {{intervalSeconds: 1}}\n\
         ledger: {{dir: {}, segmentSeconds: 2}}\n\
         sensor:\n  files:\n    write: [/etc, {}]\n",
        ledger.display(),
        lab::DROP_FOLDER
    )
}

/// A running agent, which is stopped when the lab is torn down.
pub(super) struct Agent {
    pub(super) metrics_address: SocketAddr,
    pub(super) log: PathBuf,
    pub(super) ledger: PathBuf,
    events: PathBuf,
}

impl Agent {
    /// Starts it and waits until it is ready.
    pub(super) fn start(binary: &Path, files: &lab::Files) -> Result<Self> {
        let _step = Step::new("starting the agent");
        let folder = Path::new(lab::FOLDER);
        let agent = Self {
            metrics_address: free_address()?,
            log: folder.join("agent.log"),
            ledger: folder.join("ledger"),
            events: folder.join("events.jsonl"),
        };
        let log = File::create(&agent.log).with_context(|| format!("create {}", agent.log.display()))?;
        let settings = folder.join("config.yaml");
        fs::write(&settings, config(&agent.ledger))
            .with_context(|| format!("write {}", settings.display()))?;
        let mut command = Command::new(binary);
        command.arg("run").arg("--config").arg(&settings);
        command.arg("--inventory").arg(&files.inventory).arg("--policies").arg(&files.policies);
        command.arg("--output").arg(&agent.events);
        if agent.metrics_address.to_string() != METRICS_DEFAULT {
            command.arg("--metrics-listen").arg(agent.metrics_address.to_string());
        }
        let mut child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        lab::JOURNAL.note_process("agent", child.id())?;
        let mut ended = None;
        let ready = wait_until(READY_LIMIT, || {
            ended = child.try_wait().ok().flatten();
            (ended.is_some() || agent.get("/readyz").is_ok()).then_some(())
        });
        let said = || fs::read_to_string(&agent.log).unwrap_or_default();
        ensure!(ended.is_none() && ready.is_some(), "the agent did not get ready:\n{}", said());
        Ok(agent)
    }

    /// What it has recorded.
    pub(super) fn records(&self) -> Result<Vec<Value>> {
        let text =
            fs::read_to_string(&self.events).with_context(|| format!("read {}", self.events.display()))?;
        // The last line may be half written.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Its metrics page, once it has read the kernel's counters, which it does every second.
    pub(super) fn counted(&self) -> Result<String> {
        let is_counted = |page: &String| {
            let closed = page.lines().find_map(|line| line.strip_prefix(COUNTED));
            closed.is_some_and(|count| count.trim() != "0")
        };
        match wait_until(COUNTERS_LIMIT, || self.get("/metrics").ok().filter(is_counted)) {
            Some(page) => Ok(page),
            None => self.get("/metrics"),
        }
    }

    /// Fetches a page of its HTTP server.
    pub(super) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.metrics_address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.metrics_address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {}", head.lines().next().unwrap_or_default());
        Ok(body.to_owned())
    }
}

/// The agent's default address, or another where that is taken.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(METRICS_DEFAULT).or_else(|_| TcpListener::bind("127.0.0.1:0"));
    listener.and_then(|listener| listener.local_addr()).context("find a free port for metrics")
}

/// The kernel's counters by record kind, read from the metrics page.
pub(super) fn loss_table(metrics: &str) -> String {
    const COLUMNS: [&str; 6] = ["seen", "filtered", "suppressed", "emitted", "dropped", "received"];
    let mut kinds: BTreeMap<&str, [u64; 6]> = BTreeMap::new();
    for line in metrics.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Some((_, kind)) = series.split_once("{kind=\"") else { continue };
        let column = COLUMNS.iter().position(|name| series.contains(&format!("records_{name}_total{{")));
        if let (Some(column), Ok(value)) = (column, value.parse()) {
            kinds.entry(kind.trim_end_matches("\"}")).or_default()[column] = value;
        }
    }
    let mut table = Table::new(["KIND", "SEEN", "FILTERED", "SUPPRESSED", "EMITTED", "DROPPED", "RECEIVED"]);
    for (kind, counts) in kinds {
        let mut row = vec![kind.to_owned()];
        row.extend(counts.map(|count| count.to_string()));
        table.row(row);
    }
    table.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_gathered_by_kind() {
        let metrics = "# TYPE watchfire_records_seen counter\n\
            watchfire_records_seen_total{kind=\"fork\"} 7\n\
            watchfire_records_dropped_total{kind=\"fork\"} 2\n\
            watchfire_flows_total{verdict=\"denied\"} 1\n";
        assert_eq!(
            loss_table(metrics).lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(),
            ["fork", "7", "0", "0", "0", "2", "0"]
        );
    }
}
