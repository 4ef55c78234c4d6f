//! The inventory file: what Kubernetes would tell, written down by hand or by a tool.

mod service;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use watchfire_model::{ContainerPort, Labels, Namespace, Node, Pod};

use crate::{Directory, DirectoryError, SERVICES_MAX, YamlError, read_yaml};
use service::{Limited, ServiceEntry};

/// Why an inventory file was not taken.
#[derive(thiserror::Error, Debug)]
pub enum InventoryError {
    /// It could not be read or has not the expected form.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// What it says contradicts itself.
    #[error("{} contradicts itself", .file.display())]
    Contradiction {
        /// Which file.
        file: PathBuf,
        /// How.
        source: DirectoryError,
    },
    /// More than one node is said to be this one.
    #[error("{}: nodes {first} and {second} both say `local: true`, expected one at most", .file.display())]
    LocalTwice {
        /// Which file.
        file: PathBuf,
        /// One node.
        first: String,
        /// The other.
        second: String,
    },
}

/// What an inventory file says.
#[derive(Debug)]
pub struct Inventory {
    /// Pods, nodes, namespaces and services.
    pub directory: Directory,
    /// The node that the agent runs on, where the file tells.
    pub local_node: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Document {
    #[serde(rename = "clusterCIDRs")]
    cluster_cidrs: Vec<IpNet>,
    nodes: Vec<NodeEntry>,
    namespaces: Vec<NamespaceEntry>,
    pods: Vec<PodEntry>,
    services: Limited<ServiceEntry, SERVICES_MAX>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeEntry {
    name: String,
    #[serde(default)]
    ips: Vec<IpAddr>,
    #[serde(default)]
    local: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamespaceEntry {
    name: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodEntry {
    namespace: String,
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    ips: Vec<IpAddr>,
    #[serde(default)]
    ports: Vec<ContainerPort>,
    #[serde(default)]
    host_network: bool,
    node: Option<String>,
    service_account: Option<String>,
    cgroup: Option<String>,
}

/// Reads an inventory file. Pods that name no node run on this one: the node marked `local: true`, or else
/// `node_name`.
pub fn read_inventory(file: &Path, node_name: &str) -> Result<Inventory, InventoryError> {
    build(file, read_yaml(file)?, node_name)
}

fn build(file: &Path, document: Document, node_name: &str) -> Result<Inventory, InventoryError> {
    let mut local = document.nodes.iter().filter(|node| node.local).map(|node| node.name.clone());
    let local_node = local.next();
    if let (Some(first), Some(second)) = (&local_node, local.next()) {
        let first = first.clone();
        return Err(InventoryError::LocalTwice { file: file.to_owned(), first, second });
    }
    let this_node = local_node.as_deref().unwrap_or(node_name);

    let namespaces = document.namespaces.into_iter();
    let namespaces = namespaces.map(|NamespaceEntry { name, labels }| Namespace { name, labels }).collect();
    let nodes =
        document.nodes.into_iter().map(|NodeEntry { name, ips, local: _ }| Node { name, ips }).collect();
    let pods = document.pods.into_iter().map(|entry| pod(entry, this_node)).collect();
    let services: Vec<_> = document.services.into_iter().map(Into::into).collect();
    let directory = Directory::new(namespaces, nodes, pods, document.cluster_cidrs);
    let directory = directory.and_then(|directory| directory.with_services(&services));
    let directory =
        directory.map_err(|source| InventoryError::Contradiction { file: file.to_owned(), source })?;
    Ok(Inventory { directory, local_node })
}

fn pod(entry: PodEntry, this_node: &str) -> (Pod, Option<String>) {
    let PodEntry { namespace, name, uid, labels, ips, ports, host_network, node, service_account, cgroup } =
        entry;
    let node = Some(node.unwrap_or_else(|| this_node.to_owned()));
    let pod = Pod { namespace, name, uid, labels, ips, ports, host_network, node, service_account };
    (pod, cgroup)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::error::Error as _;

    use watchfire_model::Peer;

    use super::*;
    use crate::{CgroupOwner, parse_yaml};

    pub(crate) fn parse(text: &str) -> Result<Inventory, InventoryError> {
        let file = Path::new("inventory.yaml");
        build(file, parse_yaml(file, text)?, "node-x")
    }

    #[test]
    fn a_full_file() {
        let inventory = parse(
            "clusterCIDRs: [10.244.0.0/16]\n\
             nodes:\n\
             - {name: node-a, ips: [192.0.2.1], local: true}\n\
             - {name: node-b, ips: [192.0.2.2]}\n\
             namespaces:\n\
             - {name: shop, labels: {team: web}}\n\
             pods:\n\
             - namespace: shop\n  \
               name: api\n  \
               uid: 0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b\n  \
               labels: {app: api}\n  \
               ips: [10.244.0.5]\n  \
               ports: [{name: http, port: 8080}, {port: 53, protocol: UDP}]\n  \
               serviceAccount: api\n\
             - namespace: kube-system\n  \
               name: proxy\n  \
               hostNetwork: true\n  \
               node: node-b\n  \
               ips: [192.0.2.2]\n  \
               cgroup: kubepods/burstable/proxy\n",
        );
        let Inventory { directory, local_node } = inventory.unwrap();
        assert_eq!(local_node.as_deref(), Some("node-a"));
        let api = directory.holder("10.244.0.5".parse().unwrap()).unwrap().pod().unwrap();
        assert_eq!((api.name.as_str(), api.node.as_deref()), ("api", Some("node-a")));
        let node = Peer::Node { name: "node-b".to_owned() };
        assert_eq!(directory.holder("192.0.2.2".parse().unwrap()), Some(&node));
        assert_eq!(directory.namespace("shop").unwrap().labels["kubernetes.io/metadata.name"], "shop");
        assert!(directory.namespace("kube-system").is_none(), "its labels are not known");
        assert!(directory.in_cluster("10.244.9.9".parse().unwrap()));
        for (path, name) in [
            ("/kubepods/burstable/proxy/4bc", "proxy"),
            ("/kubepods/burstable/proxy", "proxy"),
            ("/kubepods/pod0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b/c", "api"),
        ] {
            let CgroupOwner::Pod(pod) = directory.cgroup_owner(path) else { panic!("{path}") };
            assert_eq!(pod.name, name);
        }
        assert_eq!(directory.cgroup_owner("/kubepods/burstable/proxy2"), CgroupOwner::NoPod);
        assert_eq!(directory.cgroup_owner("/"), CgroupOwner::NoPod);
    }

    #[test]
    fn contradictions_are_named() {
        for (text, expected) in [
            ("pods: [{namespace: a, name: b}, {namespace: a, name: b}]", "pod a/b is declared twice"),
            (
                "pods: [{namespace: a, name: b, ips: [10.0.0.1]}]\nnodes: [{name: n, ips: ['::ffff:10.0.0.1']}]",
                "node n and pod a/b have the same address 10.0.0.1",
            ),
            (
                "nodes: [{name: n, local: true}, {name: m, local: true}]",
                "inventory.yaml: nodes n and m both say `local: true`, expected one at most",
            ),
        ] {
            let error = parse(text).unwrap_err();
            let error = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn wrong_forms_are_named() {
        for (text, parts) in [
            (
                "pods:\n- namespace: a\n  name: b\n  ips: [10.0.0.400]\n",
                ["4:", "pods[0].ips[0]", "IP address"],
            ),
            ("pods:\n- namespace: a\n", ["2:", "pods[0]", "name"]),
            ("clusterCIDRs: [10.0.0.0/40]\n", ["1:", "clusterCIDRs[0]", "IP"]),
            ("pods:\n- namespace: a\n  name: b\n  cgrop: x\n", ["4:", "cgrop", "cgroup"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
