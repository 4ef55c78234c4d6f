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

/// The link; dropping it removes it.
pub(crate) struct Pair;

impl Pair {
    /// Makes it.
    pub(crate) fn create() -> Result<Self> {
        // What an earlier run that was killed has left under this name is ours.
        let _ = Command::new("ip").args(["netns", "delete", NAMESPACE]).output();
        ip(&["netns", "add", NAMESPACE])?;
        let made = Self;
        ip(&["link", "add", DEVICE, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE])?;
        ip(&["address", "add", &format!("{NEAR}/30"), "dev", DEVICE])?;
        ip(&["link", "set", DEVICE, "up"])?;
        ip(&["-n", NAMESPACE, "address", "add", &format!("{FAR}/30"), "dev", "eth0"])?;
        ip(&["-n", NAMESPACE, "link", "set", "eth0", "up"])?;
        ip(&["-n", NAMESPACE, "link", "set", "lo", "up"])?;
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

/// Whether there is a program that can make it; that of busybox cannot.
pub(crate) fn is_possible() -> bool {
    let said = Command::new("ip").arg("-V").output();
    said.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("iproute2"))
}

/// Makes all addresses of a block local to the far end's namespace.
pub(crate) fn make_local(block: &str) -> Result<()> {
    ip(&["-n", NAMESPACE, "route", "add", "local", block, "dev", "lo"])
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output =
        Command::new("ip").args(arguments).output().context("start ip(8), of the package iproute2")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
