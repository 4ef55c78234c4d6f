//! Before anything is believed: one child is started, and what the kernel programs read of it must be what /proc says.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use watchfire_model::{Body, Exec, Observation};

use crate::cgroup_members::CgroupMembers;
use crate::host::Host;
use crate::procfs;
use crate::reader::Reader;

/// The argument that makes the agent's own executable wait for the end of its input and leave.
pub const SELF_TEST_ARGUMENT: &str = "self-test-child";
/// How long the child's exec record may take, milliseconds.
const RECORD_WAIT_MS: u64 = 5000;
/// Pause between two looks at the ring, milliseconds.
const LOOK_MS: i32 = 2;

/// Why the kernel's answers are not believed.
#[derive(thiserror::Error, Debug)]
pub enum SelfTestError {
    /// The child could not be started.
    #[error("cannot start {0} for the self-test")]
    Spawn(String, #[source] std::io::Error),
    /// No record came.
    #[error(
        "self-test: no exec record of process {0} came within {RECORD_WAIT_MS} ms; \
         the agent has to run in the initial pid namespace (hostPID)"
    )]
    NoRecord(u32),
    /// The child was gone before it could be read.
    #[error("self-test: process {0} ended too early")]
    Gone(u32),
    /// A field differs.
    #[error("self-test: {field} of process {pid} reads {kernel} in the kernel and {proc} in /proc")]
    Mismatch {
        /// The child.
        pid: u32,
        /// What differs.
        field: &'static str,
        /// What the kernel program read.
        kernel: String,
        /// What /proc says.
        proc: String,
    },
}

/// Runs it. Answers the observations that were taken out of the ring meanwhile.
pub(crate) fn run(
    reader: &mut Reader,
    executable: &Path,
    host: &Host,
) -> Result<Vec<Observation>, SelfTestError> {
    let name = executable.display().to_string();
    // What was collected while no agent ran may fill the rings: the child's record needs room.
    let mut observations = reader.take_all();
    let child = Command::new(executable).arg(SELF_TEST_ARGUMENT).stdin(Stdio::piped()).spawn();
    let mut child = Guard(child.map_err(|error| SelfTestError::Spawn(name, error))?);
    let pid = child.0.id();
    let deadline = Instant::now() + Duration::from_millis(RECORD_WAIT_MS);
    let mut looked_at = observations.len();
    let kernel = loop {
        observations.extend(reader.take_batch().1);
        let exec = observations[looked_at..].iter().find_map(|observation| match &observation.body {
            Body::Exec(exec) if exec.process.pid == pid => Some((**exec).clone()),
            _ => None,
        });
        if let Some(exec) = exec {
            break exec;
        }
        looked_at = observations.len();
        if Instant::now() > deadline {
            return Err(SelfTestError::NoRecord(pid));
        }
        reader.wait(LOOK_MS);
    };
    let cgroups = CgroupMembers::of_host(host);
    let mut proc = procfs::describe(pid, host.boot, &cgroups).ok_or(SelfTestError::Gone(pid))?;
    if host.cgroup_root.is_err() {
        // Nothing to compare with.
        proc.cgroup_id = kernel.cgroup_id;
    }
    compare(pid, &kernel, &proc)?;
    child.finish();
    Ok(observations)
}

fn compare(pid: u32, kernel: &Exec, proc: &Exec) -> Result<(), SelfTestError> {
    macro_rules! same {
        ($($field:ident),+ $(,)?) => {$(
            if kernel.$field != proc.$field {
                return Err(SelfTestError::Mismatch {
                    pid,
                    field: stringify!($field),
                    kernel: format!("{:?}", kernel.$field),
                    proc: format!("{:?}", proc.$field),
                });
            }
        )+};
    }
    same!(process, parent, binary, args, cwd, uid, euid, gid, cgroup_id, namespaces);
    Ok(())
}

/// The child, gone in any case.
struct Guard(Child);

impl Guard {
    fn finish(&mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            // Closing is what ends the child; that it may be gone already is no failure.
            let _ = input.flush();
        }
        let _ = self.0.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
