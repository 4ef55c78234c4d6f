//! Containers without Kubernetes: what the runtime alone tells of them.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use watchfire_tests::{
    Agent, cgroup2_root, command, has_argument, metric, nonce, ready, until, who, who_until,
};

use crate::control::{Stopped, cluster};
use crate::cri::{Container, Cri, Mount, PodMetadata, Sandbox};
use crate::kube::{has_kubernetes, told};

/// How many containers are started one after the other, unless the environment says so.
const CONTAINERS: usize = 100;
const CONTAINERS_VARIABLE: &str = "WATCHFIRE_CONTAINERS";
/// How many share a pod.
const CONTAINERS_OF_POD: usize = 4;
/// Where the cluster's containers have their cgroups.
const CGROUP: &str = "/watchfire-cluster/containers";

fn agent() -> Agent {
    ready(command(&["--container-runtime", &told("WATCHFIRE_CRI_SOCKET")]).start())
}

/// Keeps kubelet away, which removes pods that nobody has told it of. To be held longer than any pod.
fn alone() -> Option<Stopped> {
    has_kubernetes().then(|| Stopped::new("kubelet"))
}

fn image() -> String {
    told("WATCHFIRE_CLUSTER_IMAGE")
}

/// A sandbox with its containers, gone at the end.
struct Pod<'a> {
    cri: &'a Cri,
    config: Sandbox,
    id: String,
    name: String,
    uid: String,
    cgroup: String,
}

impl<'a> Pod<'a> {
    /// Its cgroup has the name that kubelet would give it.
    fn new(cri: &'a Cri) -> Self {
        Self::at(cri, |uid| format!("{CGROUP}/pod{uid}"))
    }

    fn at(cri: &'a Cri, cgroup: impl FnOnce(&str) -> String) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let uid = format!("{:08x}-0000-4000-8000-{count:012x}", std::process::id());
        let name = nonce("pod");
        let cgroup = cgroup(&uid);
        let metadata = PodMetadata { name: name.clone(), uid: uid.clone(), namespace: "by-cri".to_owned() };
        let config = Sandbox::new(metadata, &cgroup);
        let id = cri.run_sandbox(&config);
        Self { cri, config, id, name, uid, cgroup }
    }

    /// Starts a container; its id.
    fn run(&self, container: Container) -> String {
        self.cri.run_container(&self.id, &self.config, container)
    }

    /// Checks what a record or an answer says of a process in one of its containers.
    fn assert_has(&self, process: &Value, id: &str, name: &str) {
        let pod = &process["pod"];
        assert_eq!((&pod["name"], &pod["namespace"]), (&json!(self.name), &json!("by-cri")), "{process}");
        assert_eq!(pod["uid"], json!(self.uid), "{process}");
        let container = &process["container"];
        assert_eq!((&container["id"], &container["name"]), (&json!(id), &json!(name)), "{process}");
        assert_eq!(container["image"], json!(image()), "{process}");
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        // After a failure the connection may be gone; what is left goes with the cluster.
        let _ = self.cri.remove_sandbox(&self.id);
        // Kubelet's business otherwise, in every hierarchy that there is.
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            for folder in [&self.cgroup, CGROUP] {
                let _ = std::fs::remove_dir(Path::new(&format!("{}{folder}", hierarchy.path().display())));
            }
        }
        for folder in [&self.cgroup, CGROUP] {
            let _ = std::fs::remove_dir(format!("{}{folder}", cgroup2_root().unwrap_or_default().display()));
        }
    }
}

/// The first of a record, of a process with that argument, that is of the image: runc's own have the arguments too.
fn process(agent: &Agent, action: &str, argument: &str) -> Value {
    agent.record_with(argument, |record| {
        record["action"] == action
            && has_argument(record, argument)
            && record["process"]["binary"] == "/bin/busybox"
    })
}

pub(crate) fn first_exec_of_each() {
    let number = std::env::var(CONTAINERS_VARIABLE).map_or(CONTAINERS, |text| text.parse().unwrap());
    let agent = agent();
    let _alone = alone();
    let cri = Cri::connect();
    let (mut late, mut longest) = (0, 0);
    let mut started = 0;
    while started < number {
        let pod = Pod::new(&cri);
        for of_pod in 0..CONTAINERS_OF_POD.min(number - started) {
            let (nonce, name) = (nonce("first"), format!("app-{of_pod}"));
            let id = pod.run(Container::new(&name, &image(), &["sh", "-c", "exit 0", &nonce]));
            let exec = process(&agent, "exec", &nonce);
            pod.assert_has(&exec["process"], &id, &name);
            assert_ne!(exec["enrichment"], "failed", "{exec}");
            if exec["enrichment"] == "late" {
                late += 1;
                longest = longest.max(exec["enrichment_ms"].as_u64().unwrap());
            }
            started += 1;
        }
    }
    // What became known later is no fault, and worth a look.
    println!("{started} containers, {late} of which were waited for, the longest {longest} ms");
}

pub(crate) fn of_a_cgroup_without_a_pod() {
    let agent = agent();
    let _alone = alone();
    let cri = Cri::connect();
    // As clients other than kubelet leave it: nothing in the path tells of the pod.
    let pod = Pod::at(&cri, |uid| format!("{CGROUP}/{}", uid.replace('-', "")));
    let nonce = nonce("elsewhere");
    let id = pod.run(Container::new("app", &image(), &["sh", "-c", "exit 0", &nonce]));
    pod.assert_has(&process(&agent, "exec", &nonce)["process"], &id, "app");
    let known = who(&agent, &format!("by-cri/{}", pod.name));
    assert_eq!((known.len(), known[0]["containers"].as_array().map(Vec::len)), (1, Some(2)), "{known:?}");
}

pub(crate) fn privileges_and_mounts() {
    let agent = agent();
    let _alone = alone();
    let cri = Cri::connect();
    let pod = Pod::new(&cri);
    let folder = tempfile::tempdir().unwrap();
    let host_path = folder.path().to_string_lossy().into_owned();
    for (name, privileged, readonly, mode) in [("plain", false, true, "ro"), ("mighty", true, false, "rw")] {
        let mounts =
            vec![Mount { container_path: "/data".to_owned(), host_path: host_path.clone(), readonly }];
        let mut container = Container::new(name, &image(), &["sleep", "3600"]).with_privileges(privileged);
        container.mounts = mounts;
        let id = pod.run(container);
        let known = who_until(&agent, &id, |known| known["from"] == "container-runtime");
        assert_eq!(known["container"]["privileged"], privileged, "{known}");
        assert_eq!(known["mounts"], json!([format!("{host_path} at /data ({mode})")]), "{known}");
        assert_eq!(known["runtime"], "containerd", "{known}");
        pod.assert_has(&known, &id, name);
        let processes = known["processes"].as_array().unwrap();
        assert_eq!(processes.len(), 1, "{known}");
        pod.assert_has(&who(&agent, &processes[0].to_string())[0]["process"], &id, name);
    }
    let sandbox = who_until(&agent, &pod.id, |known| known["from"] == "container-runtime");
    assert_eq!(sandbox["container"]["sandbox"], true, "{sandbox}");
    let known = who(&agent, &format!("by-cri/{}", pod.name));
    assert_eq!((known.len(), known[0]["containers"].as_array().map(Vec::len)), (1, Some(3)), "{known:?}");
}

pub(crate) fn older_than_the_agent() {
    let _alone = alone();
    let cri = Cri::connect();
    let pod = Pod::new(&cri);
    let nonce = nonce("older");
    let script = "while :; do /bin/busybox true \"$0\"; sleep 1; done";
    let id = pod.run(Container::new("app", &image(), &["sh", "-c", script, &nonce]));
    let agent = agent();
    pod.assert_has(&process(&agent, "found", &nonce)["process"], &id, "app");
    pod.assert_has(&process(&agent, "exec", &nonce)["process"], &id, "app");
}

/// Nanoseconds since boot, as records have them.
fn boot_ns() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e9
}

pub(crate) fn runtime_restarts() {
    let agent = agent();
    let (older, younger) = (nonce("older"), nonce("younger"));
    let script = "while :; do /bin/busybox true \"$0\"; sleep 1; done";
    let state = |state: &str| {
        let labels = "source=\"container-runtime\",kind=\"container\"";
        let series = format!("watchfire_inventory_source_state{{{labels},state=\"{state}\"}}");
        let body = watchfire_tests::http_get(&agent, "/metrics").1;
        body.contains(&format!("{series} 1")).then_some(())
    };
    let _alone = alone();
    let cri = Cri::connect();
    let pod = Pod::new(&cri);
    let id = pod.run(Container::new("app", &image(), &["sh", "-c", script, &older]));
    pod.assert_has(&process(&agent, "exec", &older)["process"], &id, "app");
    until("a list of containers", || state("synced"));
    let said = {
        let _stopped = Stopped::new("containerd");
        until("that it is away", || state("unreachable"));
        let since = boot_ns();
        // Containers go on, and are still known.
        let exec = agent.record("an exec while it is away", |record| {
            record["action"] == "exec"
                && has_argument(record, &older)
                && record["boot_ns"].as_f64().is_some_and(|at| at > since)
        });
        pod.assert_has(&exec["process"], &id, "app");
        assert_eq!(exec["enrichment"], Value::Null, "{exec}");
        agent.logged("WARN watchfire_cri")
    };
    assert!(said.contains("container runtime"), "{said}");
    until("that it is back", || state("synced"));
    // The connection of before has ended.
    let again = Cri::connect();
    let next = Pod::new(&again);
    let next_id = next.run(Container::new("app", &image(), &["sh", "-c", "exit 0", &younger]));
    next.assert_has(&process(&agent, "exec", &younger)["process"], &next_id, "app");
    pod.assert_has(&who(&agent, &id)[0], &id, "app");
    assert!(again.remove_sandbox(&pod.id).is_ok());
    let failed = "watchfire_enrichment_total{outcome=\"failed\",missing=\"container\"}";
    assert_eq!(metric(&agent, failed), 0);
}

pub(crate) fn of_ctr() {
    let agent = agent();
    let nonce = nonce("ctr");
    let id: String = nonce.bytes().map(|byte| format!("{byte:02x}")).collect::<String>() + &"0".repeat(64);
    let id = &id[..64];
    let cgroup = format!("/watchfire-cluster/{id}");
    cluster(&["ctr", "run", "--rm", "--cgroup", &cgroup, &image(), id, "sh", "-c", "exit 0", &nonce]);
    let exec = process(&agent, "exec", &nonce);
    // The runtime's interface for Kubernetes does not know it, which is an answer.
    assert_eq!(exec["process"]["container"], json!({"id": id}), "{exec}");
    assert_eq!(exec["process"]["pod"], Value::Null, "{exec}");
    assert_ne!(exec["enrichment"], "failed", "{exec}");
    assert_eq!(who(&agent, id)[0]["container"]["id"], *id);
}
