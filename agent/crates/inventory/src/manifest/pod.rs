//! Pods.

use serde::Deserialize;
use watchfire_model::{ContainerPort, Protocol};

use super::bounded::{Address, List, PortNumber, Text};
use super::meta::Meta;
use super::{Written, Wrong};
use crate::{Object, PodContainer, PodObject};

/// Most containers in each of the lists of a pod.
pub const MANIFEST_CONTAINERS_MAX: usize = 256;
/// Most ports of a container, and of a service. Media servers declare ranges of some hundred.
pub const MANIFEST_PORTS_MAX: usize = 1024;
/// Most addresses of a pod; the API admits one of each family.
pub const MANIFEST_POD_IPS_MAX: usize = 16;

#[derive(Deserialize)]
pub(super) struct Pod {
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Option<Text>,
    service_account_name: Option<Text>,
    host_network: Option<bool>,
    containers: List<Container, MANIFEST_CONTAINERS_MAX>,
    init_containers: List<Container, MANIFEST_CONTAINERS_MAX>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    restart_policy: Option<Text>,
    #[serde(default)]
    ports: List<Port, MANIFEST_PORTS_MAX>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: Option<Text>,
    container_port: PortNumber,
    protocol: Option<Protocol>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<Text>,
    #[serde(rename = "podIP")]
    pod_ip: Option<Address>,
    #[serde(rename = "podIPs")]
    pod_ips: List<PodIp, MANIFEST_POD_IPS_MAX>,
    container_statuses: List<ContainerStatus, MANIFEST_CONTAINERS_MAX>,
    init_container_statuses: List<ContainerStatus, MANIFEST_CONTAINERS_MAX>,
    ephemeral_container_statuses: List<ContainerStatus, MANIFEST_CONTAINERS_MAX>,
}

#[derive(Deserialize)]
struct PodIp {
    ip: Option<Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: Text,
    #[serde(rename = "containerID")]
    container_id: Option<Text>,
    #[serde(default)]
    image: Text,
    #[serde(default, rename = "imageID")]
    image_id: Text,
}

impl Written for Pod {
    fn metadata(&self) -> &Meta {
        &self.metadata
    }

    fn into_object(self) -> Result<Object, Wrong> {
        Ok(Object::Pod(self.into()))
    }
}

impl From<Pod> for PodObject {
    fn from(pod: Pod) -> Self {
        let key = pod.metadata.key();
        let controller = pod.metadata.controller();
        let (spec, status) = (pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let Meta { labels, annotations, creation_timestamp, deletion_timestamp, .. } = pod.metadata;
        Self {
            namespace: key.namespace,
            name: key.name,
            uid: key.uid,
            mirror_uid: filled(annotations.and_then(|annotations| annotations.mirror)),
            labels: labels.0,
            created_unix_s: creation_timestamp.map(|time| time.0),
            is_deleting: deletion_timestamp.is_some(),
            is_ended: matches!(status.phase, Some(Text(phase)) if phase == "Succeeded" || phase == "Failed"),
            node: filled(spec.node_name),
            service_account: filled(spec.service_account_name),
            host_network: spec.host_network.unwrap_or_default(),
            ports: ports(spec.containers.0, spec.init_containers.0),
            ips: ips(status.pod_ips.0, status.pod_ip),
            controller,
            containers: [
                status.init_container_statuses,
                status.container_statuses,
                status.ephemeral_container_statuses,
            ]
            .into_iter()
            .flat_map(|list| list.0)
            .filter_map(made)
            .collect(),
        }
    }
}

fn filled(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

/// An init container that is always restarted runs beside the others to the end of the pod: a native sidecar.
fn ports(containers: Vec<Container>, init_containers: Vec<Container>) -> Vec<ContainerPort> {
    let sidecars = init_containers
        .into_iter()
        .filter(|container| matches!(&container.restart_policy, Some(Text(policy)) if policy == "Always"));
    let ports = containers.into_iter().chain(sidecars).flat_map(|container| container.ports.0);
    let port = |Port { name, container_port, protocol }| ContainerPort {
        name: filled(name),
        port: container_port.0,
        protocol: protocol.unwrap_or(Protocol::Tcp),
    };
    ports.map(port).collect()
}

fn ips(list: Vec<PodIp>, single: Option<Address>) -> Vec<std::net::IpAddr> {
    let ips: Vec<_> = list.into_iter().filter_map(|entry| entry.ip?.0).collect();
    if ips.is_empty() { single.and_then(|address| address.0).into_iter().collect() } else { ips }
}

/// A container that has been made: `containerID` is `runtime://id`.
fn made(status: ContainerStatus) -> Option<PodContainer> {
    let id = filled(status.container_id)?;
    let id = id.split_once("://").map_or(id.as_str(), |(_, id)| id).to_owned();
    let Text(name) = status.name;
    (!id.is_empty()).then_some(PodContainer { name, id, image: status.image.0, image_id: status.image_id.0 })
}
