//! What the agent was told: who is who, and what policies say. Loaded whole, replaced whole.

mod policy_files;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use watchfire_export::PolicyObjects;
use watchfire_inventory::{Directory, read_inventory};
use watchfire_model::{Dialect, Labels};
use watchfire_policy::{PolicySet, World};

use crate::config::Config;

/// Inventory and policies at one point in time.
#[derive(Clone, Debug)]
pub(crate) struct Knowledge {
    /// Name of this node.
    pub(crate) node: Arc<str>,
    pub(crate) directory: Directory,
    pub(crate) policies: PolicySet,
    pub(crate) objects: PolicyObjects,
}

impl Knowledge {
    /// Reads what the configuration names. Policy objects that are not valid are logged and left out.
    pub(crate) fn load(config: &Config) -> Result<Self> {
        let (node, directory) = inventory(config)?;
        let (policies, objects) = match &config.policies {
            Some(dir) => policy_files::load(dir)?,
            None => (Vec::new(), PolicyObjects::default()),
        };
        Ok(Self { node, directory, policies: PolicySet::new(Dialect::K8s, policies), objects })
    }
}

impl World for Knowledge {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.directory.namespace(namespace).map(|namespace| &namespace.labels)
    }
}

fn inventory(config: &Config) -> Result<(Arc<str>, Directory)> {
    let own_name = match &config.node_name {
        Some(name) => name.clone(),
        None => host_name()?,
    };
    let Some(file) = &config.inventory else { return Ok((own_name.into(), Directory::default())) };
    let inventory = read_inventory(file, &own_name)?;
    let node = match (&config.node_name, inventory.local_node) {
        (Some(name), Some(local)) if *name != local => bail!(
            "nodeName is {name}, but {} says that node {local} is this one (`local: true`)",
            file.display()
        ),
        (_, Some(local)) => local,
        (_, None) => own_name,
    };
    Ok((node.into(), inventory.directory))
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
        assert_eq!(&*Knowledge::load(&config(None)).unwrap().node, "node-a");
        assert_eq!(&*Knowledge::load(&config(Some("node-a"))).unwrap().node, "node-a");
        let error = Knowledge::load(&config(Some("node-b"))).unwrap_err().to_string();
        assert!(error.contains("node-b") && error.contains("node-a"), "{error}");
    }
}
