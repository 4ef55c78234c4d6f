//! Where the programs of the node are, whoever has made them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::part::Part;
use crate::packages::{BUSYBOX, CNI_BRIDGE, CONTAINERD, CONTAINERD_SHIM, CTR, IP, NFT, OPENSSL, RUNC, Tool};
use crate::setup::{self, Kubernetes};

/// What containerd alone takes, in the order of [`Programs`].
const CONTAINERS: [Tool; 6] = [IP, BUSYBOX, CONTAINERD, CONTAINERD_SHIM, CTR, RUNC];
const KUBERNETES: [Tool; 2] = [NFT, OPENSSL];

/// The programs of some parts of the node.
pub(super) struct Programs {
    /// The folder of the network plugins.
    pub(super) cni: PathBuf,
    pub(super) runc: PathBuf,
    /// What the parts find in `PATH`.
    pub(super) search_path: String,
}

impl Programs {
    /// Finds what these parts need, fetching and building what is missing.
    pub(super) fn ready(parts: &[Part]) -> Result<Self> {
        let mut folders = Vec::new();
        let mut tools: Vec<&Tool> = CONTAINERS.iter().collect();
        if parts.iter().any(|part| part.is_of_kubernetes()) {
            tools.extend(&KUBERNETES);
            folders.push(Kubernetes::ready()?.bin());
        }
        for tool in tools {
            folders.push(folder_of(&setup::tool(tool)?)?);
        }
        folders.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
        let mut seen = Vec::new();
        for folder in folders {
            let folder = folder.display().to_string();
            if !seen.contains(&folder) {
                seen.push(folder);
            }
        }
        // The plugins are started by their paths, not through the scripts that stand for unpacked programs.
        let cni = folder_of(&setup::tool_binary(&CNI_BRIDGE)?)?;
        Ok(Self { cni, runc: setup::tool(&RUNC)?, search_path: seen.join(":") })
    }
}

fn folder_of(program: &Path) -> Result<PathBuf> {
    Ok(program.parent().context("a program lies in a folder")?.to_owned())
}
