//! Manifests of pods and policies.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

/// The addresses that pods have.
pub(super) const ADDRESSES: &str = "10.247.0.0/16";
const FIRST_ADDRESS: u32 = u32::from_be_bytes([10, 247, 0, 1]);
/// Pods of a namespace, and of one workload in it.
const PODS_OF_NAMESPACE: u32 = 100;
const PODS_OF_WORKLOAD: u32 = 10;
/// Namespaces by the label that policies ask for.
const TEAMS: u32 = 7;
/// Objects in a file.
const OBJECTS_OF_FILE: usize = 100;
/// The file with the object that changes.
pub(super) const CHANGING_FILE: &str = "changing.json";

/// Address of a pod.
pub(super) const fn address(pod: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_ADDRESS + pod)
}

/// All objects, by the names of their files: pods, their namespaces, policies about the pods. The first pod and the first
/// policy have a file of their own.
pub(super) fn files(pods: u32, policies: u32) -> Vec<(String, String)> {
    let namespaces = pods.div_ceil(PODS_OF_NAMESPACE);
    let mut objects: Vec<Value> = (0..namespaces).map(namespace).collect();
    objects.extend((1..pods).map(|number| pod(number, "stable")));
    objects.extend((1..policies).map(|number| policy(number, namespaces, 80)));
    let list = |items: &[Value]| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let mut files: Vec<_> = objects
        .chunks(OBJECTS_OF_FILE)
        .enumerate()
        .map(|(number, items)| (format!("objects-{number:04}.json"), list(items)))
        .collect();
    files.push((CHANGING_FILE.to_owned(), list(&[pod(0, "stable"), policy(0, namespaces, 80)])));
    files
}

/// The file of the first pod and the first policy with one of them changed.
pub(super) fn changed(pods: u32, is_policy: bool) -> String {
    let namespaces = pods.div_ceil(PODS_OF_NAMESPACE);
    let (track, port) = if is_policy { ("stable", 81) } else { ("canary", 80) };
    json!({"apiVersion": "v1", "kind": "List", "items": [pod(0, track), policy(0, namespaces, port)]})
        .to_string()
}

fn namespace(number: u32) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": format!("n{number}"), "labels": {"team": format!("t{}", number % TEAMS)},
    }})
}

/// As much of a pod as the agent reads.
fn pod(number: u32, track: &str) -> Value {
    let workload = number / PODS_OF_WORKLOAD;
    let app = workload % (PODS_OF_NAMESPACE / PODS_OF_WORKLOAD);
    let container = format!("{number:064x}");
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-{workload}-5d4f7c9b8-{number:05}"), "namespace": format!("n{}", number / PODS_OF_NAMESPACE),
            "uid": format!("00000000-0000-4000-8000-{number:012}"),
            "labels": {"app": format!("a{app}"), "track": track, "pod-template-hash": "5d4f7c9b8"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true,
                "name": format!("web-{workload}-5d4f7c9b8"), "uid": format!("00000000-0000-4000-9000-{workload:012}")}],
        },
        "spec": {"nodeName": format!("node-{}", number % 100), "serviceAccountName": "default",
            "containers": [{"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": address(number), "podIPs": [{"ip": address(number)}],
            "containerStatuses": [{"name": "web", "image": "web:1", "imageID": "web@sha256:0", "ready": true,
                "restartCount": 0, "containerID": format!("containerd://{container}")}]},
    })
}

/// Two rules each: pods of some namespaces at a port, and a block.
fn policy(number: u32, namespaces: u32, port: u16) -> Value {
    let (namespace, app) =
        (number % namespaces, number / namespaces % (PODS_OF_NAMESPACE / PODS_OF_WORKLOAD));
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": format!("n{namespace}"), "name": format!("p{number}")},
        "spec": {"podSelector": {"matchLabels": {"app": format!("a{app}")}}, "policyTypes": ["Ingress"], "ingress": [
            {"from": [{"namespaceSelector": {"matchLabels": {"team": format!("t{}", number % TEAMS)}}}],
                "ports": [{"port": port}]},
            {"from": [{"ipBlock": {"cidr": format!("10.{}.0.0/16", number % 200)}}]},
        ]},
    })
}
