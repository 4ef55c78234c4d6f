//! What the node takes of the machine: devices, cgroups, kernel settings, and folders that no option moves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::JOURNAL;
use super::part::Part;
use super::plan::{self, CGROUP, NETWORK, NODE_ADDRESS, NODE_DEVICE, PODS_DEVICE};
use crate::journal::Made;
use crate::packages::{IP, NFT};
use crate::{cgroups, process, setup};

/// Settings that kubelet, kube-proxy or the network plugins change, or that are changed here.
const SETTINGS: [&str; 9] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/bridge/bridge-nf-call-iptables",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// Settings without which pods and services are not reached.
const WANTED: [&str; 2] = ["net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"];

/// Folders that containerd and kubelet make, wherever they are told to keep their files.
const FOLDERS: [&str; 5] =
    ["/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/opt/containerd"];

/// Where every kubelet listens for plugins.
const KUBELET_SOCKET: &str = "/var/lib/kubelet/device-plugins/kubelet.sock";

/// Tables of nftables that kube-proxy makes.
const TABLES: [&str; 2] = ["ip", "ip6"];
const TABLE: &str = "kube-proxy";

/// Fails where something of the machine's own is in the way.
pub(super) fn check() -> Result<()> {
    let routes = ip(&["-4", "route", "show", "root", NETWORK])?;
    ensure!(routes.is_empty(), "addresses of {NETWORK} are in use on this machine: {}", routes.trim());
    for device in [NODE_DEVICE, PODS_DEVICE] {
        let is_there = Path::new("/sys/class/net").join(device).exists();
        ensure!(!is_there, "a network device {device} exists that `cluster` has not made");
    }
    ensure!(
        !Path::new(KUBELET_SOCKET).exists(),
        "{KUBELET_SOCKET} exists: is this machine a Kubernetes node?"
    );
    for root in cgroups::roots()? {
        let folder = root.join(CGROUP);
        ensure!(!folder.exists(), "{} exists, which `cluster` has not made", folder.display());
    }
    Ok(())
}

/// Notes the tables that kube-proxy will make; fails where this machine is a node already.
pub(super) fn note_tables() -> Result<()> {
    let made = TABLES.map(|family| Made::Table(family.to_owned(), TABLE.to_owned()));
    if made.iter().all(|table| JOURNAL.has(table)) {
        return Ok(());
    }
    let nft = setup::tool(&NFT)?;
    for family in TABLES {
        let tables = process::read(Command::new(&nft).args(["list", "tables", family]))?;
        if tables.lines().any(|line| line == format!("table {family} {TABLE}")) {
            bail!("nftables has a table {family} {TABLE} already: is this machine a Kubernetes node?");
        }
    }
    made.iter().try_for_each(|table| JOURNAL.note(table))
}

/// Makes what is there before any program starts.
pub(super) fn create() -> Result<()> {
    for setting in SETTINGS {
        let path = Path::new("/proc/sys").join(setting);
        // What this kernel lacks, nobody changes.
        if let Ok(value) = fs::read_to_string(&path) {
            JOURNAL.note(&Made::Setting(path, value.trim().to_owned()))?;
        }
    }
    for setting in WANTED {
        let path = Path::new("/proc/sys").join(setting);
        // A kernel without it has no filter on bridges.
        if path.exists() {
            fs::write(&path, "1").with_context(|| format!("write {}", path.display()))?;
        }
    }
    for folder in FOLDERS.map(PathBuf::from) {
        if !folder.exists() {
            JOURNAL.note(&Made::Folder(folder))?;
        }
    }
    JOURNAL.note(&Made::CgroupTree(CGROUP.to_owned()))?;
    cgroups::create_everywhere(CGROUP)?;
    let own = node_cgroup()?;
    fs::create_dir_all(&own).with_context(|| format!("create {}", own.display()))?;
    bridges()
}

/// The cgroup of the node's own programs, and so of what they start outside of pods.
pub(super) fn node_cgroup() -> Result<PathBuf> {
    Ok(cgroups::v2_root()?.join(CGROUP).join("node"))
}

fn bridges() -> Result<()> {
    // The plugin would make it with the first pod, unnoted.
    for device in [NODE_DEVICE, PODS_DEVICE] {
        JOURNAL.note(&Made::Device(device.to_owned()))?;
        ip(&["link", "add", device, "type", "bridge"])?;
        ip(&["link", "set", device, "up"])?;
    }
    // A bridge and no dummy device, which not every kernel has.
    ip(&["address", "add", &format!("{NODE_ADDRESS}/32"), "dev", NODE_DEVICE])?;
    // Otherwise clients here would talk to whatever has this address out there.
    let route = ip(&["route", "get", NODE_ADDRESS])?;
    ensure!(route.starts_with("local "), "{NODE_ADDRESS} is not local: {}", route.trim());
    Ok(())
}

/// Removes what the node's programs have put into folders that another containerd or kubelet may use too. Each file is
/// known by something of this node's, so that nobody else's is touched.
pub(super) fn remove_traces() {
    // Gone already is what is wanted, here and below.
    for tasks in cgroups::folders_in(&plan::file("run/containerd/io.containerd.runtime.v2.task")) {
        for container in cgroups::folders_in(&tasks) {
            // A shim's socket, whose name is a hash, is noted beside its container.
            let address = fs::read_to_string(container.join("address")).unwrap_or_default();
            if let Some(socket) = address.trim().strip_prefix("unix://") {
                let _ = fs::remove_file(socket);
            }
            // Of containers that come from a client other than CRI: what runc knows, and their standard streams.
            if let Ok(name) = container.strip_prefix(tasks.parent().unwrap_or(&tasks)) {
                let _ = fs::remove_dir_all(Path::new("/run/containerd/runc").join(name));
            }
            let id = container.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for streams in cgroups::folders_in(Path::new("/run/containerd/fifo")) {
                for stream in ["stdin", "stdout", "stderr"] {
                    let _ = fs::remove_file(streams.join(format!("{id}-{stream}")));
                }
                // Not empty when it is of another container.
                let _ = fs::remove_dir(streams);
            }
        }
    }
    // `NETWORK-CONTAINER-DEVICE`; every container has a loopback device too.
    let results = names_in("/var/lib/cni/results");
    let container =
        |name: &str| name.strip_prefix(CGROUP)?.strip_prefix('-')?.strip_suffix("-eth0").map(str::to_owned);
    for id in results.iter().filter_map(|name| container(name)) {
        for name in [format!("{CGROUP}-{id}-eth0"), format!("cni-loopback-{id}-lo")] {
            let _ = fs::remove_file(Path::new("/var/lib/cni/results").join(name));
        }
    }
    for name in names_in("/var/log/containers") {
        let link = Path::new("/var/log/containers").join(name);
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(plan::FOLDER)) {
            let _ = fs::remove_file(link);
        }
    }
    if JOURNAL.last(Part::Kubelet.name()).is_some() {
        // It was not there before, or there would be no cluster.
        let _ = fs::remove_file(KUBELET_SOCKET);
    }
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn ip(arguments: &[&str]) -> Result<String> {
    process::read(Command::new(setup::tool(&IP)?).args(arguments))
}
