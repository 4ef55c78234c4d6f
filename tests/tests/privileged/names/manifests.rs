//! A folder of manifests: verdicts by it, and what is wrong with it.

use std::fs;

use serde_json::{Value, json};
use watchfire_tests::Agent;

use super::objects::{Pod, list, put, remove};
use super::wire::{PORT, Wire};
use crate::running::{TestCgroup, command, has_argument, metric, metric_until, nonce, ready, who, who_until};

const WEB: Pod = Pod::new("web", "10.96.0.1");
const API: Pod = Pod::new("api", "10.96.0.2");
const GUEST: Pod = Pod::new("guest", "10.96.0.3");
const SERVICE: &str = "10.96.1.10";
const ERRORS: &str = "watchfire_inventory_source_errors_total{source=\"file\",kind=\"manifest\"}";

/// The rest of them, as `kubectl get -o yaml` prints them, or `-o json`.
const NAMESPACE: &str = r#"{
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": {"kubernetes.io/metadata.name": "shop"},
        "name": "shop",
        "resourceVersion": "12",
        "uid": "0b9d5a55-70a6-4cbb-a8f1-1a6b0e3e0d11"
    },
    "spec": {"finalizers": ["kubernetes"]},
    "status": {"phase": "Active"}
}
"#;
const SERVICES: &str = "\
apiVersion: v1
kind: Service
metadata:
  creationTimestamp: \"2026-01-02T03:04:05Z\"
  name: api
  namespace: shop
  resourceVersion: \"4712\"
  uid: 7c0e6a0f-0d0b-4b43-8f43-6d5b9dfb1f10
spec:
  clusterIP: 10.96.1.10
  clusterIPs:
  - 10.96.1.10
  internalTrafficPolicy: Cluster
  ipFamilies:
  - IPv4
  ipFamilyPolicy: SingleStack
  ports:
  - name: http
    port: 8080
    protocol: TCP
    targetPort: http
  selector:
    app: api
  sessionAffinity: None
  type: ClusterIP
status:
  loadBalancer: {}
---
addressType: IPv4
apiVersion: discovery.k8s.io/v1
endpoints:
- addresses:
  - 10.96.0.2
  conditions:
    ready: true
    serving: true
    terminating: false
  nodeName: node-a
  targetRef:
    kind: Pod
    name: api
    namespace: shop
kind: EndpointSlice
metadata:
  labels:
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
    kubernetes.io/service-name: api
  name: api-x7k2p
  namespace: shop
  ownerReferences:
  - apiVersion: v1
    blockOwnerDeletion: true
    controller: true
    kind: Service
    name: api
    uid: 7c0e6a0f-0d0b-4b43-8f43-6d5b9dfb1f10
ports:
- name: http
  port: 8080
  protocol: TCP
";
const POLICY: &str = "\
apiVersion: v1
items:
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    generation: 1
    name: web-to-api
    namespace: shop
  spec:
    ingress:
    - from:
      - podSelector:
          matchLabels:
            app: web
      ports:
      - port: http
        protocol: TCP
    podSelector:
      matchLabels:
        app: api
    policyTypes:
    - Ingress
- apiVersion: v1
  data:
    key: value
  kind: ConfigMap
  metadata:
    name: of-no-interest
    namespace: shop
kind: List
metadata:
  resourceVersion: \"\"
";

fn agent(files: &[(&str, &str)]) -> Agent {
    let mut agent =
        command(&["--manifests", "manifests", "--container-runtime", "none", "--conntrack", "none"]);
    for (name, text) in files {
        agent = agent.with_file(&format!("manifests/{name}"), text);
    }
    ready(agent.start())
}

fn errors(agent: &Agent, number: u64) {
    metric_until(agent, ERRORS, |errors| errors == number);
}

pub(crate) fn verdicts() {
    let pods = list(&[WEB.manifest(), API.manifest(), GUEST.manifest()]);
    let agent = agent(&[
        ("namespace.json", NAMESPACE),
        ("pods.yaml", &pods),
        ("services.yml", SERVICES),
        ("policies.yaml", POLICY),
        ("notes.txt", "no manifest: ["),
    ]);
    let wire = Wire::new(3);
    let _server = wire.server(2);
    let allowed = "NetworkPolicy/shop/web-to-api ingress[0]";
    let denied = "isolated by NetworkPolicy/shop/web-to-api";
    let check = |record: &Value, outcome: &str, because: &str| {
        assert_eq!(record["verdict"]["outcome"], outcome, "{record}");
        assert_eq!(record["because"], because, "{record}");
        assert_eq!(record["server"]["pod"]["name"], "api", "{record}");
    };
    for (pod, name, outcome, because) in [(1, "web", "allowed", allowed), (3, "guest", "denied", denied)] {
        let client = wire.client(pod, 2);
        for side in ["client", "server"] {
            check(&client.flow(&agent, "open", side), outcome, because);
        }
        client.end_as(&agent, name);
    }
    // By the address of the service.
    wire.lead(SERVICE, 2);
    let record = wire.client_of(1, &format!("{SERVICE}:{PORT}")).flow(&agent, "open", "client");
    check(&record, "allowed", allowed);
    assert_eq!(record["server"]["service"], json!({"namespace": "shop", "name": "api"}), "{record}");
    assert_eq!(
        record["server"]["backend"],
        json!({"address": "10.96.0.2:8080", "by": "endpoints"}),
        "{record}"
    );
    assert_eq!(who(&agent, SERVICE)[0]["services"].as_array().map(Vec::len), Some(1));
    // The namespace, three pods, service and slice, and the policy.
    metric_until(
        &agent,
        "watchfire_inventory_source_objects{source=\"file\",kind=\"manifest\"}",
        |objects| objects == 7,
    );
    errors(&agent, 0);
    // Policies go as they come.
    remove(&agent, "policies.yaml");
    metric_until(&agent, "watchfire_policy_objects{state=\"loaded\"}", |policies| policies == 0);
    check(&wire.client(3, 2).flow(&agent, "open", "client"), "not-covered", "");
}

pub(crate) fn mistakes() {
    let agent = agent(&[("pods.yaml", &list(&[WEB.manifest(), API.manifest()]))]);
    errors(&agent, 0);
    // In the second object of the list.
    let wrong = list(&[GUEST.manifest(), API.manifest()]).replace("podIP: 10.96.0.2", "podIP: 10.96.0.400");
    let line = wrong.lines().take_while(|line| *line != "    name: api").count();
    put(&agent, "pods.yaml", &wrong);
    let said = agent.logged("10.96.0.400");
    let begins = wrong.lines().take(line).collect::<Vec<_>>();
    let begins = begins.iter().rposition(|line| line.starts_with("- ")).unwrap() + 1;
    for expected in [
        &format!("manifests/pods.yaml:{begins}: Pod shop/api: status.podIP: "),
        "expected an IP address",
        "WARN",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
    errors(&agent, 1);
    agent.logged("what the file said before stays in force");
    assert_eq!(who(&agent, "10.96.0.1")[0]["pod"]["name"], "web", "the last good state");
    assert!(who(&agent, "shop/guest").is_empty());
    // What is no YAML at all, in a file beside.
    put(&agent, "more.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: [}\n");
    let said = agent.logged("manifests/more.yaml:3");
    assert!(said.contains("WARN"), "{said}");
    errors(&agent, 2);
    // Mended.
    put(&agent, "pods.yaml", &list(&[GUEST.manifest(), API.manifest()]));
    let _ = who_until(&agent, "10.96.0.3", |known| known["pod"]["name"] == "guest");
    assert_eq!(who(&agent, "shop/web")[0]["gone"], true);
    errors(&agent, 2);
    // A folder that is gone says nothing.
    fs::rename(agent.folder().join("manifests"), agent.folder().join("elsewhere")).unwrap();
    agent.logged("manifests stay as they were");
    assert_eq!(who(&agent, "10.96.0.3")[0]["pod"]["name"], "guest");
}

pub(crate) fn contradictions() {
    let pending = Pod::new("pending", "");
    let twin = Pod::new("twin", "10.96.0.1");
    let agent = agent(&[
        ("web.yaml", &WEB.manifest()),
        ("twin.yaml", &twin.manifest()),
        ("pending.yaml", &pending.manifest()),
        ("api.yaml", &API.manifest()),
    ]);
    let why = "several pods or nodes claim this address";
    let known = who(&agent, "10.96.0.1");
    assert_eq!((&known[0]["end"], &known[0]["detail"]), (&"unresolved".into(), &why.into()));
    let conflicts = "watchfire_inventory_address_conflicts_total";
    metric_until(&agent, conflicts, |conflicts| conflicts == 1);
    let wire = Wire::new(2);
    let _server = wire.server(2);
    let client = wire.client(1, 2);
    for side in ["client", "server"] {
        let record = client.flow(&agent, "open", side);
        assert_eq!(
            (&record["client"]["kind"], &record["client"]["detail"]),
            (&"unresolved".into(), &why.into())
        );
        assert_eq!(record["server"]["pod"]["name"], "api", "{record}");
    }
    // A pod without an address is known by its cgroup.
    let uid = pending.uid();
    let cgroup = TestCgroup::new(&format!("kubepods/besteffort/pod{uid}/{}", "ab".repeat(32)));
    let nonce = nonce("pending");
    assert!(cgroup.shell(&format!("exec /bin/sh -c 'exit 0' {nonce}")).status().unwrap().success());
    let exec = agent.record("the exec", |record| record["action"] == "exec" && has_argument(record, &nonce));
    assert_eq!(exec["process"]["pod"]["name"], "pending", "{exec}");
    assert_eq!(who(&agent, "shop/pending")[0]["ips"], json!([]));
    // One of the two goes.
    remove(&agent, "twin.yaml");
    let _ = who_until(&agent, "10.96.0.1", |known| known["pod"]["name"] == "web");
    wire.client(1, 2).assert_is(&agent, "open", "web");
    assert_eq!(metric(&agent, conflicts), 1);
}

pub(crate) fn absurd_labels() {
    const LABELS: usize = 100_000;
    let labels: String = (0..LABELS).map(|label| format!("    label-{label}: value\n")).collect();
    let absurd = WEB.manifest().replace("  labels:\n", &format!("  labels:\n{labels}"));
    let agent = agent(&[("pods.yaml", &format!("{absurd}---\n{}", API.manifest()))]);
    let said = agent.logged("found more than 512 entries");
    assert!(said.contains("manifests/pods.yaml:1: Pod shop/web: metadata.labels: "), "{said}");
    errors(&agent, 1);
    assert!(who(&agent, "shop/web").is_empty());
    assert_eq!(who(&agent, "10.96.0.2")[0]["pod"]["name"], "api", "the others load");
}
