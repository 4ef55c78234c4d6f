//! Starting and stopping the parts of the node.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::identity::{self, TOKENS};
use super::part::Part;
use super::plan::FOLDER;
use super::programs::Programs;
use super::{JOURNAL, images, machine, plan};
use crate::process::{Step, wait_until};

/// The longest that any wait lasts before the task fails.
const READY_LIMIT: Duration = Duration::from_secs(300);
/// How much of a log an error shows.
const LOG_LINES_SHOWN: usize = 15;

/// Starts those of these parts that do not run, and waits until all are ready.
pub(super) fn all(parts: &[Part], programs: &Programs) -> Result<()> {
    // The tokens are what is written last.
    if parts.iter().any(|part| part.is_of_kubernetes()) && !plan::file(TOKENS).exists() {
        let _step = Step::new("cluster: making keys and tokens");
        identity::create()?;
    }
    for first in [true, false] {
        let wave: Vec<Part> = parts.iter().copied().filter(|part| part.is_first() == first).collect();
        for part in &wave {
            start(*part, programs)?;
        }
        for part in &wave {
            let _step = Step::new(&format!("cluster: waiting for {}", part.name()));
            wait(*part)?;
        }
        if wave.contains(&Part::Containerd) && !plan::file("images").exists() {
            let _step = Step::new("cluster: making and importing images");
            images::create()?;
            fs::write(plan::file("images"), "").context("note that the images are there")?;
        }
    }
    Ok(())
}

/// Stops a part; what it has started goes on.
pub(super) fn stop(part: Part, kill: bool) -> Result<()> {
    match JOURNAL.running(part.name()) {
        Some(running) => {
            let _step = Step::new(&format!("cluster: stopping {}", part.name()));
            running.end(if kill { &["KILL"] } else { &["TERM", "KILL"] })
        }
        None => bail!("{} does not run", part.name()),
    }
}

fn start(part: Part, programs: &Programs) -> Result<()> {
    if JOURNAL.running(part.name()).is_some() {
        return Ok(());
    }
    eprintln!("==> cluster: starting {}", part.name());
    if part == Part::Proxy {
        machine::note_tables()?;
    }
    let log = log(part);
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("open {}", log.display()))?;
    let child = Command::new("/bin/sh")
        // The shell enters the cgroup and becomes the program.
        .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
        .arg(machine::node_cgroup()?.join("cgroup.procs"))
        .args(part.command_line())
        .current_dir(FOLDER)
        .env_clear()
        .env("PATH", &programs.search_path)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        // Ctrl-C at the terminal is for the task.
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {}", part.name()))?;
    JOURNAL.note_process(part.name(), child.id())
}

fn wait(part: Part) -> Result<()> {
    let mut has_ended = false;
    let ready = wait_until(READY_LIMIT, || {
        has_ended = JOURNAL.running(part.name()).is_none();
        (has_ended || part.is_ready()).then_some(())
    });
    let what = match ready {
        Some(()) if !has_ended => return Ok(()),
        Some(()) => "has ended",
        None => "did not get ready",
    };
    let log = log(part);
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n");
    bail!("{} {what}; the end of {}:\n{shown}", part.name(), log.display());
}

fn log(part: Part) -> std::path::PathBuf {
    plan::file(&format!("log/{}.log", part.name()))
}
