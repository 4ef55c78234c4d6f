//! What the node is called, which addresses and ports it has, and where its files lie.

use std::path::{Path, PathBuf};

/// Where the node keeps its files, all of them root's.
pub(super) const FOLDER: &str = "/var/lib/watchfire-cluster";

/// Every address of the cluster lies in here.
pub(super) const NETWORK: &str = "10.245.0.0/16";
pub(super) const NODE_ADDRESS: &str = "10.245.0.1";
pub(super) const NODE_NAME: &str = "watchfire-node";
/// What nodes get their shares of; this one's is the first.
pub(super) const PODS: &str = "10.245.64.0/18";
pub(super) const NODE_PODS: &str = "10.245.64.0/24";
pub(super) const SERVICES: &str = "10.245.128.0/20";

/// The bridge that only carries the node's address.
pub(super) const NODE_DEVICE: &str = "wf-node";
/// The bridge that pods are plugged into.
pub(super) const PODS_DEVICE: &str = "wf-pods";

/// The cgroup of everything here: pods, and the node's own programs.
pub(super) const CGROUP: &str = "watchfire-cluster";

/// The API server's address.
pub(super) fn server() -> String {
    format!("https://{NODE_ADDRESS}:6443")
}

/// On loopback: nobody but the API server speaks to it.
pub(super) const ETCD_CLIENTS: &str = "127.0.0.1:12379";
pub(super) const ETCD_PEERS: &str = "127.0.0.1:12380";

pub(super) const PROXY_HEALTH: &str = "10.245.0.1:10256";
pub(super) const PROXY_METRICS: &str = "10.245.0.1:10249";

/// A file or folder of the node.
pub(super) fn file(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// The same as text, for configuration files and arguments.
pub(super) fn path(name: &str) -> String {
    file(name).display().to_string()
}

/// Where containerd listens, for CRI and for its own clients.
pub(super) fn containerd_socket() -> PathBuf {
    file("run/containerd.sock")
}

/// The administrator's configuration of kubectl.
pub(super) fn kubeconfig() -> PathBuf {
    file("admin.kubeconfig")
}
