//! From the start of the agent to the first event that it tells.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::json;
use watchfire_tests::{bare, has_argument};

use super::curve::Spread;
use crate::workload::NOTHING;

const REPETITIONS: usize = 10;
/// Between two programs that the agent is to see.
const INTERVAL: Duration = Duration::from_millis(2);

/// One start.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct Start {
    /// Until the first event that is told happened, milliseconds: the programs of the agent were attached.
    pub(super) happened_ms: f64,
    /// Until it stood in the event log, milliseconds.
    pub(super) told_ms: f64,
}

/// Starts one agent after the other, while programs are started all the time.
pub(super) fn measure() -> Result<Vec<Start>> {
    let mut starts = Vec::new();
    for repetition in 0..REPETITIONS {
        let tag = format!("cold-start-{}-{repetition}", std::process::id());
        let ended = AtomicBool::new(false);
        let start = std::thread::scope(|scope| {
            let programs = scope.spawn(|| start_programs(&tag, &ended));
            let start = once(&tag);
            ended.store(true, Ordering::Relaxed);
            programs.join().map_err(|_| anyhow::anyhow!("the thread that starts programs panicked"))??;
            start
        })?;
        eprintln!(
            "start {}: happened {:.0} ms, told {:.0} ms",
            repetition + 1,
            start.happened_ms,
            start.told_ms
        );
        starts.push(start);
    }
    Ok(starts)
}

/// Spread of one of the two times.
pub(super) fn spread(starts: &[Start], time: impl Fn(&Start) -> f64) -> Spread {
    Spread::of(starts.iter().map(time))
}

fn once(tag: &str) -> Result<Start> {
    let config = json!({"kubernetes": {"api": "none"}, "containerRuntime": "none"}).to_string();
    let command = bare(&["--config", "config.yaml"]).with_file("config.yaml", &config);
    let boot_ns = boot_clock_ns();
    let begun = Instant::now();
    let agent = command.start();
    let is_exec = |record: &serde_json::Value| {
        record["action"] == "exec"
            && record["process"]["origin"] != "before-start"
            && has_argument(record, tag)
    };
    let record = agent.record_with(tag, is_exec);
    let told_ms = begun.elapsed().as_secs_f64() * 1e3;
    let happened = record["boot_ns"].as_u64().context("a record has its time since boot")?;
    ensure!(happened >= boot_ns, "the first event is older than the agent");
    Ok(Start { happened_ms: (happened - boot_ns) as f64 / 1e6, told_ms })
}

/// CLOCK_BOOTTIME, which times of records are of.
fn boot_clock_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn start_programs(tag: &str, ended: &AtomicBool) -> Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    while !ended.load(Ordering::Relaxed) {
        let mut program = Command::new(&own);
        program.args([NOTHING, tag]).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        std::thread::park_timeout(INTERVAL);
    }
    Ok(())
}
