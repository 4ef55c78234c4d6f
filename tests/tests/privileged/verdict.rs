//! From the kernel to the deciding rule: pods with addresses and cgroups of their own.

use std::process::Command;

use serde_json::Value;

use crate::peer::Peer;
use crate::running::{TestCgroup, command, ready};

pub(crate) const INVENTORY: &str = "
clusterCIDRs: [10.99.0.0/24]
namespaces:
  - {name: shop, labels: {team: shop}}
pods:
  - {namespace: shop, name: frontend, uid: 11111111-0000-4000-8000-000000000001, ips: [10.99.0.1], labels: {app: frontend}}
  - {namespace: shop, name: api, uid: 11111111-0000-4000-8000-000000000002, ips: [10.99.0.2], labels: {app: api}}
  - {namespace: shop, name: db, uid: 11111111-0000-4000-8000-000000000003, ips: [10.99.0.3], labels: {app: db}}
  - {namespace: other, name: outsider, uid: 11111111-0000-4000-8000-000000000004, ips: [10.99.0.4], labels: {app: x}}
";

pub(crate) const POLICIES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api-to-db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: api}}}]
      ports: [{port: 5432}]
";

/// Pods by name, address and the end of their uid.
pub(crate) const PODS: [(&str, &str, u8); 4] = [
    ("frontend", "10.99.0.1", 1),
    ("api", "10.99.0.2", 2),
    ("db", "10.99.0.3", 3),
    ("outsider", "10.99.0.4", 4),
];

/// The cgroups of the pods, as kubelet names them.
pub(crate) fn cgroups() -> Vec<TestCgroup> {
    let path = |uid| format!("kubepods/burstable/pod11111111-0000-4000-8000-00000000000{uid}/container");
    PODS.iter().map(|(_, _, uid)| TestCgroup::new(&path(uid))).collect()
}

/// A script that plays all four pods in one network namespace: the servers, then what clients do, by the number of their
/// pod.
fn script(cgroups: &[TestCgroup], clients: &[(usize, String)]) -> String {
    let root = watchfire_tests::cgroup2_root().unwrap();
    let in_pod = |pod: usize, role: &str| {
        let join = format!("echo $$ > {}/{}/cgroup.procs", root.display(), cgroups[pod].path);
        format!("WATCHFIRE_TEST_PEER='{role}' /bin/sh -c '{join}; exec \"$PEER\"' <&3")
    };
    let mut script = String::from("exec 3<&0\nip link set lo up\n");
    for (_, address, _) in PODS {
        script += &format!("ip addr add {address}/32 dev lo\n");
    }
    script +=
        &format!("{} &\n{} &\n", in_pod(2, "serve 10.99.0.3:5432 9"), in_pod(3, "serve 10.99.0.4:80 9"));
    script += "sleep 1\n";
    for (from, role) in clients {
        // What goes on does so beside the others.
        let end = if role.starts_with("hold") { " &" } else { "" };
        script += &format!("{}{end}\n", in_pod(*from, role));
    }
    script + "echo done\nread line\n"
}

/// Lets the pods talk until all clients have ended; the servers go on until the peer is dropped.
pub(crate) fn play(cgroups: &[TestCgroup], clients: &[(usize, String)]) -> Peer {
    let mut namespace = Command::new("unshare");
    namespace.args(["--net", "/bin/sh", "-c", &script(cgroups, clients)]);
    let mut peers = Peer::start_by(namespace, "");
    while peers.line() != "done" {}
    peers
}

/// One connection from a pod.
pub(crate) fn connect(from: usize, to: &str) -> (usize, String) {
    (from, format!("connect {to} 4 {}", PODS[from].1))
}

pub(crate) fn between_pods() {
    let cgroups = cgroups();
    let agent = command(&["--inventory", "inventory.yaml", "--policies", "policies"])
        .with_file("inventory.yaml", INVENTORY)
        .with_file("policies/shop.yaml", POLICIES);
    let agent = ready(agent.start());
    let clients = [(1, "10.99.0.3:5432"), (0, "10.99.0.3:5432"), (1, "10.99.0.4:80"), (3, "10.99.0.3:5432")];
    let _peers = play(&cgroups, &clients.map(|(from, to)| connect(from, to)));

    let flow = |side: &str, client: &str, server: &str| -> Value {
        agent.record(&format!("{side} end of {client} to {server}"), |record| {
            record["type"] == "flow"
                && record["stage"] == "close"
                && record["side"] == side
                && record["client"]["pod"]["name"] == client
                && record["server"]["pod"]["name"] == server
        })
    };
    for (client, server, outcome, because) in [
        ("api", "db", "allowed", "NetworkPolicy/shop/api-to-db ingress[0]"),
        (
            "frontend",
            "db",
            "denied",
            "isolated by NetworkPolicy/shop/api-to-db, NetworkPolicy/shop/default-deny",
        ),
        (
            "outsider",
            "db",
            "denied",
            "isolated by NetworkPolicy/shop/api-to-db, NetworkPolicy/shop/default-deny",
        ),
        ("api", "outsider", "not-covered", ""),
    ] {
        for side in ["client", "server"] {
            let record = flow(side, client, server);
            let name = format!("{side} end of {client} to {server}: {record}");
            assert_eq!(record["verdict"]["outcome"], outcome, "{name}");
            assert_eq!(record["because"], because, "{name}");
            // The process at this end runs in the pod of this end.
            let here = if side == "client" { client } else { server };
            assert_eq!(record["process"]["pod"]["name"], here, "{name}");
            assert_eq!(record["counters"]["bytes_sent"], if side == "client" { 4 } else { 9 }, "{name}");
        }
    }
}
