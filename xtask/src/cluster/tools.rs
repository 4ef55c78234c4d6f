//! Clients of the node's programs.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::http;
use super::plan::{self, ETCD_CLIENTS};
use crate::packages::CTR;
use crate::process;
use crate::setup::{self, Kubernetes};

/// The namespace in containerd that its CRI plugin keeps images and containers in.
pub(super) const CRI_NAMESPACE: &str = "k8s.io";

/// kubectl, as administrator.
pub(super) fn kubectl_command() -> Result<Command> {
    let mut command = Command::new(Kubernetes::ready()?.program("kubectl"));
    command.env("KUBECONFIG", plan::kubeconfig());
    // What it remembers of this cluster goes with it, and the user's own settings are for others.
    command.env("KUBECACHEDIR", plan::file("kubectl-cache")).env("KUBERC", "off");
    Ok(command)
}

/// Runs kubectl and returns what it says.
pub(super) fn kubectl(arguments: &[&str]) -> Result<String> {
    process::read(kubectl_command()?.arg("--request-timeout=5s").args(arguments))
}

/// Containerd's client, in the namespace of its CRI plugin unless the arguments name another.
pub(super) fn ctr_command() -> Result<Command> {
    let mut command = Command::new(setup::tool(&CTR)?);
    command.arg("--address").arg(plan::containerd_socket()).args(["--namespace", CRI_NAMESPACE]);
    Ok(command)
}

/// Runs containerd's client and returns what it says.
pub(super) fn ctr(arguments: &[&str]) -> Result<String> {
    process::read(ctr_command()?.args(arguments))
}

/// Makes etcd forget all versions but the current one, which it returns.
pub(super) fn compact() -> Result<String> {
    let status = http::post(ETCD_CLIENTS, "/v3/maintenance/status", &json!({}))?;
    let revision = &status["header"]["revision"];
    http::post(ETCD_CLIENTS, "/v3/kv/compaction", &json!({ "revision": revision }))?;
    Ok(revision.as_str().unwrap_or_default().to_owned())
}
