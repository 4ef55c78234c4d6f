//! Pods of a test, from a template.

use serde_json::{Value, json};

use crate::kube::{Namespace, told};

/// A pod of one container, `main`.
pub(crate) struct Pod<'a> {
    namespace: &'a Namespace,
    pub(crate) name: String,
}

impl Namespace {
    /// Makes a pod that runs a command of busybox, once.
    pub(crate) fn pod(&self, name: &str, command: &[&str]) -> Pod<'_> {
        self.pod_with(name, command, |_| {})
    }

    /// Makes a pod after a change to its manifest.
    pub(crate) fn pod_with(&self, name: &str, command: &[&str], change: impl FnOnce(&mut Value)) -> Pod<'_> {
        let mut manifest = manifest(name, command);
        change(&mut manifest);
        self.apply(&manifest.to_string());
        Pod { namespace: self, name: name.to_owned() }
    }
}

impl Namespace {
    /// Makes a deployment of so many pods, labelled `app: NAME`, and waits until all are ready.
    pub(crate) fn deployment(&self, name: &str, replicas: u32, command: &[&str]) {
        let mut template = manifest(name, command)["spec"].clone();
        template["restartPolicy"] = "Always".into();
        let labels = json!({ "app": name });
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": name },
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": template },
            },
        });
        self.apply(&deployment.to_string());
        self.until("a deployment that is available", &["get", "deployment", name], |deployment| {
            deployment["status"]["availableReplicas"] == replicas
        });
    }

    /// Makes a service before the pods that are labelled `app: NAME`; its address.
    pub(crate) fn service(&self, name: &str, port: u16, target_port: u16) -> String {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name },
            "spec": {
                "selector": { "app": name },
                "ports": [{ "port": port, "targetPort": target_port }],
            },
        });
        self.apply(&service.to_string());
        let service = self.json(&["get", "service", name]);
        service["spec"]["clusterIP"].as_str().expect("a service has an address").to_owned()
    }
}

/// The manifest of a pod of one container, `main`, labelled `app: NAME`.
pub(crate) fn manifest(name: &str, command: &[&str]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "restartPolicy": "Never",
            // Process 1 of a container hears no SIGTERM that it has not asked for.
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main",
                "image": told("WATCHFIRE_CLUSTER_IMAGE"),
                "imagePullPolicy": "Never",
                "command": command,
            }],
        },
    })
}

impl Pod<'_> {
    /// The pod as the API server has it.
    pub(crate) fn json(&self) -> Value {
        self.namespace.json(&["get", "pod", &self.name])
    }

    /// Waits until its container runs; the pod.
    pub(crate) fn ready(&self) -> Value {
        self.until("a ready pod", |pod| {
            let conditions = pod["status"]["conditions"].as_array();
            conditions
                .is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
        })
    }

    /// Waits until its container has ended well; the pod.
    pub(crate) fn ended(&self) -> Value {
        self.until("a pod that has ended", |pod| pod["status"]["phase"] == "Succeeded")
    }

    /// Waits until the pod is as awaited.
    pub(crate) fn until(&self, awaited: &str, is_so: impl FnMut(&Value) -> bool) -> Value {
        self.namespace.until(awaited, &["get", "pod", &self.name], is_so)
    }

    /// What its container has written.
    pub(crate) fn logs(&self) -> String {
        self.namespace.run(&["logs", &self.name])
    }

    /// What a command in its container writes.
    pub(crate) fn exec(&self, command: &[&str]) -> String {
        let arguments: Vec<&str> = ["exec", &self.name, "--"].iter().chain(command).copied().collect();
        self.namespace.run(&arguments)
    }

    /// Removes it at once, and waits until it is gone.
    pub(crate) fn delete(&self) {
        self.namespace.run(&["delete", "pod", &self.name, "--grace-period=0", "--force", "--wait=true"]);
    }
}

/// The uid of an object.
pub(crate) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().expect("objects have a uid")
}

/// The id of a pod's container, as its runtime knows it.
pub(crate) fn container_id(pod: &Value) -> &str {
    let id =
        pod["status"]["containerStatuses"][0]["containerID"].as_str().expect("a container that was started");
    id.strip_prefix("containerd://").expect("containerd is the runtime")
}
