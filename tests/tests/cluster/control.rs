//! The node's own programs: what stops, and what starts again.

use std::process::{Command, Stdio};

use crate::kube::told;

/// Runs `cargo xtask cluster …`; what it says.
pub(crate) fn cluster(arguments: &[&str]) -> String {
    let mut command = Command::new(told("WATCHFIRE_XTASK"));
    let output =
        command.arg("cluster").args(arguments).stdin(Stdio::null()).output().expect("start the task runner");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "cluster {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A part of the node, `apiserver` for example, that has crashed and is started again when this is dropped.
///
/// Its clients wait longer with each attempt: controllers and scheduler may need half a minute to come back.
pub(crate) struct Stopped(&'static str);

impl Stopped {
    pub(crate) fn new(part: &'static str) -> Self {
        cluster(&["stop", "--kill", part]);
        Self(part)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Also after a failure: the tests that follow need it.
        cluster(&["start", self.0]);
    }
}

/// Stops a part and starts it again.
pub(crate) fn restart(part: &'static str) {
    drop(Stopped::new(part));
}

/// Makes etcd forget all versions of objects but the current ones.
pub(crate) fn compact() {
    cluster(&["compact"]);
}
