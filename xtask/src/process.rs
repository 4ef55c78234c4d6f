//! Running commands: what ran is named in every error.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Announces a step and, when dropped, how long it took.
pub(crate) struct Step {
    begun: Instant,
}

impl Step {
    /// Prints what is about to happen.
    pub(crate) fn new(text: &str) -> Self {
        eprintln!("==> {text}");
        Self { begun: Instant::now() }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let took = self.begun.elapsed().as_secs_f32();
        if took >= 1.0 {
            eprintln!("    ({took:.0} s)");
        }
    }
}

/// Runs with this terminal's input and output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs silently; what it said appears only when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    read(command).map(drop)
}

/// Runs and returns what it wrote to standard output.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("start {}", shown(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("output of {}", shown(command)))
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Finds a program in `PATH` and in the folders where root's programs live.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Runs the same command line as root.
pub(crate) fn again_as_root() -> Result<()> {
    let own = std::env::current_exe().context("find this program")?;
    run(as_root(&own).args(std::env::args_os().skip(1)))
}

/// True when this process may do everything.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    effective == Some("0")
}

/// A command that runs as root: by itself for root, through sudo for others.
pub(crate) fn as_root(program: &Path) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    // The agent and the tests read their settings from the environment.
    command.arg("--preserve-env").arg(program);
    command
}

/// A command that takes what time the processors have left, where chrt(1) is there: it may run beside tests.
pub(crate) fn when_idle(program: &Path) -> Command {
    let Some(chrt) = which("chrt") else { return Command::new(program) };
    let mut command = Command::new(chrt);
    command.args(["--idle", "0"]).arg(program);
    command
}

/// Asks again and again until there is an answer; `None` when there is none within the limit.
pub(crate) fn wait_until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        deadline.checked_duration_since(Instant::now())?;
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
