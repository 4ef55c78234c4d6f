use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::lines::Lines;

/// The longest that any wait lasts before the test fails. Emulated machines are slow, and other tests run beside them.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The agent's binary: `WATCHFIRE_BIN`, or where `cargo xtask build` puts it.
#[must_use]
pub fn watchfire() -> PathBuf {
    std::env::var_os("WATCHFIRE_BIN").map_or_else(
        || {
            let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(triple).join("debug/watchfire")
        },
        PathBuf::from,
    )
}

/// How to start an agent: a folder of its own that can be filled first, and arguments.
pub struct AgentCommand {
    folder: TempDir,
    command: Command,
}

impl AgentCommand {
    /// An agent with these arguments, whose working folder is new and empty.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    #[must_use]
    pub fn new(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::by(watchfire(), arguments)
    }

    /// An agent that another program becomes in the end.
    ///
    /// # Panics
    /// When no temporary folder can be made.
    #[must_use]
    pub fn by(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let folder = tempfile::tempdir().expect("make a temporary folder");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path());
        Self { folder, command }
    }

    /// Writes a file into the working folder, so that arguments can name it by its relative path.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn with_file(self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("make a folder");
        std::fs::write(path, content).expect("write a file for the agent");
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts the agent.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut self) -> Agent {
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", watchfire().display()));
        let output = Lines::collect(child.stdout.take().expect("stdout is piped"));
        let log = Lines::collect(child.stderr.take().expect("stderr is piped"));
        Agent { child, output, log, folder: self.folder }
    }
}

/// A running agent; dropping it kills it, by its own process id, and removes its folder.
pub struct Agent {
    child: Child,
    output: Lines,
    log: Lines,
    folder: TempDir,
}

impl Agent {
    /// The agent's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The agent's working folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits for a JSON line on standard output that matches, and returns it.
    ///
    /// # Panics
    /// When none has come in time, or the agent has ended; the message names what was awaited and shows what came.
    #[must_use]
    pub fn record(&self, awaited: &str, mut matches: impl FnMut(&Value) -> bool) -> Value {
        let pick = |line: &str| serde_json::from_str(line).ok().filter(|record| matches(record));
        self.output.wait(PATIENCE, pick).unwrap_or_else(|| self.give_up(awaited))
    }

    /// The same, of the lines that contain a text: where there are very many others, it is found sooner.
    ///
    /// # Panics
    /// See [`Self::record`].
    #[must_use]
    pub fn record_with(&self, text: &str, mut matches: impl FnMut(&Value) -> bool) -> Value {
        let pick = |line: &str| {
            let line = line.contains(text).then_some(line)?;
            serde_json::from_str(line).ok().filter(|record| matches(record))
        };
        self.output.wait(PATIENCE, pick).unwrap_or_else(|| self.give_up(text))
    }

    /// Every JSON line on standard output so far.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        self.output.all().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Every line of the agent's log so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.all()
    }

    /// Waits for a line of the agent's log that contains a text, and returns it.
    ///
    /// # Panics
    /// When none has come in time, or the agent has ended.
    pub fn logged(&self, text: &str) -> String {
        let pick = |line: &str| line.contains(text).then(|| line.to_owned());
        self.log.wait(PATIENCE, pick).unwrap_or_else(|| self.give_up(text))
    }

    /// Sends a signal by name, such as `TERM`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        // Through the shell's own `kill`: sending signals from Rust takes unsafe code or another dependency.
        let script = format!("kill -{name} {}", self.pid());
        let status = Command::new("/bin/sh").args(["-c", &script]).status().expect("start a shell");
        assert!(status.success(), "signal {name} to the agent: {status}");
    }

    /// Waits until the agent has ended by itself.
    ///
    /// # Panics
    /// When it has not ended in time.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for the agent") {
                // What it wrote last may still be on its way.
                for lines in [&self.output, &self.log] {
                    let _: Option<()> = lines.wait(PATIENCE, |_| None);
                }
                return status;
            }
            // Waits on the output, which ends when the agent does.
            let _: Option<()> = self.output.wait(Duration::from_millis(50), |_| None);
            assert!(Instant::now() < deadline, "the agent did not end\n{}", self.shown());
            std::thread::yield_now();
        }
    }

    fn give_up(&self, awaited: &str) -> ! {
        panic!("{awaited}: did not come\n{}", self.shown())
    }

    /// The last lines of both outputs, for the message of a failed test.
    fn shown(&self) -> String {
        let tail = |lines: Vec<String>| lines[lines.len().saturating_sub(40)..].join("\n");
        format!("--- output\n{}\n--- log\n{}", tail(self.output.all()), tail(self.log.all()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
