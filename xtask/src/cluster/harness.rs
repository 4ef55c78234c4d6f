//! What the tier of tests asks before it starts a cluster, and tells its tests.

use anyhow::Result;
use clap::ValueEnum as _;

use super::part::Part;
use super::plan::{self, FOLDER};
use super::programs::Programs;
use super::{images, is_prepared, is_temporary};
use crate::setup::Kubernetes;
use crate::{cgroups, debian, process};

/// Why there can be no containerd of tests' own on this machine, where that is so.
pub(crate) fn missing() -> Option<String> {
    if !process::is_root() && process::which("sudo").is_none() {
        return Some("needs root or sudo".to_owned());
    }
    if !debian::is_host() {
        return Some("containerd comes as a Debian package, and this is no Debian".to_owned());
    }
    cgroups::v2_root().and_then(|_| Programs::ready(&[Part::Containerd])).err().map(|error| reason(&error))
}

/// Why there can be no Kubernetes node beside it, where that is so.
pub(crate) fn missing_kubernetes() -> Option<String> {
    Programs::ready(Part::value_variants()).err().map(|error| reason(&error))
}

/// What cannot be fetched or built is no fault of the code under test, and takes one line.
pub(crate) fn reason(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

/// Whether there is a cluster that somebody relies on.
pub(crate) fn is_kept() -> bool {
    is_prepared().exists() && !is_temporary().exists()
}

/// What tests are told of containerd and its folder.
pub(crate) fn environment() -> Vec<(&'static str, String)> {
    vec![
        ("WATCHFIRE_CLUSTER_DIR", FOLDER.to_owned()),
        ("WATCHFIRE_CLUSTER_IMAGE", images::WORKLOAD.to_owned()),
        ("WATCHFIRE_CRI_SOCKET", plan::containerd_socket().display().to_string()),
    ]
}

/// What tests are told of Kubernetes besides.
pub(crate) fn kubernetes_environment() -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("WATCHFIRE_KUBECONFIG", plan::kubeconfig().display().to_string()),
        ("WATCHFIRE_KUBECTL", Kubernetes::ready()?.program("kubectl").display().to_string()),
    ])
}
