//! What one changed object costs the agent.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use watchfire_tests::Agent;

use super::objects::{self, CHANGING_FILE};
use super::point::MANIFESTS;
use super::usage;

/// Longer than the agent leaves a folder of manifests alone, which is 2 s, with what it takes to read it.
const WINDOW: Duration = Duration::from_millis(3500);

/// Changes a pod, or a policy, and answers the time on processors that it took, nanoseconds, beside `idle_share` of one.
pub(super) fn measure(agent: &Agent, pods: u32, is_policy: bool, idle_share: f64) -> Result<u64> {
    let folder = agent.folder().join(MANIFESTS);
    // As a whole: one that was half written would be read as it is.
    let new = folder.join(".new");
    fs::write(&new, objects::changed(pods, is_policy))?;
    let before = usage::cpu_ns(agent.pid())?;
    fs::rename(&new, folder.join(CHANGING_FILE)).context("put a file in the place of another")?;
    std::thread::park_timeout(WINDOW);
    let used = usage::cpu_ns(agent.pid())? - before;
    Ok(used.saturating_sub((idle_share * WINDOW.as_nanos() as f64) as u64))
}
