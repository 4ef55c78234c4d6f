//! The node itself: that what the other tests rely on is real.

use serde_json::json;
use watchfire_tests::nonce;

use crate::control::{self, Stopped};
use crate::kube::Kube;
use crate::pod;

pub(crate) fn pods_and_services() {
    let namespace = Kube::admin().namespace("services");
    let serve = "mkdir /tmp/pages && hostname >/tmp/pages/index.html && echo serving && \
        exec httpd -f -p 8080 -h /tmp/pages";
    namespace.deployment("server", 2, &["sh", "-c", serve]);
    let address = namespace.service("server", 80, 8080);
    let client = namespace.pod("client", &["sleep", "3600"]);
    client.ready();
    let page = client.exec(&["sh", "-c", &format!("until wget -q -O - http://{address}/; do :; done")]);
    assert!(page.starts_with("server-"), "{page}");
    let replica = namespace.run(&["logs", &format!("pod/{}", page.trim())]);
    assert_eq!(replica, "serving\n");
}

pub(crate) fn service_accounts() {
    let namespace = Kube::admin().namespace("accounts");
    namespace.run(&["create", "serviceaccount", "reader"]);
    namespace.run(&["create", "role", "reader", "--verb=list", "--resource=pods"]);
    let account = format!("--serviceaccount={}:reader", namespace.name);
    namespace.run(&["create", "rolebinding", "reader", "--role=reader", &account]);
    let reader = namespace.account("reader");
    reader.run(["get", "pods", "--namespace", &namespace.name]);
    for refused in
        [&["get", "secrets", "--namespace", &namespace.name][..], &["get", "pods", "--all-namespaces"]]
    {
        let error = reader.attempt(refused).unwrap_err();
        assert!(error.contains("Forbidden"), "{refused:?}: {error}");
    }
}

pub(crate) fn custom_resources() {
    let kube = Kube::admin();
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "fires.test.watchfire.invalid" },
        "spec": {
            "group": "test.watchfire.invalid", "scope": "Cluster",
            "names": { "kind": "Fire", "plural": "fires", "singular": "fire" },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
    .to_string();
    kube.apply(&definition);
    kube.run(["wait", "--for=condition=Established", "crd/fires.test.watchfire.invalid", "--timeout=90s"]);
    kube.until("the new kind", &["get", "fires"], |_| true);
    kube.apply(
        &json!({ "apiVersion": "test.watchfire.invalid/v1", "kind": "Fire", "metadata": { "name": "camp" } })
            .to_string(),
    );
    assert_eq!(kube.json(&["get", "fire", "camp"])["kind"], "Fire");
    kube.delete(&definition);
}

pub(crate) fn api_server_restart() {
    let kube = Kube::admin();
    let namespace = kube.namespace("restart");
    let pod = namespace.pod("lasting", &["sleep", "3600"]);
    let before = pod.ready();
    let stopped = Stopped::new("apiserver");
    kube.attempt(["get", "--raw", "/readyz"]).unwrap_err();
    drop(stopped);
    let after = pod.json();
    assert_eq!(pod::uid(&after), pod::uid(&before));
    assert_eq!(pod::container_id(&after), pod::container_id(&before), "its container went on");
}

pub(crate) fn compaction() {
    let kube = Kube::admin();
    let (one, other) = (nonce("one"), nonce("other"));
    kube.run(["create", "configmap", &one]);
    let version = kube.json(&["get", "configmap", &one])["metadata"]["resourceVersion"].clone();
    kube.run(["create", "configmap", &other]);
    control::compact();
    // What the API server still has in memory goes with it.
    control::restart("apiserver");
    let version = version.as_str().unwrap();
    let watch = "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=5&resourceVersion=";
    let answer = kube.attempt(["get", "--raw", &format!("{watch}{version}")]);
    let text = answer.unwrap_or_else(|error| error);
    assert!(text.contains("too old resource version"), "{text}");
    kube.run(["delete", "configmap", &one, &other]);
}
