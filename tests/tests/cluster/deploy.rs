//! The agent as it is deployed: a DaemonSet with the rights that its manifests give it, and no more.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use watchfire_tests::{has_argument, nonce};

use crate::kube::{Kube, PATIENCE, told};
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
    fn new() -> Self {
        let kube = Kube::admin();
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/base");
        let built = kube.run(["kustomize", &base.to_string_lossy()]);
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
    let deployment = Deployment::new();
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
