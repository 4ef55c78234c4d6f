//! One point: an agent beside so much, its start, its memory, and what a fixed amount of work costs it.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use watchfire_tests::{Agent, AgentCommand, http_get};

use super::crowd::Crowd;
use super::dimension::{Dimension, Made, Operation};
use super::held::Held;
use super::{change, objects, usage};
use crate::network;
use crate::scale::curve::sum;

/// The agent's folder of manifests.
pub(super) const MANIFESTS: &str = "manifests";
/// The file that is opened.
const WATCHED: &str = "watched-file";
/// Connections before anything is measured: enough for what observers may ask for of the past to be full.
const WARM_UP: u64 = 2000;
/// After work, until the kernel's counters, which are read every second, have all of it.
const SETTLE: Duration = Duration::from_millis(1300);
/// The agent has told all of the work when it takes less than this share of a processor for so long, or it never will.
const QUIET_SHARE: f64 = 0.05;
const QUIET: Duration = Duration::from_millis(250);
const QUIET_AFTER_MAX: Duration = Duration::from_secs(10);
/// How long nothing happens, for what the agent takes all the same.
const IDLE: Duration = Duration::from_millis(2000);
/// The same where open connections are looked at meanwhile.
const IDLE_WITH_LOOKS: Duration = Duration::from_millis(4000);
/// How often connections are looked at there, seconds; by default every 60.
const LOOK_SECONDS: u32 = 1;
/// How often it is asked for.
const POLL: Duration = Duration::from_millis(10);
/// Longest wait for the agent.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is there beside the agent; what is there already is used again.
#[derive(Default)]
pub(super) struct Set {
    crowd: Crowd,
    held: Held,
}

impl Set {
    /// Makes what a point needs.
    pub(super) fn make(&mut self, dimension: Dimension, size: u32) -> Result<()> {
        let pods = dimension.made(size).pods;
        match dimension {
            Dimension::Processes => self.crowd.resize(size as usize),
            Dimension::Flows | Dimension::Looks => self.held.resize(size, pods, true),
            Dimension::FlowsApart => self.held.resize(size, pods, false),
            Dimension::Pods | Dimension::Policies | Dimension::Paths | Dimension::Start => Ok(()),
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct Sample {
    /// From the start of the agent to its being ready, nanoseconds.
    pub(super) ready_ns: u64,
    /// Time on processors until then, nanoseconds.
    pub(super) ready_cpu_ns: u64,
    /// Resident memory after the work, bytes.
    pub(super) resident_bytes: u64,
    /// Records that the kernel's side handed over for the work.
    pub(super) records: u64,
    /// Time on processors of the agent for the work, nanoseconds, beside what it takes for nothing.
    pub(super) cpu_ns: u64,
    /// Time in the agent's kernel programs meanwhile, nanoseconds, by the kernel's statistics.
    pub(super) programs_ns: u64,
    /// Share of a processor that the agent takes while nothing happens.
    pub(super) idle_share: f64,
    /// Records since the start that the event log had no room for.
    pub(super) lost_by_log: u64,
    /// Series that the agent shows after the work.
    pub(super) series: usize,
    /// Time on processors for one changed object, nanoseconds.
    pub(super) change_ns: Option<u64>,
}

impl Sample {
    /// Processor seconds of the agent for a million records.
    pub(super) fn cpu_each_million(&self) -> f64 {
        self.cpu_ns as f64 / 1e9 / self.records as f64 * 1e6
    }

    /// The same of kernel programs.
    pub(super) fn programs_each_million(&self) -> f64 {
        self.programs_ns as f64 / 1e9 / self.records as f64 * 1e6
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ready after {:.0} ms, {:.1} MiB, {} records, {:.2} CPU s per million, idle {:.2} %, lost by the log {}",
            self.ready_ns as f64 / 1e6,
            self.resident_bytes as f64 / f64::from(1 << 20),
            self.records,
            self.cpu_each_million(),
            self.idle_share * 100.0,
            self.lost_by_log
        )
    }
}

/// Measures it.
pub(super) fn measure(dimension: Dimension, size: u32) -> Result<Sample> {
    let made = dimension.made(size);
    let mut command = AgentCommand::new([
        "run",
        "--config",
        "config.yaml",
        "--metrics-listen",
        "127.0.0.1:0",
        "--socket",
        "o.sock",
        "--manifests",
        MANIFESTS,
    ])
    .with_file("config.yaml", &config(dimension, made).to_string())
    .with_file(WATCHED, "x");
    for (name, text) in objects::files(made.pods, made.policies) {
        command = command.with_file(&format!("{MANIFESTS}/{name}"), &text);
    }
    let begun = Instant::now();
    let agent = command.start();
    wait_until(|| http_get(&agent, "/readyz").0.contains("200"), "the agent is ready")?;
    let ready_ns = u64::try_from(begun.elapsed().as_nanos())?;
    let ready_cpu_ns = usage::cpu_ns(agent.pid())?;
    let (metric, taken_in) = dimension.taken_in(size);
    let is_taken_in = || sum(&http_get(&agent, "/metrics").1, metric) >= f64::from(taken_in);
    wait_until(is_taken_in, &format!("{metric} is {taken_in}"))?;

    work(&agent, Operation::Connection, WARM_UP, made.pods)?;
    settle(&agent)?;
    let before = http_get(&agent, "/metrics").1;
    let idle = if dimension == Dimension::Looks { IDLE_WITH_LOOKS } else { IDLE };
    let (cpu, begun) = (usage::cpu_ns(agent.pid())?, Instant::now());
    std::thread::park_timeout(idle);
    let idle_share = (usage::cpu_ns(agent.pid())? - cpu) as f64 / begun.elapsed().as_nanos() as f64;

    let (cpu, begun) = (usage::cpu_ns(agent.pid())?, Instant::now());
    let (operation, count) = dimension.work();
    work(&agent, operation, count, made.pods)?;
    settle(&agent)?;
    let idle_ns = (idle_share * begun.elapsed().as_nanos() as f64) as u64;
    let cpu_ns = (usage::cpu_ns(agent.pid())? - cpu).saturating_sub(idle_ns);
    let after = http_get(&agent, "/metrics").1;
    let grown = |name| sum(&after, name) - sum(&before, name);
    ensure!(grown("watchfire_records_dropped_total") == 0.0, "the kernel's side lost records of the work");
    let resident_bytes = usage::resident_bytes(agent.pid())?;
    let change_ns = match dimension {
        Dimension::Pods => Some(change::measure(&agent, made.pods, false, idle_share)?),
        Dimension::Policies => Some(change::measure(&agent, made.pods, true, idle_share)?),
        _ => None,
    };
    Ok(Sample {
        ready_ns,
        ready_cpu_ns,
        resident_bytes,
        records: grown("watchfire_records_received_total") as u64,
        cpu_ns,
        programs_ns: (grown("watchfire_program_run_seconds_total") * 1e9) as u64,
        idle_share,
        lost_by_log: sum(&after, "watchfire_sink_dropped_total") as u64,
        series: after.lines().filter(|line| !line.starts_with('#')).count(),
        change_ns,
    })
}

fn settle(agent: &Agent) -> Result<()> {
    std::thread::park_timeout(SETTLE);
    let begun = Instant::now();
    while begun.elapsed() < QUIET_AFTER_MAX {
        let before = usage::cpu_ns(agent.pid())?;
        std::thread::park_timeout(QUIET);
        if (usage::cpu_ns(agent.pid())? - before) as f64 / (QUIET.as_nanos() as f64) < QUIET_SHARE {
            break;
        }
    }
    Ok(())
}

/// By default, but nothing is suppressed, and the kernel counts the time of programs.
fn config(dimension: Dimension, made: Made) -> Value {
    let path = |number: u32| format!("/srv/scale/{}/file-{number}", number % 16);
    let mut read: Vec<String> = (0..made.paths / 2).map(path).collect();
    read.push(format!("/tmp/*/{WATCHED}"));
    let write: Vec<String> = (made.paths / 2..made.paths).map(path).collect();
    let mut config = json!({
        "output": {"to": "events.jsonl", "fileBytesMax": 4_u64 << 30},
        "kubernetes": {"api": "none"}, "containerRuntime": "none",
        "sensor": {"rate": {"eventsPerSecond": 0}, "programStatistics": true, "files": {"read": read, "write": write}},
    });
    if dimension == Dimension::Looks {
        config["flows"] = json!({"updateIntervalSeconds": LOOK_SECONDS});
    }
    config
}

fn wait_until(is_done: impl Fn() -> bool, what: &str) -> Result<()> {
    let begun = Instant::now();
    while !is_done() {
        ensure!(begun.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        // Asked more often, the agent would be busy with answers.
        std::thread::park_timeout(POLL);
    }
    Ok(())
}

/// Does some work in a process of its own.
fn work(agent: &Agent, operation: Operation, count: u64, pods: u32) -> Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    let count = count.to_string();
    let mut command = match operation {
        Operation::Connection => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", network::NAMESPACE]).arg(own).args(["between", "--port", "20099"]);
            command.args(["--first", "0", "--connections", &count, "--pods", &pods.to_string()]);
            command
        }
        Operation::Program | Operation::Open => {
            let name = if operation == Operation::Open { "open" } else { "exec" };
            let mut command = Command::new(own);
            command.args(["work", name, "--tag", "scale", "--operations", &count, "--file"]);
            command.arg(agent.folder().join(WATCHED));
            command
        }
    };
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("start work")?;
    ensure!(status.success(), "the work ended with {status}");
    Ok(())
}
