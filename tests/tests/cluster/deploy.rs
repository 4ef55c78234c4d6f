//! The agent as it is deployed: a DaemonSet with the rights that its manifests give it, and no more.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire_tests::{has_argument, nonce};

use crate::kube::{Kube, PATIENCE, told, until};
use crate::pod;

/// Where a node has the agent's event log, unless told otherwise.
const EVENT_LOG: &str = "path: /var/log/watchfire";

/// The manifests of deploy/base, for the image of this build and an event log inside the cluster's folder.
struct Deployment {
    kube: Kube,
    manifest: String,
    log: String,
}

impl Deployment {
    /// The base with these components.
    fn new(components: &[&str]) -> Self {
        let kube = Kube::admin();
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let overlay = tempfile::tempdir_in(&deploy).unwrap();
        let components: Vec<String> = components.iter().map(|name| format!("../components/{name}")).collect();
        let kustomization = json!({ "resources": ["../base"], "components": components });
        std::fs::write(overlay.path().join("kustomization.yaml"), kustomization.to_string()).unwrap();
        let built = kube.run(["kustomize", &overlay.path().to_string_lossy()]);
        let folder = format!("{}/log/{}", told("WATCHFIRE_CLUSTER_DIR"), nonce("agent"));
        let image = |line: &str| line.trim_start().starts_with("image: localhost/watchfire:");
        assert!(built.lines().any(image) && built.contains(EVENT_LOG), "{built}");
        let manifest: String = built
            .lines()
            .map(|line| match line.split_once("image: ") {
                Some((indent, _)) if image(line) => {
                    format!("{indent}image: {}\n", told("WATCHFIRE_AGENT_IMAGE"))
                }
                _ => format!("{}\n", line.replace(EVENT_LOG, &format!("path: {folder}"))),
            })
            .collect();
        kube.apply(&manifest);
        Self { kube, manifest, log: format!("{folder}/events.jsonl") }
    }

    /// Waits for a record of the event log.
    fn record(&self, awaited: &str, mut matches: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            if let Some(found) = records.into_iter().find(&mut matches) {
                return found;
            }
            assert!(Instant::now() < deadline, "{awaited}: did not come to {}", self.log);
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.kube.delete(&self.manifest);
    }
}

pub(crate) fn daemon_set() {
    let deployment = Deployment::new(&[]);
    let kube = &deployment.kube;
    kube.run(["-n", "watchfire", "rollout", "status", "daemonset/watchfire", "--timeout=90s"]);
    let agents = kube.json(&["-n", "watchfire", "get", "pods"]);
    assert_eq!(agents["items"][0]["status"]["qosClass"], "Burstable");
    let nonce = nonce("deployed");
    let namespace = kube.namespace("deployed");
    let pod = namespace.pod("short", &["sh", "-c", "exit 0", &nonce]).ended();
    let exec = deployment
        .record("the exec in the pod", |record| record["action"] == "exec" && has_argument(record, &nonce));
    let of_pod = format!("{}/short", namespace.name);
    let expected = format!("/pod{}/{}", pod::uid(&pod), pod::container_id(&pod));
    assert!(exec["process"]["cgroup"].as_str().unwrap().ends_with(&expected), "{exec}");
    // By the API: the base has no part in the container runtime.
    assert_eq!(exec["process"]["pod"]["name"], "short", "{exec}");
    assert_eq!(exec["process"]["pod"]["namespace"], namespace.name.as_str());
    // Kubelet's probes, and whoever collects metrics, come over the pod's network.
    let address = agents["items"][0]["status"]["podIP"].as_str().unwrap();
    let client =
        namespace.pod("client", &["wget", "-q", "-O", "-", &format!("http://{address}:9464/metrics")]);
    client.ended();
    assert!(client.logs().contains("watchfire_records_received_total"));
    let who = ["-n", "watchfire", "exec", "daemonset/watchfire", "--", "/watchfire", "who", &of_pod];
    let said = kube.run(who);
    assert!(said.starts_with(&format!("pod {of_pod}")) && said.contains("kubernetes-api"), "{said}");
    // What else this kernel refuses it, it says; what the manifests grant is all that it asks for.
    let doctor = ["-n", "watchfire", "exec", "daemonset/watchfire", "--", "/watchfire", "doctor"];
    let said = kube.attempt(doctor).unwrap_or_else(|said| said);
    assert!(said.contains("ok       capabilities  all that are used"), "{said}");
}

pub(crate) fn told_by_the_kubelet() {
    let deployment = Deployment::new(&["kubelet"]);
    let kube = &deployment.kube;
    // As where the API is out of the agent's reach. This kubelet signs its own certificate.
    let node = kube.json(&["get", "nodes"])["items"][0]["status"]["addresses"][0]["address"].clone();
    kube.run([
        "-n",
        "watchfire",
        "set",
        "env",
        "daemonset/watchfire",
        "WATCHFIRE_KUBERNETES=none",
        "WATCHFIRE_KUBELET_INSECURE_TLS=true",
        &format!("WATCHFIRE_KUBELET=https://{}:10250", node.as_str().unwrap()),
    ]);
    kube.run(["-n", "watchfire", "rollout", "status", "daemonset/watchfire", "--timeout=90s"]);
    let namespace = kube.namespace("kubelet");
    let pod = namespace.pod("long", &["sleep", "3600"]);
    pod.ready();
    let of_pod = format!("{}/long", namespace.name);
    let who = ["-n", "watchfire", "exec", "daemonset/watchfire", "--", "/watchfire", "who", &of_pod];
    let mut said = String::new();
    until("the pod, by the kubelet", || {
        said = kube.attempt(who).unwrap_or_default();
        said.contains("known from    kubelet")
    });
    // What happens in it from now on has its name.
    let nonce = nonce("kubelet");
    pod.exec(&["sh", "-c", "exit 0", &nonce]);
    let exec = deployment.record("the exec in the pod", |record| {
        record["action"] == "exec"
            && has_argument(record, &nonce)
            && record["process"]["binary"] == "/bin/busybox"
    });
    assert_eq!(exec["process"]["pod"]["name"], "long", "{exec}");
}
