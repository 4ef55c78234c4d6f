//! Processes that sleep.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Longer than a run can take, seconds.
const SLEEP_SECONDS: &str = "3600";

/// So many of them; dropping it ends them.
#[derive(Default)]
pub(super) struct Crowd(Vec<Child>);

impl Crowd {
    /// Starts or ends some until there are so many.
    pub(super) fn resize(&mut self, size: usize) -> Result<()> {
        for child in self.0.drain(size.min(self.0.len())..) {
            end(child);
        }
        while self.0.len() < size {
            let mut sleep = Command::new("sleep");
            sleep.arg(SLEEP_SECONDS).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = sleep.spawn();
            self.0.push(child.with_context(|| format!("start process {} of {size}", self.0.len() + 1))?);
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.drain(..).for_each(end);
    }
}

fn end(mut child: Child) {
    // Both fail where it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}
