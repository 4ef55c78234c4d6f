//! The Kubernetes API as a source: what it forbids, does not have, forgets, and does not answer.

use serde_json::{Value, json};
use watchfire_tests::{has_argument, http_get, metric, nonce};

use crate::control::{self, Stopped};
use crate::inventory::{agent_of, state, synced};
use crate::kube::{Kube, until};
use crate::pod;

/// Pods that only the API knows; `WATCHFIRE_PODS` sets another number.
const PODS: usize = 500;

/// A kind that Cilium's custom resources have, without its schema.
fn custom_kind() -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "ciliumnetworkpolicies.cilium.io" },
        "spec": {
            "group": "cilium.io", "scope": "Namespaced",
            "names": {
                "kind": "CiliumNetworkPolicy", "plural": "ciliumnetworkpolicies", "singular": "ciliumnetworkpolicy",
            },
            "versions": [{ "name": "v2", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
        },
    })
}

pub(crate) fn kinds_that_come_and_go() {
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    state(&agent, "CiliumNetworkPolicy", "absent");
    let kind = custom_kind().to_string();
    kube.apply(&kind);
    kube.run(["wait", "--for=condition=Established", "crd/ciliumnetworkpolicies.cilium.io", "--timeout=90s"]);
    synced(&agent, "CiliumNetworkPolicy");
    let objects =
        "watchfire_inventory_source_objects{source=\"kubernetes-api\",kind=\"CiliumNetworkPolicy\"}";
    let policy = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": { "name": "all", "namespace": "default" }, "spec": { "endpointSelector": {} },
    });
    kube.apply(&policy.to_string());
    until("the policy", || metric(&agent, objects) == 1);
    kube.delete(&kind);
    state(&agent, "CiliumNetworkPolicy", "absent");
    assert_eq!(metric(&agent, objects), 0);
}

pub(crate) fn a_right_that_is_missing() {
    let kube = Kube::admin();
    let namespace = kube.namespace("rights");
    namespace.run(&["create", "serviceaccount", "watcher"]);
    let role = nonce("watcher");
    let account = format!("--serviceaccount={}:watcher", namespace.name);
    kube.run(["create", "clusterrole", &role, "--verb=get,list,watch", "--resource=pods,namespaces"]);
    kube.run(["create", "clusterrolebinding", &role, &format!("--clusterrole={role}"), &account]);
    let agent = agent_of(&namespace.account("watcher"));
    state(&agent, "Node", "forbidden");
    state(&agent, "NetworkPolicy", "forbidden");
    let told = agent.logged("forbidden: list nodes");
    assert!(told.contains("WARN"), "{told}");
    // The rest works.
    let nonce = nonce("allowed");
    namespace.pod("short", &["sh", "-c", "exit 0", &nonce]).ended();
    _ = agent.record("a process with its pod", |record| {
        record["action"] == "exec"
            && has_argument(record, &nonce)
            && record["process"]["pod"]["name"] == "short"
    });
    let named = agent.log().iter().filter(|line| line.contains("forbidden: list nodes")).count();
    assert_eq!(named, 1, "named once, not with each attempt");
    kube.run(["delete", "clusterrolebinding", &role]);
    kube.run(["delete", "clusterrole", &role]);
}

pub(crate) fn an_api_that_is_away() {
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    let namespace = kube.namespace("away");
    let nonce = nonce("away");
    let script = "while :; do sleep 0.2; /bin/busybox true \"$0\"; done";
    namespace.pod("lasting", &["sh", "-c", script, &nonce]).ready();
    let is_told = |record: &Value| {
        record["action"] == "exec"
            && has_argument(record, &nonce)
            && record["process"]["binary"] == "/bin/busybox"
            && record["process"]["pod"]["name"] == "lasting"
    };
    _ = agent.record("the pod before", is_told);
    let stopped = Stopped::new("apiserver");
    state(&agent, "Pod", "unreachable");
    let age = "watchfire_inventory_source_age_seconds{source=\"kubernetes-api\",kind=\"Pod\"}";
    let before = metric(&agent, age);
    until("what is known grows older", || metric(&agent, age) > before + 1);
    assert!(http_get(&agent, "/readyz").0.contains("200"), "the agent goes on");
    let count = agent.records().len();
    until("the pod while the API is away", || agent.records()[count..].iter().any(is_told));
    drop(stopped);
    synced(&agent, "Pod");
    let later = nonce.replace("away", "later");
    namespace.pod("later", &["sh", "-c", "exit 0", &later]).ended();
    _ = agent.record("a pod that was made afterwards", |record| {
        record["action"] == "exec"
            && has_argument(record, &later)
            && record["process"]["pod"]["name"] == "later"
    });
}

pub(crate) fn versions_that_have_expired() {
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    let relists = "watchfire_inventory_source_relists_total{source=\"kubernetes-api\",kind=\"Namespace\"}";
    let before = metric(&agent, relists);
    let stopped = Stopped::new("apiserver");
    state(&agent, "Namespace", "unreachable");
    drop(stopped);
    // Something newer than what the agent was told last, after which all before it is forgotten.
    let namespace = kube.namespace("expired");
    control::compact();
    control::restart("apiserver");
    synced(&agent, "Namespace");
    let nonce = nonce("expired");
    namespace.pod("short", &["sh", "-c", "exit 0", &nonce]).ended();
    _ = agent.record("a pod of a namespace that was made meanwhile", |record| {
        record["action"] == "exec"
            && has_argument(record, &nonce)
            && record["process"]["pod"]["name"] == "short"
    });
    assert!(metric(&agent, relists) >= before);
}

pub(crate) fn many_pods() {
    let count = std::env::var("WATCHFIRE_PODS").map_or(PODS, |text| text.parse().unwrap());
    let kube = Kube::admin();
    let namespace = kube.namespace("many");
    let agent = agent_of(&kube);
    let pods = |name: &str| {
        let pod = |index: usize| {
            let mut pod = pod::manifest(&format!("{name}-{index}"), &["true"]);
            // Nobody runs it.
            pod["spec"]["nodeName"] = "nowhere".into();
            pod["metadata"]["labels"] = json!({ "app": format!("app-{}", index % 50), "round": name });
            pod
        };
        json!({ "apiVersion": "v1", "kind": "List", "items": (0..count).map(pod).collect::<Vec<_>>() })
            .to_string()
    };
    // Those of other tests may be going.
    let are_known = || {
        let list: Value = serde_json::from_str(&kube.run(["get", "--raw", "/api/v1/pods?limit=1"])).unwrap();
        let listed = list["items"].as_array().map_or(0, Vec::len) as u64;
        let pods = listed + list["metadata"]["remainingItemCount"].as_u64().unwrap_or(0);
        (metric(&agent, "watchfire_inventory_pods") == pods).then_some(pods)
    };
    let all = count as u64;
    namespace.create(&pods("one"));
    until("all pods", || are_known().is_some_and(|pods| pods >= all));
    assert!(metric(&agent, "watchfire_inventory_identities") >= 50);
    let first_kib = resident_kib(agent.pid());
    namespace.run(&["delete", "pods", "-l", "round=one", "--grace-period=0", "--force", "--wait=false"]);
    until("no pods", || are_known().is_some_and(|pods| pods < all));
    namespace.create(&pods("two"));
    until("all pods again", || are_known().is_some_and(|pods| pods >= all));
    let second_kib = resident_kib(agent.pid());
    println!("{count} pods: {first_kib} KiB resident; the same number once more: {second_kib} KiB");
    // Pods that are gone are kept for a while: room for them, and no more.
    assert!(second_kib < first_kib + 4 * count as u64 + 16 * 1024, "{first_kib} KiB, then {second_kib} KiB");
    assert_eq!(metric(&agent, "watchfire_inventory_objects_refused_total"), 0);
}

pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
