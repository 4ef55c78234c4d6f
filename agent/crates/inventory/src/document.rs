//! The inventory file: what Kubernetes would tell, written down by hand or by a tool.

mod check;
mod service;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use watchfire_model::{ContainerPort, Labels, PodIps, PodUid};

use crate::directory::pod_key;
use crate::{
    Change, Directory, Moment, NamespaceObject, NodeObject, Object, PodObject, ResourceKind, SERVICES_MAX,
    Source, YamlError, read_yaml,
};

pub use check::Contradiction;
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
        source: Contradiction,
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
    /// Namespaces, nodes, pods and services, each kind as a whole list.
    pub changes: Vec<Change>,
    /// Cgroups (paths below the v2 root) that are said to be a pod's.
    cgroups: HashMap<String, PodUid>,
    /// Ranges of addresses that pods get theirs from.
    cluster: Vec<IpNet>,
    /// The node that the agent runs on, where the file tells.
    pub local_node: Option<String>,
}

impl Inventory {
    /// How many pods it tells of.
    #[must_use]
    pub fn pods(&self) -> usize {
        let is_pod =
            |change: &&Change| matches!(change, Change::Apply(object) if matches!(**object, Object::Pod(_)));
        self.changes.iter().filter(is_pod).count()
    }

    /// Puts it in the place of what the file said before.
    pub fn put_into(self, directory: &mut Directory, at: Moment) {
        directory.set_cluster(self.cluster);
        directory.set_cgroups(self.cgroups);
        for change in self.changes {
            directory.take(Source::File, change, at);
        }
    }
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
    uid: Option<Uid>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    ips: PodAddresses,
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
    let namespaces: Vec<_> =
        namespaces.map(|NamespaceEntry { name, labels }| NamespaceObject { name, labels }).collect();
    let nodes = document.nodes.into_iter();
    let nodes: Vec<_> = nodes
        .map(|NodeEntry { name, ips, local: _ }| NodeObject { name, ips, ..NodeObject::default() })
        .collect();
    let pods: Vec<_> = document.pods.into_iter().map(|entry| pod(entry, this_node)).collect();
    let services = document.services.into_iter().map(Into::into).collect();
    let checked =
        check::pods_and_nodes(&nodes, &pods).and_then(|holders| check::services(services, &holders));
    let services =
        checked.map_err(|source| InventoryError::Contradiction { file: file.to_owned(), source })?;

    let cgroups = pods.iter().filter_map(|(pod, cgroup)| Some((cgroup.clone()?, pod_key(pod)))).collect();
    let (services, slices): (Vec<_>, Vec<_>) = services.into_iter().unzip();
    let mut changes = Vec::new();
    list(&mut changes, ResourceKind::Namespace, namespaces.into_iter().map(Object::Namespace));
    list(&mut changes, ResourceKind::Node, nodes.into_iter().map(Object::Node));
    list(&mut changes, ResourceKind::Pod, pods.into_iter().map(|(pod, _)| Object::Pod(pod)));
    list(&mut changes, ResourceKind::Service, services.into_iter().map(Object::Service));
    let slices = slices.into_iter().flatten().map(Object::EndpointSlice);
    list(&mut changes, ResourceKind::EndpointSlice, slices);
    Ok(Inventory { changes, cgroups, cluster: document.cluster_cidrs, local_node })
}

fn list(changes: &mut Vec<Change>, kind: ResourceKind, objects: impl Iterator<Item = Object>) {
    changes.push(Change::ListBegins(kind));
    changes.extend(objects.map(|object| Change::Apply(Box::new(object))));
    changes.push(Change::ListEnds(kind));
}

fn pod(entry: PodEntry, this_node: &str) -> (PodObject, Option<String>) {
    let PodEntry { namespace, name, uid, labels, ips, ports, host_network, node, service_account, cgroup } =
        entry;
    let pod = PodObject {
        namespace,
        name,
        uid: uid.map_or_else(String::new, |Uid(uid)| uid.to_string()),
        labels,
        ips: ips.0.iter().collect(),
        ports,
        host_network,
        node: Some(node.unwrap_or_else(|| this_node.to_owned())),
        service_account,
        ..PodObject::default()
    };
    (pod, cgroup.map(|cgroup| format!("/{}", cgroup.trim_matches('/'))))
}

/// `metadata.uid` of a pod.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Uid(PodUid);

impl TryFrom<String> for Uid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        PodUid::parse(&text).map(Self).ok_or_else(|| format!("found `{text}`, expected a UUID"))
    }
}

/// At most one address of each family.
#[derive(Default, Deserialize)]
#[serde(try_from = "Vec<IpAddr>")]
struct PodAddresses(PodIps);

impl TryFrom<Vec<IpAddr>> for PodAddresses {
    type Error = String;

    fn try_from(addresses: Vec<IpAddr>) -> Result<Self, String> {
        let ips: PodIps = addresses.iter().copied().collect();
        match addresses.into_iter().find(|&address| !ips.contains(address)) {
            Some(other) => Err(format!("found {other}, expected at most one address of each family")),
            None => Ok(Self(ips)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::error::Error as _;

    use watchfire_model::Peer;

    use super::*;
    use crate::directory::tests::moment;
    use crate::{Cgroup, CgroupOwner, parse_yaml};

    pub(crate) fn parse(text: &str) -> Result<Inventory, InventoryError> {
        let file = Path::new("inventory.yaml");
        build(file, parse_yaml(file, text)?, "node-x")
    }

    pub(crate) fn directory(text: &str) -> Directory {
        let mut directory = Directory::default();
        parse(text).unwrap().put_into(&mut directory, moment(0));
        directory
    }

    #[test]
    fn a_full_file() {
        let text = "clusterCIDRs: [10.244.0.0/16]\n\
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
               cgroup: kubepods/burstable/proxy\n";
        assert_eq!(parse(text).unwrap().local_node.as_deref(), Some("node-a"));
        let directory = directory(text);
        let api = directory.holder("10.244.0.5".parse().unwrap(), 5).unwrap();
        let api = api.pod().unwrap();
        assert_eq!((&*api.name, api.node.as_deref().map(String::as_str)), ("api", Some("node-a")));
        let node = Peer::Node { name: "node-b".into() };
        assert_eq!(directory.holder("192.0.2.2".parse().unwrap(), 5), Some(node));
        assert_eq!(directory.namespace("shop").unwrap().labels["kubernetes.io/metadata.name"], "shop");
        assert!(directory.namespace("kube-system").is_none(), "its labels are not known");
        assert!(directory.in_cluster("10.244.9.9".parse().unwrap()));
        for (path, name) in [
            ("/kubepods/burstable/proxy/4bc", "proxy"),
            ("/kubepods/burstable/proxy", "proxy"),
            ("/kubepods/pod0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b/c", "api"),
        ] {
            let CgroupOwner::Pod(pod) = directory.cgroup_owner(&Cgroup::at(path)) else { panic!("{path}") };
            assert_eq!(&*pod.name, name);
        }
        assert_eq!(directory.cgroup_owner(&Cgroup::at("/kubepods/burstable/proxy2")), CgroupOwner::NoPod);
        assert_eq!(directory.cgroup_owner(&Cgroup::at("/")), CgroupOwner::NoPod);
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
            ("pods: [{namespace: a, name: b, uid: x}]", ["1:", "pods[0].uid", "a UUID"]),
            (
                "pods: [{namespace: a, name: b, ips: [10.0.0.1, 10.0.0.2]}]",
                ["1:", "pods[0].ips", "found 10.0.0.2, expected at most one address of each family"],
            ),
            ("clusterCIDRs: [10.0.0.0/40]\n", ["1:", "clusterCIDRs[0]", "IP"]),
            ("pods:\n- namespace: a\n  name: b\n  cgrop: x\n", ["4:", "cgrop", "cgroup"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
