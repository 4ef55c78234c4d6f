//! The lab's network: one bridge and one link to each member, all in namespaces of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::JOURNAL;
use super::plan::{BRIDGE_NAMESPACE, MEMBERS, NETWORK};
use crate::journal::Made;
use crate::{packages, process, setup};

/// Makes it.
pub(super) fn create() -> Result<()> {
    namespace(BRIDGE_NAMESPACE)?;
    ip(&["-n", BRIDGE_NAMESPACE, "link", "add", "bridge", "type", "bridge"])?;
    ip(&["-n", BRIDGE_NAMESPACE, "address", "add", &format!("{NETWORK}.1/24"), "dev", "bridge"])?;
    ip(&["-n", BRIDGE_NAMESPACE, "link", "set", "bridge", "up"])?;
    for member in MEMBERS {
        let own = member.namespace();
        namespace(&own)?;
        let port = member.name;
        ip(&[
            "-n",
            BRIDGE_NAMESPACE,
            "link",
            "add",
            port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &own,
        ])?;
        ip(&["-n", BRIDGE_NAMESPACE, "link", "set", port, "master", "bridge", "up"])?;
        ip(&["-n", &own, "address", "add", &format!("{}/24", member.address()), "dev", "eth0"])?;
        ip(&["-n", &own, "link", "set", "eth0", "up"])?;
    }
    Ok(())
}

fn namespace(name: &str) -> Result<()> {
    // Not ours: nothing may be noted that the lab did not make, or it would be removed.
    if Path::new("/run/netns").join(name).exists() {
        bail!(
            "a network namespace {name} exists that this lab has not made; `ip netns delete {name}` removes it"
        );
    }
    JOURNAL.note(&Made::Namespace(name.to_owned()))?;
    ip(&["netns", "add", name])?;
    ip(&["-n", name, "link", "set", "lo", "up"])
}

fn ip(arguments: &[&str]) -> Result<()> {
    process::run_quietly(Command::new(setup::tool(&packages::IP)?).args(arguments))
}
