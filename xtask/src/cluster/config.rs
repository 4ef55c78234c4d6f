//! Configuration files of the node's programs.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::identity::KUBELET_CLIENT;
use super::images::PAUSE;
use super::plan::{
    self, CGROUP, NODE_ADDRESS, NODE_NAME, NODE_PODS, PODS, PODS_DEVICE, PROXY_HEALTH, PROXY_METRICS, path,
};
use super::programs::Programs;

/// Folders that programs expect to be there.
const FOLDERS: [&str; 6] = ["run", "log", "log/pods", "cni/conf", "manifests", "kubelet"];

/// Makes folders and writes every file.
pub(super) fn create(programs: &Programs) -> Result<()> {
    for folder in FOLDERS {
        let folder = plan::file(folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let files = [
        ("containerd.toml", containerd(&programs.cni, &programs.runc)),
        ("cni/conf/10-bridge.conflist", network()),
        ("kubelet.yaml", kubelet()),
        ("proxy.yaml", proxy()),
    ];
    for (name, text) in files {
        fs::write(plan::file(name), text).with_context(|| format!("write {}", path(name)))?;
    }
    Ok(())
}

/// Configuration version 2, as containerd 1.6 reads it (its `docs/cri/config.md`). Everything that it would keep in
/// folders of a machine's own containerd is put elsewhere, where there is a setting for it.
fn containerd(cni: &Path, runc: &Path) -> String {
    let (cni, runc) = (cni.display(), runc.display());
    let (root, state, socket) = (path("containerd"), path("run/containerd"), plan::containerd_socket());
    let (socket, conf, runc_state, extra) =
        (socket.display(), path("cni/conf"), path("run/runc"), path("containerd/opt"));
    // restrict_oom_score_adj: without CAP_SYS_RESOURCE, a container with a lower value than its parent's would not
    // start.
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{extra}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni}"
conf_dir = "{conf}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{runc}"
Root = "{runc_state}"
SystemdCgroup = false
"#
    )
}

fn network() -> String {
    let list = json!({
        "cniVersion": "0.4.0",
        "name": CGROUP,
        "plugins": [{
            "type": "bridge",
            "bridge": PODS_DEVICE,
            "isGateway": true,
            // A pod that reaches itself through a service comes back by the port that it left by.
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": path("cni/addresses"),
                "ranges": [[{ "subnet": NODE_PODS }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    });
    list.to_string()
}

/// In JSON, which is YAML too.
fn kubelet() -> String {
    let socket = format!("unix://{}", plan::containerd_socket().display());
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": KUBELET_CLIENT.certificate() },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint": socket,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{CGROUP}"),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": false,
        // What a process without CAP_SYS_RESOURCE may set.
        "oomScoreAdj": 0,
        "maxOpenFiles": 65536,
        "podLogsDir": path("log/pods"),
        "staticPodPath": path("manifests"),
        "volumePluginDir": path("kubelet/volume-plugins"),
        // A full disk of the machine is not the node's concern, and images that no registry has are never collected.
        "evictionHard": { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
        "imageGCHighThresholdPercent": 100,
    });
    format!("{config:#}\n")
}

fn proxy() -> String {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE_NAME,
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": PROXY_HEALTH,
        "metricsBindAddress": PROXY_METRICS,
        "clusterCIDR": PODS,
        "nodePortAddresses": [format!("{NODE_ADDRESS}/32")],
        "clientConnection": { "kubeconfig": path("proxy.kubeconfig") },
        // The machine's limits of connection tracking stay as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    });
    format!("{config:#}\n")
}
