use std::collections::BTreeMap;

use serde_json::json;
use watchfire_model::{ContainerPort, Protocol};

use super::*;
use crate::{
    ControllerRef, EndpointPort, EndpointSliceObject, NodeObject, PodContainer, PodObject, ServiceObject,
    ServicePortObject, parse_yaml,
};

/// As a manifest and as an entry of a list: both give the same.
fn check(kind: ResourceKind, value: Value) -> Result<Object, String> {
    let api_version = kind.api_version(kind.versions()[0]);
    let json = value.to_string();
    let listed = object_of(kind, &api_version, &json).map_err(|error| error.to_string());
    let mut manifest = value;
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.insert("apiVersion".to_owned(), api_version.into());
        manifest.insert("kind".to_owned(), kind.name().into());
    }
    let read = object(manifest).map_err(|error| error.to_string()).map(|read| read.unwrap());
    match (&listed, &read) {
        (Ok(listed), Ok(read)) => assert_eq!((&listed.key, &listed.object), (&read.key, &read.object)),
        (listed, read) => assert_eq!(listed.as_ref().err(), read.as_ref().err()),
    }
    listed.map(|manifest| manifest.object)
}

fn pod(value: Value) -> PodObject {
    match check(ResourceKind::Pod, value) {
        Ok(Object::Pod(pod)) => pod,
        other => panic!("{other:?}"),
    }
}

fn ips(list: &[&str]) -> Vec<std::net::IpAddr> {
    list.iter().map(|ip| ip.parse().unwrap()).collect()
}

#[test]
fn a_whole_pod() {
    let read = pod(json!({
        "metadata": {
            "namespace": "shop", "name": "api-7d-x2", "uid": "u1", "resourceVersion": "77", "labels": {"app": "api"},
            "annotations": {"kubernetes.io/config.mirror": "hash", "other": "x".repeat(5000)},
            "creationTimestamp": "2026-01-01T00:00:10Z", "deletionTimestamp": "2026-01-01T00:00:20Z",
            "managedFields": [{"fieldsV1": {"f:x": {}}}],
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "a"},
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-7d", "uid": "b", "controller": true}
            ]
        },
        "spec": {
            "nodeName": "node-a", "serviceAccountName": "api", "hostNetwork": true,
            "containers": [
                {"name": "api", "image": "i", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]},
                {"name": "dns", "ports": [{"containerPort": 53, "protocol": "UDP", "hostPort": 53}]},
                {"name": "none", "ports": null}
            ],
            "initContainers": [
                {"name": "once", "ports": [{"containerPort": 1}]},
                {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "mesh", "containerPort": 15001}]}
            ]
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.5", "podIPs": [{"ip": "10.0.0.5"}, {"ip": "fd00::5"}],
            "containerStatuses": [
                {"name": "api", "containerID": "containerd://aa", "image": "r/api:1", "imageID": "r/api@sha256:1"},
                {"name": "waits", "image": "r/w", "imageID": "", "state": {"waiting": {}}}
            ],
            "initContainerStatuses": [{"name": "proxy", "containerID": "cri-o://bb", "image": "p", "imageID": "q"}],
            "ephemeralContainerStatuses": [{"name": "debug", "containerID": "cc", "image": "d", "imageID": ""}]
        }
    }));
    let port =
        |name: Option<&str>, port, protocol| ContainerPort { name: name.map(Into::into), port, protocol };
    let container = |name: &str, id: &str, image: &str, image_id: &str| PodContainer {
        name: name.to_owned(),
        id: id.to_owned(),
        image: image.to_owned(),
        image_id: image_id.to_owned(),
    };
    let expected = PodObject {
        namespace: "shop".to_owned(),
        name: "api-7d-x2".to_owned(),
        uid: "u1".to_owned(),
        mirror_uid: Some("hash".to_owned()),
        labels: BTreeMap::from([("app".to_owned(), "api".to_owned())]),
        created_unix_s: Some(1_767_225_610),
        is_deleting: true,
        is_ended: false,
        node: Some("node-a".to_owned()),
        service_account: Some("api".to_owned()),
        host_network: true,
        ports: vec![
            port(Some("http"), 8080, Protocol::Tcp),
            port(None, 53, Protocol::Udp),
            port(Some("mesh"), 15001, Protocol::Tcp),
        ],
        ips: ips(&["10.0.0.5", "fd00::5"]),
        controller: Some(ControllerRef { kind: "ReplicaSet".to_owned(), name: "api-7d".to_owned() }),
        containers: vec![
            container("proxy", "bb", "p", "q"),
            container("api", "aa", "r/api:1", "r/api@sha256:1"),
            container("debug", "cc", "d", ""),
        ],
    };
    assert_eq!(read, expected);
}

#[test]
fn pods_that_say_little() {
    let bare = pod(json!({"metadata": {"name": "a"}}));
    assert_eq!(bare, PodObject { name: "a".to_owned(), ..PodObject::default() });
    let null = pod(json!({
        "metadata": {"name": "a", "labels": null, "annotations": null, "ownerReferences": null},
        "spec": null, "status": {"podIP": "", "podIPs": null, "containerStatuses": null}
    }));
    assert_eq!(null, bare);
    for (phase, is_ended) in [("Succeeded", true), ("Failed", true), ("Running", false), ("Pending", false)] {
        let read = pod(json!({"metadata": {"name": "a"}, "status": {"phase": phase, "podIP": "fd00::1"}}));
        assert_eq!((read.is_ended, read.ips), (is_ended, ips(&["fd00::1"])));
    }
}

#[test]
fn nodes_and_namespaces() {
    let node = check(
        ResourceKind::Node,
        json!({
            "metadata": {"name": "n", "labels": {"zone": "a"}},
            "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00:1::/64"]},
            "status": {"addresses": [
                {"type": "InternalIP", "address": "192.0.2.1"}, {"type": "InternalIP", "address": "fd00::1"},
                {"type": "Hostname", "address": "n.example"}, {"type": "ExternalIP", "address": "192.0.2.1"}
            ], "images": [{"names": ["x"]}]}
        }),
    );
    let expected = NodeObject {
        name: "n".to_owned(),
        labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        ips: ips(&["192.0.2.1", "fd00::1"]),
        pod_cidrs: vec!["10.1.0.0/24".to_owned(), "fd00:1::/64".to_owned()],
    };
    assert_eq!(node, Ok(Object::Node(expected)));
    let node =
        check(ResourceKind::Node, json!({"metadata": {"name": "n"}, "spec": {"podCIDR": "10.1.0.0/24"}}));
    let Ok(Object::Node(node)) = node else { panic!("{node:?}") };
    assert_eq!(node.pod_cidrs, ["10.1.0.0/24"]);
    let space = check(ResourceKind::Namespace, json!({"metadata": {"name": "s", "labels": {"a": "b"}}}));
    let Ok(Object::Namespace(space)) = space else { panic!("{space:?}") };
    assert_eq!((space.name.as_str(), space.labels["a"].as_str()), ("s", "b"));
}

#[test]
fn services() {
    let service = check(
        ResourceKind::Service,
        json!({
            "metadata": {"namespace": "shop", "name": "api", "labels": {"l": "1"}},
            "spec": {
                "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"],
                "externalIPs": ["198.51.100.1", "10.96.0.1"], "selector": {"app": "api"},
                "ports": [
                    {"name": "web", "port": 80, "targetPort": "http", "nodePort": 30080, "protocol": "TCP"},
                    {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 0}
                ]
            },
            "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}, {"ip": "203.0.113.1"}]}}
        }),
    );
    let port = |name: &str, port, node_port, protocol| ServicePortObject {
        name: name.to_owned(),
        port,
        node_port,
        protocol,
    };
    let expected = ServiceObject {
        namespace: "shop".to_owned(),
        name: "api".to_owned(),
        ips: ips(&["10.96.0.1", "fd00::1", "198.51.100.1", "203.0.113.1"]),
        ports: vec![port("web", 80, Some(30080), Protocol::Tcp), port("dns", 53, None, Protocol::Udp)],
        labels: BTreeMap::from([("l".to_owned(), "1".to_owned())]),
        selector: BTreeMap::from([("app".to_owned(), "api".to_owned())]),
    };
    assert_eq!(service, Ok(Object::Service(expected)));
    for spec in [
        json!({"clusterIP": "None", "clusterIPs": ["None"]}),
        json!({"clusterIP": "None"}),
        json!({"type": "ExternalName", "externalName": "x.example", "clusterIP": "", "selector": null}),
    ] {
        let read = check(ResourceKind::Service, json!({"metadata": {"name": "s"}, "spec": spec}));
        let Ok(Object::Service(service)) = read else { panic!("{read:?}") };
        assert_eq!(service.ips, ips(&[]));
    }
}

#[test]
fn endpoint_slices() {
    let endpoint =
        |address: &str, conditions: Value| json!({"addresses": [address], "conditions": conditions});
    let slice = check(
        ResourceKind::EndpointSlice,
        json!({
            "metadata": {"namespace": "shop", "name": "api-1", "labels": {"kubernetes.io/service-name": "api"}},
            "addressType": "IPv6",
            "endpoints": [
                endpoint("fd00::1", json!({"ready": true, "serving": true})),
                endpoint("fd00::2", json!({"ready": false, "serving": true, "terminating": true})),
                endpoint("fd00::3", json!({"ready": false})),
                endpoint("fd00::4", json!({"ready": true, "serving": false})),
                endpoint("fd00::5", json!({})),
                endpoint("fd00::6", Value::Null)
            ],
            "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}, {"name": null, "port": null, "protocol": "SCTP"}]
        }),
    );
    let port = |name: &str, port, protocol| EndpointPort { name: name.to_owned(), port, protocol };
    let expected = EndpointSliceObject {
        namespace: "shop".to_owned(),
        name: "api-1".to_owned(),
        service: "api".to_owned(),
        addresses: ips(&["fd00::1", "fd00::2", "fd00::5", "fd00::6"]),
        ports: vec![port("web", Some(8080), Protocol::Tcp), port("", None, Protocol::Sctp)],
    };
    assert_eq!(slice, Ok(Object::EndpointSlice(expected)));
    let named = json!({"metadata": {"name": "s"}, "addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]});
    let Ok(Object::EndpointSlice(slice)) = check(ResourceKind::EndpointSlice, named) else { panic!() };
    assert_eq!((slice.addresses.len(), slice.service.as_str()), (0, ""));
}

#[test]
fn policies_are_whole_but_for_what_nobody_reads() {
    let kinds = ResourceKind::ALL.into_iter().filter(|kind| kind.is_policy());
    for kind in kinds {
        let read = check(
            kind,
            json!({
                "metadata": {"namespace": "shop", "name": "p", "uid": "u", "managedFields": [1], "labels": {"a": "b"}},
                "spec": {"podSelector": {}, "egress": [{"to": []}]}, "status": {"conditions": []}
            }),
        );
        let Ok(Object::Policy(policy)) = read else { panic!("{read:?}") };
        assert_eq!((policy.kind, policy.key.uid.as_str()), (kind, "u"));
        let expected = json!({
            "apiVersion": kind.api_version(kind.versions()[0]), "kind": kind.name(),
            "metadata": {"namespace": "shop", "name": "p", "uid": "u", "labels": {"a": "b"}},
            "spec": {"podSelector": {}, "egress": [{"to": []}]}
        });
        assert_eq!(policy.value, expected);
    }
}

#[test]
fn what_is_malformed_is_told_with_its_place() {
    let labels: BTreeMap<_, _> = (0..=MANIFEST_LABELS_MAX).map(|number| (number.to_string(), "x")).collect();
    let many = |number: usize, entry: Value| vec![entry; number];
    let name = json!({"namespace": "a", "name": "b"});
    for (kind, value, expected) in [
        (ResourceKind::Pod, json!([]), "Pod without a name: "),
        (ResourceKind::Pod, json!({}), "Pod without a name: missing field `metadata`"),
        (ResourceKind::Pod, json!({"metadata": {}}), "Pod without a name: metadata: missing field `name`"),
        (
            ResourceKind::Pod,
            json!({"metadata": 4}),
            "Pod without a name: metadata: invalid type: integer `4`",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": {"namespace": "a", "name": 4}}),
            "Pod without a name: metadata.name: invalid type: integer `4`, expected a text",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": {"namespace": "a", "name": "b", "labels": labels}}),
            "Pod a/b: metadata.labels: found more than 512 entries",
        ),
        (
            ResourceKind::Node,
            json!({"metadata": {"name": "b", "labels": {"a": "x".repeat(2000)}}}),
            "Node b: metadata.labels.a: found a text of 2000 bytes, expected at most 1024",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": {"namespace": "a", "name": "b", "creationTimestamp": "yesterday"}}),
            "Pod a/b: metadata.creationTimestamp: found `yesterday`, expected a time as of RFC 3339",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": name, "status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.400"}]}}),
            "Pod a/b: status.podIPs[1].ip: found `10.0.0.400`, expected an IP address",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": name, "status": {"podIPs": many(17, json!({"ip": "10.0.0.1"}))}}),
            "Pod a/b: status.podIPs: found more than 16 entries",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": name, "spec": {"containers": [{"ports": [{"containerPort": 70000}]}]}}),
            "Pod a/b: spec.containers[0].ports[0].containerPort: found 70000, expected a port from 1 to 65535",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": name, "spec": {"containers": [{"ports": many(1025, json!({"containerPort": 1}))}]}}),
            "Pod a/b: spec.containers[0].ports: found more than 1024 entries",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": name, "spec": {"containers": many(257, json!({}))}}),
            "Pod a/b: spec.containers: found more than 256 entries",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": name, "spec": {"containers": [{"ports": [{"containerPort": 1, "protocol": "TPC"}]}]}}),
            "Pod a/b: spec.containers[0].ports[0].protocol: unknown protocol \"TPC\"",
        ),
        (
            ResourceKind::Pod,
            json!({"metadata": name, "spec": {"hostNetwork": "yes"}}),
            "Pod a/b: spec.hostNetwork: invalid type: string \"yes\", expected a boolean",
        ),
        (
            ResourceKind::Service,
            json!({"metadata": name, "spec": {"clusterIPs": ["none"]}}),
            "Service a/b: spec.clusterIPs[0]: found `none`, expected an IP address",
        ),
        (
            ResourceKind::Service,
            json!({"metadata": name, "spec": {"ports": [{"port": 0}]}}),
            "Service a/b: spec.ports[0].port: found 0, expected a port from 1 to 65535",
        ),
        (
            ResourceKind::EndpointSlice,
            json!({"metadata": name, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1", "x"]}]}),
            "EndpointSlice a/b: endpoints[0].addresses[1]: found `x`, expected an IP address",
        ),
        (
            ResourceKind::NetworkPolicy,
            json!({"metadata": {"namespace": "a", "name": "b", "uid": 4}}),
            "NetworkPolicy a/b: metadata.uid: invalid type: integer `4`, expected a text",
        ),
        (
            ResourceKind::CiliumCidrGroup,
            json!({"metadata": {"name": "b"}, "spec": {"externalCIDRs": many(200_000, json!("10.0.0.0/24"))}}),
            "CiliumCIDRGroup b: larger than 2097152 bytes of JSON",
        ),
    ] {
        let error = if value.is_array() {
            object_of(kind, "v1", &value.to_string()).unwrap_err().to_string()
        } else {
            check(kind, value).unwrap_err()
        };
        assert!(error.starts_with(expected), "{error}, expected {expected}");
    }
    let deep =
        format!("{{\"metadata\":{{\"name\":\"b\"}},\"spec\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for kind in ResourceKind::ALL {
        // What is passed over may be as deep as it likes; what is kept may not.
        let is_passed_over = matches!(kind, ResourceKind::Namespace | ResourceKind::EndpointSlice);
        assert_eq!(object_of(kind, "v1", &deep).is_ok(), is_passed_over, "{kind}");
    }
    let error = object_of(ResourceKind::Pod, "v1", "{\"metadata\":{\"name\":\"b\"}} {}").unwrap_err();
    assert_eq!(error.to_string(), "Pod without a name: found more text behind the object");
}

#[test]
fn manifests_say_what_they_are() {
    let read = |text: &str| {
        let value = parse_yaml(std::path::Path::new("f.yaml"), text).unwrap();
        object(value).map(|read| read.map(|read| read.object)).map_err(|error| error.to_string())
    };
    let policy =
        read("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: a}\n");
    assert!(matches!(policy, Ok(Some(Object::Policy(_)))), "{policy:?}");
    for other in ["apiVersion: apps/v1\nkind: Deployment\n", "apiVersion: x.example/v1\nkind: Pod\n"] {
        assert_eq!(read(other), Ok(None));
    }
    for (text, expected) in [
        ("kind: Pod\nmetadata: {name: a}\n", "Pod a: missing field `apiVersion`"),
        ("apiVersion: v1\n", "object without a name: missing field `kind`"),
        ("[]", "object without a name: missing field `apiVersion`"),
        (
            "apiVersion: cilium.io/v3\nkind: CiliumCIDRGroup\nmetadata: {name: g}\n",
            "CiliumCIDRGroup g: apiVersion: found `cilium.io/v3`, expected cilium.io/v2 or cilium.io/v2alpha1",
        ),
    ] {
        assert_eq!(read(text), Err(expected.to_owned()));
    }
}
