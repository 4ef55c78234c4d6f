//! The agent as its manifests deploy it, for the image of this build and with its files in the cluster's own folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire_tests::nonce;

use crate::kube::{Kube, PATIENCE, told};

/// The namespace that the manifests name.
pub(crate) const NAMESPACE: &str = "watchfire";

/// Where the ledger is, as the agent sees it.
pub(crate) const LEDGER: &str = "/var/lib/watchfire/ledger";

/// A DaemonSet that is removed at the end, with all that belongs to it.
pub(crate) struct Deployment {
    pub(crate) kube: Kube,
    /// What was applied.
    manifest: String,
    /// Where the host has the agent's event log and state.
    folder: PathBuf,
}

/// The folder of all that is deployed.
pub(crate) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The manifests that a kustomization comes to.
pub(crate) fn built(kube: &Kube, kustomization: &Value) -> String {
    let folder = tempfile::tempdir_in(deploy()).unwrap();
    std::fs::write(folder.path().join("kustomization.yaml"), kustomization.to_string()).unwrap();
    kube.run(["kustomize", &folder.path().to_string_lossy()])
}

impl Deployment {
    /// The base with these components.
    pub(crate) fn base(components: &[&str]) -> Self {
        Self::of("base", components)
    }

    /// A folder of deploy/ with these components besides.
    pub(crate) fn of(folder: &str, components: &[&str]) -> Self {
        let kube = Kube::admin();
        let files = PathBuf::from(told("WATCHFIRE_CLUSTER_DIR")).join("log").join(nonce("agent"));
        let image = told("WATCHFIRE_AGENT_IMAGE");
        let (name, tag) = image.rsplit_once(':').expect("an image has a tag");
        let volume = |name: &str| {
            let path = files.join(name);
            json!({ "name": name, "hostPath": { "path": path, "type": "DirectoryOrCreate" } })
        };
        let mut volumes = vec![volume("event-log"), volume("state")];
        let overlay = kube.run(["kustomize", &deploy().join(folder).to_string_lossy()]);
        if overlay.contains("name: container-runtime") || components.contains(&"container-runtime") {
            let socket = PathBuf::from(told("WATCHFIRE_CRI_SOCKET"));
            let path = socket.parent().expect("a socket lies in a folder");
            volumes.push(json!({ "name": "container-runtime", "hostPath": { "path": path } }));
        }
        let patch = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": { "name": "watchfire", "namespace": NAMESPACE },
            "spec": { "template": { "spec": { "volumes": volumes } } },
        });
        let manifest = built(
            &kube,
            &json!({
                "resources": [format!("../{folder}")],
                "components": components.iter().map(|name| format!("../components/{name}")).collect::<Vec<_>>(),
                "images": [{ "name": "localhost/watchfire", "newName": name, "newTag": tag }],
                "patches": [{ "patch": patch.to_string() }],
            }),
        );
        kube.apply(&manifest);
        Self { kube, manifest, folder: files }
    }

    /// Waits until every node has a ready agent.
    pub(crate) fn ready(&self) {
        self.run(&["rollout", "status", "daemonset/watchfire", "--timeout=90s"]);
    }

    /// kubectl in the agents' namespace.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.kube.run(["--namespace", NAMESPACE].iter().chain(arguments))
    }

    /// The pod of this node's agent.
    pub(crate) fn pod(&self) -> Value {
        let pods = self.json(&["get", "pods"]);
        let running = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        pods["items"].as_array().unwrap().iter().find(running).expect("an agent").clone()
    }

    /// What the agent's program says, started in its pod; where it fails, with what it says about that.
    pub(crate) fn attempt(&self, arguments: &[&str]) -> Result<String, String> {
        let exec = ["--namespace", NAMESPACE, "exec", "daemonset/watchfire", "--", "/watchfire"];
        self.kube.attempt(exec.iter().chain(arguments))
    }

    /// The same, of what must not fail.
    pub(crate) fn watchfire(&self, arguments: &[&str]) -> String {
        self.attempt(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// What kubectl says in JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = ["--namespace", NAMESPACE].iter().chain(arguments).copied().collect();
        self.kube.json(&arguments)
    }

    /// The event log, on the host.
    pub(crate) fn event_log(&self) -> PathBuf {
        self.folder.join("event-log/events.jsonl")
    }

    /// Waits for a record of the event log.
    pub(crate) fn record(&self, awaited: &str, mut matches: impl FnMut(&Value) -> bool) -> Value {
        let log = self.event_log();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            if let Some(found) = records.into_iter().find(&mut matches) {
                return found;
            }
            assert!(Instant::now() < deadline, "{awaited}: did not come to {}", log.display());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.kube.delete(&self.manifest);
    }
}
