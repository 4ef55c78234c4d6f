//! What a process takes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::cpu_clock;

/// What a process has taken so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// Time on processors, user and system, nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Times that it slept and was woken, of all threads.
    pub(crate) wakeups: u64,
    /// Most resident memory, bytes.
    pub(crate) rss_peak_bytes: u64,
    /// Memory of the BPF maps that it holds, bytes, as the kernel states it.
    pub(crate) map_bytes: u64,
}

impl Usage {
    /// Of a process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let folder = Path::new("/proc").join(pid.to_string());
        let mut usage = Self { cpu_ns: cpu_clock::nanoseconds(pid)?, ..Self::default() };
        let status = read(&folder.join("status"))?;
        usage.rss_peak_bytes = number_after(&status, "VmHWM:").unwrap_or(0) * 1024;
        for task in fs::read_dir(folder.join("task"))?.flatten() {
            // A thread may end meanwhile.
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            usage.wakeups += number_after(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        }
        let mut maps = Vec::new();
        for file in fs::read_dir(folder.join("fdinfo"))?.flatten() {
            let info = fs::read_to_string(file.path()).unwrap_or_default();
            // One map may be held more than once.
            if let (Some(id), Some(bytes)) = (number_after(&info, "map_id:"), number_after(&info, "memlock:"))
                && !maps.contains(&id)
            {
                maps.push(id);
                usage.map_bytes += bytes;
            }
        }
        Ok(usage)
    }

    /// Of several processes together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            wakeups: self.wakeups + other.wakeups,
            rss_peak_bytes: self.rss_peak_bytes + other.rss_peak_bytes,
            map_bytes: self.map_bytes + other.map_bytes,
        }
    }

    /// What was taken since an earlier look; peaks and maps as they are.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            wakeups: self.wakeups.saturating_sub(earlier.wakeups),
            ..self
        }
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// The number behind a key at the start of a line.
fn number_after(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_process() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_peak_bytes > 1 << 16, "{usage:?}");
        assert_eq!(usage.map_bytes, 0, "{usage:?}");
    }

    #[test]
    fn keys_are_read_at_the_start_of_a_line() {
        assert_eq!(
            number_after(
                "nonvoluntary_ctxt_switches:\t3\nvoluntary_ctxt_switches:\t7\n",
                "voluntary_ctxt_switches:"
            ),
            Some(7)
        );
        assert_eq!(number_after("memlock:\tx\n", "memlock:"), None);
    }
}
