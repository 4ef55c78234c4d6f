//! Manifests of pods, as `kubectl get -o yaml` prints them: the fields that the agent reads among others.

use std::fs;

use watchfire_tests::Agent;

/// Puts a file into the agent's folder of manifests, as a whole: one that was half written would be read as it is.
pub(crate) fn put(agent: &Agent, file: &str, text: &str) {
    let folder = agent.folder().join("manifests");
    let new = folder.join(".new");
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.join(file)).unwrap();
}

/// Removes a file from it.
pub(crate) fn remove(agent: &Agent, file: &str) {
    fs::remove_file(agent.folder().join("manifests").join(file)).unwrap();
}

/// A pod of the namespace `shop`.
#[derive(Clone, Copy)]
pub(crate) struct Pod {
    pub(crate) name: &'static str,
    pub(crate) uid: &'static str,
    /// Empty for a pod that has none.
    pub(crate) ip: &'static str,
    pub(crate) created: &'static str,
}

impl Pod {
    /// One with the label `app` of its name, made long ago.
    pub(crate) const fn new(name: &'static str, ip: &'static str) -> Self {
        Self { name, uid: "", ip, created: "2026-01-02T03:04:05Z" }
    }

    /// Its uid; one that goes with its name where it was given none.
    pub(crate) fn uid(&self) -> String {
        if !self.uid.is_empty() {
            return self.uid.to_owned();
        }
        let digits: String = self.name.bytes().cycle().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("00000000-0000-4000-8000-{digits}")
    }

    /// Its manifest.
    pub(crate) fn manifest(&self) -> String {
        let (Self { name, ip, created, .. }, uid) = (self, self.uid());
        let status = if ip.is_empty() {
            "  phase: Pending\n".to_owned()
        } else {
            format!("  phase: Running\n  podIP: {ip}\n  podIPs:\n  - ip: {ip}\n")
        };
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  creationTimestamp: \"{created}\"\n  labels:\n    app: {name}\n  \
             name: {name}\n  namespace: shop\n  resourceVersion: \"4711\"\n  uid: {uid}\nspec:\n  containers:\n  - image: \
             localhost/{name}:1\n    name: {name}\n    ports:\n    - containerPort: 8080\n      name: http\n      \
             protocol: TCP\n    terminationMessagePath: /dev/termination-log\n  dnsPolicy: ClusterFirst\n  nodeName: \
             node-a\n  restartPolicy: Always\n  serviceAccountName: default\nstatus:\n  hostIP: 10.96.0.254\n{status}"
        )
    }
}

/// A list of them.
pub(crate) fn list(manifests: &[String]) -> String {
    let item = |manifest: &String| {
        let lines = manifest.lines().enumerate();
        lines.map(|(at, line)| format!("{}{line}\n", if at == 0 { "- " } else { "  " })).collect::<String>()
    };
    let items: String = manifests.iter().map(item).collect();
    format!("apiVersion: v1\nitems:\n{items}kind: List\nmetadata:\n  resourceVersion: \"\"\n")
}
