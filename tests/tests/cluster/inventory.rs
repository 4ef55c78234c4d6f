//! Who is who: what the agent knows of pods, containers and workloads by the API and the container runtime.

use serde_json::{Value, json};
use watchfire_tests::{Agent, bare, has_argument, metric, nonce, only, ready};

use crate::kube::{Kube, told};
use crate::pod;

/// Containers whose first process is looked at; `WATCHFIRE_CONTAINERS` sets another number.
const CONTAINERS: usize = 50;
/// Pods that come and go; `WATCHFIRE_SHORT_PODS` sets another number.
const SHORT_PODS: usize = 24;
/// Init containers of one pod: they run one after another.
const CONTAINERS_OF_POD: usize = 25;

/// An agent that is told who is who by this client, and by the container runtime.
pub(crate) fn agent_of(kube: &Kube) -> Agent {
    agent_with(kube, &[])
}

/// The same, with more arguments.
pub(crate) fn agent_with(kube: &Kube, more: &[&str]) -> Agent {
    let agent = agent_unsynced(kube, more);
    synced(&agent, "Pod");
    agent
}

/// The same, of a client that may not be told anything.
pub(crate) fn agent_unsynced(kube: &Kube, more: &[&str]) -> Agent {
    let config = json!({ "sensor": { "families": only(&[]) } });
    let kubeconfig = kube.kubeconfig.display().to_string();
    let socket = told("WATCHFIRE_CRI_SOCKET");
    let arguments = [
        ["--config", "base.yaml", "--node-name", "watchfire-node"],
        ["--kubernetes", &kubeconfig, "--container-runtime", &socket],
    ];
    let arguments: Vec<&str> = arguments.iter().flatten().chain(more).copied().collect();
    ready(bare(&arguments).with_file("base.yaml", &config.to_string()).start())
}

/// Waits until the agent knows all objects of a kind.
pub(crate) fn synced(agent: &Agent, kind: &str) {
    state(agent, kind, "synced");
}

/// Waits until a kind is in a state.
pub(crate) fn state(agent: &Agent, kind: &str, state: &str) {
    let series = format!(
        "watchfire_inventory_source_state{{source=\"kubernetes-api\",kind=\"{kind}\",state=\"{state}\"}} 1"
    );
    crate::kube::until(&format!("{kind} is {state}"), || {
        watchfire_tests::http_get(agent, "/metrics").1.lines().any(|line| line == series)
    });
}

pub(crate) fn first_exec_of_every_container() {
    let count = std::env::var("WATCHFIRE_CONTAINERS").map_or(CONTAINERS, |text| text.parse().unwrap());
    let agent = agent_of(&Kube::admin());
    let namespace = Kube::admin().namespace("first");
    let image = told("WATCHFIRE_CLUSTER_IMAGE");
    let pods: Vec<String> =
        (0..count.div_ceil(CONTAINERS_OF_POD)).map(|pod| format!("first-{pod}")).collect();
    let mut ended = Vec::new();
    // Four pods at a time: as many as a busy node starts.
    for some in pods.chunks(4) {
        let started: Vec<_> = some
            .iter()
            .map(|name| {
                namespace.pod_with(name, &["true"], |manifest| {
                    let init = |index: usize| {
                        json!({
                            "name": format!("c{index}"), "image": image, "imagePullPolicy": "Never",
                            "command": ["true", format!("c{index}")],
                        })
                    };
                    manifest["spec"]["initContainers"] = (0..CONTAINERS_OF_POD - 1).map(init).collect();
                })
            })
            .collect();
        ended.extend(started.iter().map(pod::Pod::ended));
        started.iter().for_each(pod::Pod::delete);
    }
    // Pod, container and id of each container that was started.
    let mut expected = Vec::new();
    for pod in &ended {
        for statuses in ["initContainerStatuses", "containerStatuses"] {
            for status in pod["status"][statuses].as_array().into_iter().flatten() {
                let id =
                    status["containerID"].as_str().unwrap().trim_start_matches("containerd://").to_owned();
                let name = |value: &Value| value.as_str().unwrap().to_owned();
                expected.push((name(&pod["metadata"]["name"]), name(&status["name"]), id));
            }
        }
    }
    assert_eq!(expected.len(), pods.len() * CONTAINERS_OF_POD);
    let (_, _, last) = expected.last().unwrap();
    _ = agent.record("the end of the last container", |record| {
        record["type"] == "process"
            && record["action"] == "exit"
            && record["process"]["container"]["id"] == last.as_str()
    });
    let records = agent.records();
    let mut wrong = Vec::new();
    for (pod, name, id) in &expected {
        let first = records
            .iter()
            .filter(|record| {
                record["type"] == "process"
                    && record["action"] == "exec"
                    && record["process"]["container"]["id"] == id.as_str()
            })
            .min_by_key(|record| record["boot_ns"].as_u64());
        let is_right = first.is_some_and(|record| {
            record["process"]["pod"]["name"] == pod.as_str()
                && record["process"]["pod"]["namespace"] == namespace.name.as_str()
                && record["process"]["container"]["name"] == name.as_str()
                && record["process"]["container"]["image"] == image.as_str()
        });
        if !is_right {
            wrong.push(format!("{pod}/{name} {id}: {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
    println!(
        "the first exec of {} containers of {} had its pod and container",
        expected.len(),
        expected.len()
    );
}

pub(crate) fn workloads() {
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    let namespace = kube.namespace("workloads");
    namespace.run(&["create", "serviceaccount", "worker"]);
    let nonce = nonce("workload");
    let mut template = pod::manifest("x", &["sh", "-c", "sleep 3600", &nonce])["spec"].clone();
    template["serviceAccountName"] = "worker".into();
    let labels = json!({ "app": "worker" });
    let metadata = |name: &str| json!({ "name": name });
    let template = |policy: &str| {
        let mut spec = template.clone();
        spec["restartPolicy"] = policy.into();
        json!({ "metadata": { "labels": labels }, "spec": spec })
    };
    let selector = json!({ "matchLabels": labels });
    let always = template("Always");
    for object in [
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("deployed"),
                "spec": { "selector": selector, "template": always } }),
        json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata("stateful"),
                "spec": { "selector": selector, "serviceName": "stateful", "template": always } }),
        json!({ "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata("daemon"),
                "spec": { "selector": selector, "template": always } }),
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata("job"),
                "spec": { "template": template("Never") } }),
        json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata("cron"),
                "spec": { "schedule": "0 0 1 1 *", "jobTemplate": { "spec": { "template": template("Never") } } } }),
    ] {
        namespace.apply(&object.to_string());
    }
    // A job of the CronJob, named as its controller names them.
    namespace.run(&["create", "job", "cron-29403360", "--from=cronjob/cron"]);
    for (kind, name) in [
        ("Deployment", "deployed"),
        ("StatefulSet", "stateful"),
        ("DaemonSet", "daemon"),
        ("Job", "job"),
        ("CronJob", "cron"),
    ] {
        let record = agent.record(&format!("a process of {kind} {name}"), |record| {
            record["type"] == "process"
                && record["action"] == "exec"
                && has_argument(record, &nonce)
                && record["process"]["pod"]["workload"] == json!({ "kind": kind, "name": name })
        });
        assert_eq!(record["process"]["pod"]["service_account"], "worker");
    }
}

pub(crate) fn every_container_of_a_pod() {
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    let namespace = kube.namespace("containers");
    let nonce = nonce("many");
    let image = told("WATCHFIRE_CLUSTER_IMAGE");
    let container = |name: &str, script: &str| json!({ "name": name, "image": image, "imagePullPolicy": "Never", "command": ["sh", "-c", script, nonce] });
    let sidecar = {
        let mut sidecar = container("sidecar", "while :; do sleep 3600; done");
        sidecar["restartPolicy"] = "Always".into();
        sidecar
    };
    let pod = namespace.pod_with("many", &["true"], |manifest| {
        manifest["spec"]["hostNetwork"] = true.into();
        manifest["spec"]["restartPolicy"] = "OnFailure".into();
        manifest["spec"]["initContainers"] = json!([container("init", "exit 0"), sidecar]);
        // The second start of `again` is another container with the same name.
        manifest["spec"]["volumes"] = json!([{ "name": "state", "emptyDir": {} }]);
        let mut again =
            container("again", "test -e /state/done && exec sleep 3600; touch /state/done; exit 1");
        again["volumeMounts"] = json!([{ "name": "state", "mountPath": "/state" }]);
        manifest["spec"]["containers"] = json!([container("main", "sleep 3600"), again]);
    });
    let started = pod.until("a container that was started again", |pod| {
        let statuses = pod["status"]["containerStatuses"].as_array();
        statuses.is_some_and(|all| {
            all.iter().any(|one| one["restartCount"] == 1 && one["state"]["running"].is_object())
        })
    });
    let execs = |name: &str| {
        let is_wanted = |record: &&Value| {
            record["action"] == "exec"
                && has_argument(record, &nonce)
                && record["process"]["container"]["name"] == name
        };
        agent.records().iter().filter(is_wanted).cloned().collect::<Vec<_>>()
    };
    crate::kube::until("both starts of `again`", || execs("again").len() == 2);
    for (name, starts) in [("init", 1), ("sidecar", 1), ("main", 1), ("again", 2)] {
        let found = execs(name);
        assert_eq!(found.len(), starts, "{name}");
        for record in found {
            assert_eq!(record["process"]["pod"]["name"], "many");
            assert_eq!(record["process"]["pod"]["uid"], started["metadata"]["uid"]);
        }
    }
}

pub(crate) fn short_lived_pods() {
    const PODS_A_ROUND: usize = 8;
    let count = std::env::var("WATCHFIRE_SHORT_PODS").map_or(SHORT_PODS, |text| text.parse().unwrap());
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    let namespace = kube.namespace("short");
    let mut resident_kib = Vec::new();
    for round in 0..count.div_ceil(PODS_A_ROUND) {
        let pods: Vec<_> =
            (0..PODS_A_ROUND).map(|pod| namespace.pod(&format!("p{round}-{pod}"), &["true"])).collect();
        pods.iter().for_each(|pod| _ = pod.ended());
        namespace.run(&["delete", "pods", "--all", "--grace-period=0", "--force", "--wait=true"]);
        resident_kib.push(crate::source::resident_kib(agent.pid()));
    }
    crate::kube::until("as many pods as there are", || {
        let pods = kube.json(&["get", "pods", "--all-namespaces"])["items"].as_array().map_or(0, Vec::len);
        metric(&agent, "watchfire_inventory_pods") == pods as u64
    });
    for series in ["watchfire_inventory_objects_refused_total", "watchfire_process_exits_missed_total"] {
        assert_eq!(metric(&agent, series), 0, "{series}");
    }
    crate::kube::until("nothing waits", || metric(&agent, "watchfire_observations_waiting") == 0);
    let (half, last) = (resident_kib[resident_kib.len() / 2], resident_kib[resident_kib.len() - 1]);
    println!(
        "{count} pods, one after the other: {half} KiB resident after half of them, {last} KiB at the end"
    );
    // What is gone is kept for minutes, and bounded; a leak would go on.
    assert!(last < half + 16 * 1024, "{resident_kib:?}");
}
