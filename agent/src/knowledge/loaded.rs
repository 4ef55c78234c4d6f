//! What the configuration names: the inventory file and the policy files. Read whole, replaced whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use ipnet::IpNet;
use watchfire_inventory::{Inventory, read_inventory};

use super::candidates::Modes;
use super::policies::Reading;
use super::policy_files::PolicyFiles;
use crate::config::Config;

/// What was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) cluster: Option<Arc<str>>,
    pub(crate) node: Arc<str>,
    pub(super) inventory: Option<Inventory>,
    pub(super) cluster_ranges: Vec<IpNet>,
    pub(crate) policies: PolicyFiles,
    pub(crate) candidates: PolicyFiles,
    pub(super) modes: Modes,
    pub(super) reading: Reading,
    pub(super) stale_window_ns: u64,
}

impl Loaded {
    /// How many pods the inventory file tells of.
    pub(crate) fn pods(&self) -> usize {
        self.inventory.as_ref().map_or(0, Inventory::pods)
    }

    /// Reads what the configuration names. Policy objects that are not valid are logged and left out.
    pub(crate) fn read(config: &Config) -> Result<Self> {
        let (node, inventory) = inventory(config)?;
        let policies = config.policies.as_deref().map(PolicyFiles::load).transpose()?.unwrap_or_default();
        let candidates = config.policy.candidates.as_deref().map(PolicyFiles::load_candidates).transpose()?;
        Ok(Self {
            cluster: config.cluster_name.as_deref().map(Into::into),
            node,
            inventory,
            cluster_ranges: config.cluster_cidrs.as_slice().to_vec(),
            policies,
            candidates: candidates.unwrap_or_default(),
            modes: Modes { others: config.policy.mode, of: config.policy.modes.0.clone() },
            reading: Reading { choice: config.policy.dialect, cilium: config.policy.cilium.options() },
            stale_window_ns: config.policy.stale_window_seconds.nanoseconds(),
        })
    }
}

fn inventory(config: &Config) -> Result<(Arc<str>, Option<Inventory>)> {
    let own_name = match &config.node_name {
        Some(name) => name.clone(),
        None => host_name()?,
    };
    let Some(file) = &config.inventory else { return Ok((own_name.into(), None)) };
    let inventory = read_inventory(file, &own_name)?;
    let node = match (&config.node_name, &inventory.local_node) {
        (Some(name), Some(local)) if name != local => bail!(
            "nodeName is {name}, but {} says that node {local} is this one (`local: true`)",
            file.display()
        ),
        (_, Some(local)) => local.clone(),
        (_, None) => own_name,
    };
    Ok((node.into(), Some(inventory)))
}

fn host_name() -> Result<String> {
    const PATH: &str = "/proc/sys/kernel/hostname";
    let name = fs::read_to_string(Path::new(PATH)).with_context(|| format!("cannot read {PATH}"))?;
    Ok(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_has_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("inventory.yaml");
        fs::write(&file, "nodes: [{name: node-a, local: true}]").unwrap();
        let config = |name: Option<&str>| Config {
            inventory: Some(file.clone()),
            node_name: name.map(str::to_owned),
            ..Config::default()
        };
        assert_eq!(&*Loaded::read(&config(None)).unwrap().node, "node-a");
        assert_eq!(&*Loaded::read(&config(Some("node-a"))).unwrap().node, "node-a");
        let error = Loaded::read(&config(Some("node-b"))).unwrap_err().to_string();
        assert!(error.contains("node-b") && error.contains("node-a"), "{error}");
    }
}
