//! Verdicts on real connections between pods, as policies come and go.

use serde_json::{Value, json};

use crate::inventory::agent_of;
use crate::kube::{Kube, until};

pub(crate) fn flips_with_the_policy() {
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    let namespace = kube.namespace("verdict");
    let script =
        "mkdir /tmp/pages && echo hello >/tmp/pages/index.html && exec httpd -f -p 8080 -h /tmp/pages";
    namespace.pod("server", &["sh", "-c", script]).ready();
    let address = namespace.service("server", 80, 8080);
    let script = format!("while :; do wget -q -O /dev/null http://{address}/; sleep 0.3; done");
    namespace.pod("client", &["sh", "-c", &script]).ready();
    let is_flow = |record: &Value| {
        record["type"] == "flow"
            && record["stage"] == "open"
            && record["side"] == "client"
            && record["client"]["pod"]["name"] == "client"
            && record["client"]["pod"]["namespace"] == namespace.name.as_str()
    };
    // From now on, a connection has this outcome.
    let becomes = |outcome: &str| {
        let mut found = Value::Null;
        let count = agent.records().len();
        until(&format!("a connection that is {outcome}"), || {
            let records = agent.records();
            let flow = records[count..]
                .iter()
                .find(|record| is_flow(record) && record["verdict"]["outcome"] == outcome);
            found = flow.cloned().unwrap_or_default();
            flow.is_some()
        });
        found
    };
    let mut epochs = Vec::new();
    let mut note = |flow: &Value| epochs.push(flow["policy_epoch"].as_u64().expect("a number"));
    let flow = becomes("not-covered");
    note(&flow);
    assert_eq!(flow["dialect"], "k8s", "{flow}");
    // The client connects to the service; that is told with the pod that it led to.
    assert_eq!(flow["server"]["pod"]["name"], "server", "{flow}");
    assert_eq!(flow["server"]["service"]["name"], "server");
    let deny = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "deny" },
        "spec": { "podSelector": { "matchLabels": { "app": "server" } }, "policyTypes": ["Ingress"] },
    });
    namespace.apply(&deny.to_string());
    let flow = becomes("denied");
    note(&flow);
    assert_eq!(flow["because"], format!("isolated by NetworkPolicy/{}/deny", namespace.name));
    let allow = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "allow" },
        "spec": {
            "podSelector": { "matchLabels": { "app": "server" } },
            "ingress": [{
                "from": [{ "podSelector": { "matchLabels": { "app": "client" } } }],
                "ports": [{ "port": 8080 }],
            }],
        },
    });
    namespace.apply(&allow.to_string());
    let flow = becomes("allowed");
    note(&flow);
    assert!(flow["because"].as_str().unwrap().contains("/allow"), "{flow}");
    namespace.run(&["delete", "networkpolicy", "--all"]);
    note(&becomes("not-covered"));
    assert!(epochs.is_sorted_by(|one, next| one < next), "each verdict is by a later set: {epochs:?}");
}
