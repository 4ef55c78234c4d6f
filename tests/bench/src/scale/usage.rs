//! What an agent takes, finer than `/proc/PID/stat` tells it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

fn folder(pid: u32) -> PathBuf {
    PathBuf::from("/proc").join(pid.to_string())
}

/// Time on processors of all threads that there are, nanoseconds: the first field of `schedstat`
/// (Documentation/scheduler/sched-stats.rst).
pub(super) fn cpu_ns(pid: u32) -> Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(folder(pid).join("task"))?.flatten() {
        // A thread may end meanwhile.
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        total += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(total)
}

/// Resident memory, bytes.
pub(super) fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(folder(pid).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.context("no VmRSS in /proc/PID/status")? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_process() {
        let pid = std::process::id();
        let before = cpu_ns(pid).unwrap();
        let sum: u64 = std::hint::black_box(0..3_000_000_u64).fold(0, |sum, next| sum ^ next.rotate_left(7));
        std::hint::black_box(sum);
        // The kernel adds to it at ticks and switches.
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        assert!(cpu_ns(pid).unwrap() > before);
        assert!(resident_bytes(pid).unwrap() > 1 << 16);
    }
}
