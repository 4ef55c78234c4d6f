//! The agent as it is deployed: a DaemonSet with the rights that its manifests give it, and no more.

use watchfire_tests::{has_argument, nonce};

use crate::deployment::Deployment;
use crate::kube::until;
use crate::pod;

pub(crate) fn daemon_set() {
    let deployment = Deployment::base(&[]);
    let kube = &deployment.kube;
    deployment.ready();
    let agent = deployment.pod();
    assert_eq!(agent["status"]["qosClass"], "Burstable");
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
    let address = agent["status"]["podIP"].as_str().unwrap();
    let client =
        namespace.pod("client", &["wget", "-q", "-O", "-", &format!("http://{address}:9464/metrics")]);
    client.ended();
    assert!(client.logs().contains("watchfire_records_received_total"));
    let said = deployment.watchfire(&["who", &of_pod]);
    assert!(said.starts_with(&format!("pod {of_pod}")) && said.contains("kubernetes-api"), "{said}");
    // What else this kernel refuses it, it says; what the manifests grant is all that it asks for.
    let said = deployment.attempt(&["doctor"]).unwrap_or_else(|said| said);
    assert!(said.contains("ok       capabilities  all that are used"), "{said}");
}

pub(crate) fn told_by_the_kubelet() {
    let deployment = Deployment::base(&["kubelet"]);
    let kube = &deployment.kube;
    // As where the API is out of the agent's reach. This kubelet signs its own certificate.
    let node = kube.json(&["get", "nodes"])["items"][0]["status"]["addresses"][0]["address"].clone();
    deployment.run(&[
        "set",
        "env",
        "daemonset/watchfire",
        "WATCHFIRE_KUBERNETES=none",
        "WATCHFIRE_KUBELET_INSECURE_TLS=true",
        &format!("WATCHFIRE_KUBELET=https://{}:10250", node.as_str().unwrap()),
    ]);
    deployment.ready();
    let namespace = kube.namespace("kubelet");
    let pod = namespace.pod("long", &["sleep", "3600"]);
    pod.ready();
    let of_pod = format!("{}/long", namespace.name);
    let mut said = String::new();
    until("the pod, by the kubelet", || {
        said = deployment.attempt(&["who", &of_pod]).unwrap_or_default();
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
