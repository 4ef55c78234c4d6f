//! Processes in containers, as an agent on the host sees them.

use serde_json::Value;
use watchfire_tests::{agent, has_argument, nonce};

use crate::control::cluster;
use crate::kube::{Kube, told};
use crate::pod;

fn is_exec(record: &Value, argument: &str) -> bool {
    record["type"] == "process" && record["action"] == "exec" && has_argument(record, argument)
}

fn cgroup(record: &Value) -> &str {
    record["process"]["cgroup"].as_str().expect("a path")
}

pub(crate) fn of_a_pod() {
    let agent = agent();
    let nonce = nonce("pod");
    let namespace = Kube::admin().namespace("process");
    let pod = namespace.pod("short", &["sh", "-c", "exit 0", &nonce]).ended();
    let exec = agent.record("the exec in the pod", |record| is_exec(record, &nonce));
    let expected = format!("/pod{}/{}", pod::uid(&pod), pod::container_id(&pod));
    assert!(cgroup(&exec).ends_with(&expected), "{} is not …{expected}", cgroup(&exec));
    assert_eq!(exec["process"]["binary"], "/bin/busybox");
}

pub(crate) fn of_a_deleted_pod() {
    let agent = agent();
    let nonce = nonce("deleted");
    let namespace = Kube::admin().namespace("deleted");
    let script = "echo up; while :; do sleep 3600; done";
    let pod = namespace.pod("victim", &["sh", "-c", script, &nonce]);
    pod.ready();
    assert_eq!(pod.logs(), "up\n");
    pod.delete();
    let exit = agent.record("its end", |record| {
        record["type"] == "process" && record["action"] == "exit" && has_argument(record, &nonce)
    });
    assert_eq!(exit["exit"]["signal"], 9);
    assert!(cgroup(&exit).contains("/pod"), "{exit}");
}

pub(crate) fn by_exec() {
    let agent = agent();
    let namespace = Kube::admin().namespace("exec");
    let pod = namespace.pod("long", &["sleep", "3600"]);
    let container = pod.ready();
    let nonce = nonce("exec");
    assert_eq!(pod.exec(&["sh", "-c", "echo here", &nonce]), "here\n");
    // runc's own process has the arguments too.
    let exec = agent.record("the exec in the container", |record| {
        is_exec(record, &nonce) && record["process"]["binary"] == "/bin/busybox"
    });
    let expected = format!("/pod{}/{}", pod::uid(&container), pod::container_id(&container));
    assert!(cgroup(&exec).ends_with(&expected), "{} is not …{expected}", cgroup(&exec));
}

pub(crate) fn without_kubernetes() {
    let agent = agent();
    let nonce = nonce("ctr");
    let image = told("WATCHFIRE_CLUSTER_IMAGE");
    let path = format!("/watchfire-cluster/{nonce}");
    cluster(&["ctr", "run", "--rm", "--cgroup", &path, &image, &nonce, "sh", "-c", "exit 0", &nonce]);
    let exec = agent.record("the exec in the container", |record| {
        is_exec(record, &nonce) && record["process"]["binary"] == "/bin/busybox"
    });
    assert_eq!(cgroup(&exec), path);
}
