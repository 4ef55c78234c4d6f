//! Definitions of custom resources of others, as far as this machine has them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::kube::{Kube, told, until};

/// Where the definitions lie, by those whose they are.
fn folders() -> BTreeMap<String, PathBuf> {
    serde_json::from_str(&told("WATCHFIRE_DEFINITIONS")).expect("names and folders")
}

/// Whether the custom resources of production and staging can be defined.
pub(crate) fn has_monitors() -> bool {
    has(MONITORS)
}

/// Whether cert-manager's can be.
pub(crate) fn has_certificates() -> bool {
    has(CERTIFICATES)
}

fn has(name: &str) -> bool {
    crate::kube::has_kubernetes() && folders().contains_key(name)
}

const MONITORS: &str = "prometheus-operator";
const CERTIFICATES: &str = "cert-manager";

/// Definitions that the API server has until this is dropped.
pub(crate) struct Defined {
    kube: Kube,
    folders: BTreeMap<String, PathBuf>,
}

impl Defined {
    /// Defines all that can be had.
    pub(crate) fn all() -> Self {
        Self::those(folders())
    }

    /// Defines what Prometheus Operator works by.
    pub(crate) fn monitors() -> Self {
        Self::of(MONITORS)
    }

    /// Defines what cert-manager works by.
    pub(crate) fn certificates() -> Self {
        Self::of(CERTIFICATES)
    }

    fn of(wanted: &str) -> Self {
        let mut folders = folders();
        folders.retain(|name, _| name == wanted);
        Self::those(folders)
    }

    fn those(folders: BTreeMap<String, PathBuf>) -> Self {
        let defined = Self { kube: Kube::admin(), folders };
        for folder in defined.folders.values() {
            // As servers keep them, since they are too long for the annotation of a plain `apply`.
            defined.kube.run(["apply", "--server-side", "-f", &folder.to_string_lossy()]);
            let wait = ["wait", "--for=condition=Established", "--timeout=30s", "-f"];
            let wait: Vec<_> =
                wait.iter().copied().chain([folder.to_string_lossy().as_ref()]).map(str::to_owned).collect();
            // It fails on what has no status yet.
            until("definitions that are established", || defined.kube.attempt(&wait).is_ok());
        }
        defined
    }

    /// Whose resources are defined.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.folders.keys().map(String::as_str).collect()
    }
}

impl Drop for Defined {
    fn drop(&mut self) {
        for folder in self.folders.values() {
            // What cannot be removed goes with the cluster.
            _ = self.kube.attempt(["delete", "--ignore-not-found", "-f", &folder.to_string_lossy()]);
        }
    }
}
