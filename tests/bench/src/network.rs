//! A link between this network namespace and one that the benchmark makes, taken down when it is done.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Namespace at the far end.
pub(crate) const NAMESPACE: &str = "watchfire-bench";
/// Device at the near end, which the designs that look at packets are attached to.
pub(crate) const DEVICE: &str = "wfbench0";
/// Address of the near end.
pub(crate) const NEAR: &str = "10.246.77.1";
const FAR: &str = "10.246.77.2";
/// Address of everybody on the link.
pub(crate) const BROADCAST: &str = "10.246.77.3";
/// Hardware addresses of both ends.
const ETHERNETS: [&str; 2] = ["02:57:46:00:00:01", "02:57:46:00:00:02"];

/// The link; dropping it removes it.
pub(crate) struct Pair;

impl Pair {
    /// Makes it.
    pub(crate) fn create() -> Result<Self> {
        // What an earlier run that was killed has left under this name is ours.
        let _ = Command::new("ip").args(["netns", "delete", NAMESPACE]).output();
        ip(&["netns", "add", NAMESPACE])?;
        let made = Self;
        let [near, far] = ETHERNETS;
        let device = ["link", "add", DEVICE, "address", near, "type", "veth"];
        ip(&[&device[..], &["peer", "name", "eth0", "address", far, "netns", NAMESPACE]].concat())?;
        // Nothing but the work's own packets goes through: both know each other, and neither speaks IPv6.
        ip(&["link", "set", DEVICE, "addrgenmode", "none"])?;
        ip(&["-n", NAMESPACE, "link", "set", "eth0", "addrgenmode", "none"])?;
        ip(&["address", "add", &format!("{NEAR}/30"), "dev", DEVICE])?;
        ip(&["link", "set", DEVICE, "up"])?;
        ip(&["-n", NAMESPACE, "address", "add", &format!("{FAR}/30"), "dev", "eth0"])?;
        ip(&["-n", NAMESPACE, "link", "set", "eth0", "up"])?;
        ip(&["-n", NAMESPACE, "link", "set", "lo", "up"])?;
        ip(&["neighbour", "add", FAR, "lladdr", far, "nud", "permanent", "dev", DEVICE])?;
        ip(&["-n", NAMESPACE, "neighbour", "add", NEAR, "lladdr", near, "nud", "permanent", "dev", "eth0"])?;
        Ok(made)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // The device goes with its peer, and that with its namespace.
        if let Err(error) = ip(&["netns", "delete", NAMESPACE]) {
            eprintln!("{error:#}");
        }
    }
}

/// Packets that the near device has counted, both ways.
pub(crate) fn packets() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/net/dev").context("read /proc/net/dev")?;
    packets_in(&text).with_context(|| format!("no {DEVICE} in /proc/net/dev"))
}

/// Received is the second number behind a device's name, sent the tenth (proc(5)).
fn packets_in(text: &str) -> Option<u64> {
    let counts = text.lines().find_map(|line| line.trim_start().strip_prefix(DEVICE)?.strip_prefix(':'))?;
    let count = |at: usize| counts.split_whitespace().nth(at)?.parse::<u64>().ok();
    Some(count(1)? + count(9)?)
}

/// Whether there is a program that can make it; that of busybox cannot.
pub(crate) fn is_possible() -> bool {
    let said = Command::new("ip").arg("-V").output();
    said.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("iproute2"))
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output =
        Command::new("ip").args(arguments).output().context("start ip(8), of the package iproute2")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn packets_both_ways() {
        let text = "Inter-|   Receive\n    lo: 1 2 3 4 5 6 7 8 9 10\nwfbench0: 90 12 0 0 0 0 0 0 80 30 0 0\n";
        assert_eq!(super::packets_in(text), Some(42));
        assert_eq!(super::packets_in("wfbench01: 1 2 3 4 5 6 7 8 9 10\n"), None);
    }
}
