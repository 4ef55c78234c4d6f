//! Workloads in namespaces of a platform, with its policies (`deploy/examples/policies`), and connections between them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::deployment::deploy;
use crate::kube::{Kube, Namespace};

/// Who calls whom at which port, what policy says of that, and by what.
pub(super) type Expected = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Each of them once.
pub(super) const EXPECTED: [Expected; 8] = [
    ("operations/client", "production/web", "8080", "allowed", "NetworkPolicy/production/production"),
    ("operations/client", "production/web", "9090", "denied", "NetworkPolicy/production/production"),
    ("stranger/client", "production/web", "8080", "denied", "NetworkPolicy/production/production"),
    ("development/client", "production/web", "8080", "denied", "NetworkPolicy/development/deny-all"),
    ("production/web", "shared-services/web", "443", "allowed", "NetworkPolicy/production/production"),
    ("production/web", "shared-services/web", "8080", "denied", "NetworkPolicy/production/production"),
    // The agent's own policy.
    ("monitoring/client", AGENT, "9464", "allowed", "NetworkPolicy/watchfire/watchfire"),
    ("stranger/client", AGENT, "9464", "denied", "NetworkPolicy/watchfire/watchfire"),
];

const AGENT: &str = "watchfire/watchfire";

/// Namespaces besides those of the policies.
const OTHERS: [&str; 2] = ["monitoring", "stranger"];
const NAMESPACES: [&str; 6] =
    ["development", "production", "operations", "shared-services", OTHERS[0], OTHERS[1]];

/// Ports at which a server's pod answers.
const PORTS: [u16; 3] = [443, 8080, 9090];

/// The workloads, gone at the end.
pub(super) struct Platform {
    kube: Kube,
    manifest: String,
}

impl Platform {
    /// Makes them and waits until all run.
    pub(super) fn new(kube: &Kube) -> Self {
        let policies = kube.run(["kustomize", &deploy().join("examples/policies").to_string_lossy()]);
        let others = OTHERS.map(|name| {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            format!("---\n{namespace}\n")
        });
        let platform = Self { kube: kube.clone(), manifest: policies + &others.concat() };
        kube.apply(&platform.manifest);
        for name in NAMESPACES {
            let namespace = platform.namespace(name);
            namespace.until("the default service account", &["get", "serviceaccount", "default"], |_| true);
            let mut script = "mkdir -p /tmp/pages; echo hello >/tmp/pages/index.html; ".to_owned();
            for port in PORTS {
                write!(script, "httpd -p {port} -h /tmp/pages; ").expect("write to a string");
            }
            script += "exec sleep 3600";
            let is_server = ["production", "shared-services"].contains(&name);
            namespace.deployment(if is_server { "web" } else { "client" }, 1, &["sh", "-c", &script]);
        }
        platform
    }

    /// Opens each of the connections once.
    pub(super) fn send(&self, agent: &str) {
        for (from, to, port, ..) in EXPECTED {
            let address = if to == AGENT { agent.to_owned() } else { self.address(to) };
            let url = format!("http://{address}:{port}/{}", if to == AGENT { "metrics" } else { "" });
            self.exec(from, &["wget", "-q", "-O", "/dev/null", &url]);
        }
    }

    /// The pod of a deployment, by `NAMESPACE/NAME`.
    pub(super) fn pod(&self, of: &str) -> Value {
        let (namespace, name) = of.split_once('/').expect("a namespace and a name");
        let pods = self.namespace(namespace).json(&["get", "pods", "-l", &format!("app={name}")]);
        pods["items"][0].clone()
    }

    /// Runs a command in a deployment's pod.
    pub(super) fn exec(&self, of: &str, command: &[&str]) -> String {
        let (namespace, name) = of.split_once('/').expect("a namespace and a name");
        let deployment = format!("deployment/{name}");
        let arguments: Vec<&str> = ["exec", &deployment, "--"].iter().chain(command).copied().collect();
        self.namespace(namespace).run(&arguments)
    }

    /// Removes a deployment with its pods, and waits until they are gone.
    pub(super) fn delete(&self, of: &str) {
        let (namespace, name) = of.split_once('/').expect("a namespace and a name");
        self.namespace(namespace).run(&["delete", "deployment", name, "--cascade=foreground", "--wait=true"]);
    }

    fn address(&self, of: &str) -> String {
        self.pod(of)["status"]["podIP"].as_str().expect("a pod has an address").to_owned()
    }

    fn namespace(&self, name: &str) -> Namespace {
        self.kube.existing(name)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.kube.delete(&self.manifest);
    }
}
