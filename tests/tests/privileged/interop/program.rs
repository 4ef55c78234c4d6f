//! Real servers at an end of the wire.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

/// A running program; dropping it ends it, by its own process id.
pub(crate) struct Program {
    child: Child,
    // Open as long as it runs, or its next line would end it.
    log: BufReader<ChildStderr>,
}

impl Program {
    /// Starts it, and waits for a line of its log that says that it is ready.
    pub(crate) fn start(mut command: Command, ready: &str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let log = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut program = Self { child, log };
        let mut said = String::new();
        while !said.contains(ready) {
            let read = program.log.read_line(&mut said).expect("read a log");
            assert_ne!(read, 0, "{command:?} ended: {said}");
        }
        program
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and gives what it wrote into its log since it was ready.
    pub(crate) fn interrupt(mut self) -> String {
        let interrupt = format!("kill -INT {}", self.pid());
        assert!(Command::new("/bin/sh").args(["-c", &interrupt]).status().expect("start a shell").success());
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut self.log, &mut rest).expect("read a log");
        assert!(self.child.wait().expect("wait for a program").success());
        String::from_utf8_lossy(&rest).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
