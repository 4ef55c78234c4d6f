//! What connections are judged by, told as objects of the Kubernetes API, for `watchfire policy`.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use watchfire_export::Answer;
use watchfire_inventory::{EndpointSliceObject, ServiceObject};
use watchfire_model::{Labels, Namespace, Pod};
use watchfire_policy::Policy;

use super::Stages;

/// Kind of the line that tells how the agent judges.
pub(crate) const STATE_KIND: &str = "WatchfireState";
/// Kind of the lines that tell names of addresses.
pub(crate) const NAMES_KIND: &str = "WatchfireNames";

impl Stages {
    /// What is told to `watchfire policy`: collected here, and written where it is sent.
    pub(super) fn policy_state(&self) -> Answer {
        let knowledge = &self.knowledge;
        let directory = &knowledge.directory;
        let namespaces: Vec<Arc<Namespace>> = directory.namespaces().cloned().collect();
        let nodes: Vec<(Arc<str>, Vec<IpAddr>, Option<Labels>)> = directory
            .nodes()
            .map(|(name, ips)| (Arc::clone(name), ips.to_vec(), directory.node_labels(name).cloned()))
            .collect();
        let pods: Vec<Arc<Pod>> = directory.pods().cloned().collect();
        let services: Vec<ServiceObject> = directory.service_objects().cloned().collect();
        let slices: Vec<EndpointSliceObject> = directory.slice_objects().cloned().collect();
        let names = self.names.all();
        let mut policies = self.policies_in_force();
        let head = policies.next();
        Box::new(
            head.into_iter()
                .chain(namespaces.into_iter().map(|namespace| {
                    json!({
                        "apiVersion": "v1", "kind": "Namespace",
                        "metadata": { "name": namespace.name, "labels": namespace.labels },
                    })
                }))
                .chain(nodes.into_iter().map(|(name, ips, labels)| node(&name, &ips, labels.as_ref())))
                .chain(pods.into_iter().map(|pod| self::pod(&pod)))
                .chain(services.into_iter().map(|service| self::service(&service)))
                .chain(slices.into_iter().map(|slice| self::slice(&slice)))
                .chain(names.into_iter().map(
                    |(address, names)| json!({ "kind": NAMES_KIND, "address": address, "names": names }),
                ))
                .chain(policies),
        )
    }

    /// The policies, behind an object that tells how they are read.
    pub(super) fn policies_in_force(&self) -> Answer {
        let knowledge = &self.knowledge;
        let set = Arc::clone(&knowledge.epoch().set);
        let head = json!({
            "kind": STATE_KIND,
            "node": &*knowledge.node,
            "cluster": knowledge.cluster.as_deref(),
            "dialect": set.dialect(),
            "cilium": set.options(),
        });
        // Those that Cilium as configured refuses are there all the same, for whoever looks for mistakes.
        let policies: Vec<Arc<Policy>> = set.policies().iter().chain(set.refused()).cloned().collect();
        let objects = policies.into_iter().filter_map(|policy| serde_json::from_str(policy.source()?).ok());
        Box::new(std::iter::once(head).chain(objects))
    }
}

fn node(name: &str, ips: &[IpAddr], labels: Option<&Labels>) -> Value {
    let addresses: Vec<_> = ips.iter().map(|ip| json!({ "type": "InternalIP", "address": ip })).collect();
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": labels },
        "status": { "addresses": addresses },
    })
}

fn pod(pod: &Pod) -> Value {
    let identity = &pod.identity;
    let owners: Vec<_> = (identity.workload.iter())
        .map(|workload| json!({ "kind": workload.kind, "name": workload.name, "controller": true }))
        .collect();
    let ports: Vec<_> = (identity.ports.iter())
        .map(|port| json!({ "name": port.name, "containerPort": port.port, "protocol": port.protocol }))
        .collect();
    let ips: Vec<_> = pod.ips.iter().map(|ip| json!({ "ip": ip })).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": identity.namespace, "name": pod.name,
            "uid": pod.uid.map(|uid| uid.to_string()).unwrap_or_default(),
            "labels": identity.labels, "ownerReferences": owners,
        },
        "spec": {
            "nodeName": pod.node.as_deref(), "hostNetwork": identity.host_network,
            "serviceAccountName": identity.service_account,
            "containers": [{ "name": "all", "ports": ports }],
        },
        "status": { "podIPs": ips },
    })
}

fn service(service: &ServiceObject) -> Value {
    let ports: Vec<_> = (service.ports.iter())
        .map(|port| {
            json!({
                "name": port.name, "port": port.port, "nodePort": port.node_port.unwrap_or_default(),
                "protocol": port.protocol,
            })
        })
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": service.namespace, "name": service.name, "labels": service.labels },
        "spec": { "externalIPs": service.ips, "ports": ports, "selector": service.selector },
    })
}

fn slice(slice: &EndpointSliceObject) -> Value {
    let ports: Vec<_> = (slice.ports.iter())
        .map(|port| json!({ "name": port.name, "port": port.port, "protocol": port.protocol }))
        .collect();
    let endpoints: Vec<_> = slice.addresses.iter().map(|address| json!({ "addresses": [address] })).collect();
    let family = if slice.addresses.iter().any(IpAddr::is_ipv6) { "IPv6" } else { "IPv4" };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
        "metadata": {
            "namespace": slice.namespace, "name": slice.name,
            "labels": { "kubernetes.io/service-name": slice.service },
        },
        "endpoints": endpoints, "ports": ports,
    })
}
