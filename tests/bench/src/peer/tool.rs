//! A peer's process: its files, its usage, its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Unavailable, sandbox};
use crate::usage::Usage;

/// How long a peer may take to begin to tell; compilers of programs take seconds on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(40);
/// How long it may go on with what it has to do, and how long it may take to end.
const DONE_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Looks at which a peer has done nothing, after which it is through.
const IDLE_LOOKS: u32 = 4;
/// What a peer may take between two looks that is doing nothing: it wakes up now and then.
const IDLE_NS: u64 = 10_000_000;

/// Files of what is printed.
const OUTPUT: &str = "output";
const ERRORS: &str = "errors";

/// A process with a folder for its files. Dropping it ends it.
pub(super) struct Tool {
    child: Child,
    folder: TempDir,
    /// Processes that do its work.
    measured: Vec<u32>,
    /// Looks at which it has done nothing, after which it is through.
    idle_looks: u32,
}

impl Tool {
    /// Starts it; `prepare` fills its folder first.
    pub(super) fn start(
        root: &Path,
        watched: &Path,
        body: &str,
        arguments: &[String],
        prepare: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        prepare(folder.path())?;
        let work = watched.parent().context("the watched file lies in a folder")?;
        let mut command = sandbox::command(root, folder.path(), work, body, arguments);
        command.stdin(Stdio::null());
        command.stdout(File::create(folder.path().join(OUTPUT))?);
        command.stderr(File::create(folder.path().join(ERRORS))?);
        let child = command.spawn().context("start setpriv(1) and unshare(1), of the package util-linux")?;
        let measured = vec![child.id()];
        Ok(Self { child, folder, measured, idle_looks: IDLE_LOOKS })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A file of its own.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it prints.
    pub(super) fn output(&self) -> PathBuf {
        self.file(OUTPUT)
    }

    /// All that it says of itself, apart from what it was asked for.
    pub(super) fn errors(&self) -> String {
        fs::read_to_string(self.file(ERRORS)).unwrap_or_default()
    }

    /// Names the processes that do its work, where these are others.
    pub(super) fn measure(&mut self, pids: Vec<u32>) {
        self.measured = pids;
    }

    /// Gives it that long to begin with what it has to do, in looks.
    pub(super) fn idles_for(&mut self, looks: u32) {
        self.idle_looks = looks;
    }

    /// Does operations again and again until one is told.
    pub(super) fn until_told(&mut self, mut round: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        loop {
            if round(self)? {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!(Unavailable(format!("it ended with {status}: {}", self.last_words())));
            }
            if begun.elapsed() > READY_WITHIN {
                let seconds = READY_WITHIN.as_secs();
                bail!(Unavailable(format!("it told nothing within {seconds} s: {}", self.last_words())));
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// Waits until it is through with what it has to do.
    pub(super) fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        let (mut last, mut idle) = (self.usage()?.cpu_ns, 0);
        while idle < self.idle_looks && begun.elapsed() < DONE_WITHIN {
            std::thread::park_timeout(LOOK);
            let now = self.usage()?.cpu_ns;
            idle = if now - last <= IDLE_NS { idle + 1 } else { 0 };
            last = now;
        }
        Ok(())
    }

    /// What its processes have taken.
    pub(super) fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for pid in &self.measured {
            let Ok(usage) = Usage::of(*pid) else {
                bail!(Unavailable(format!("it has ended: {}", self.last_words())));
            };
            sum = sum.plus(usage);
        }
        Ok(sum)
    }

    /// Asks it to end by a signal, and waits for that.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<ExitStatus> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process has a number")?;
        kill_process(pid, signal)?;
        self.ended()
    }

    /// Waits for its end.
    pub(super) fn ended(&mut self) -> Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < DONE_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        bail!(Unavailable(format!("it did not end within {} s", DONE_WITHIN.as_secs())))
    }

    /// The last that it said.
    fn last_words(&self) -> String {
        let errors = self.errors();
        let last = errors.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").trim().to_owned()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.signal(Signal::TERM).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
