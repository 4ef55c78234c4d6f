//! Verdicts of a policy that names a name: what DNS answered decides.

use serde_json::Value;
use watchfire_tests::Agent;

use super::dns::{OTHER, PORT, dig, resolver};
use super::wire::{End, INTERFACE, SERVER, Wire};
use crate::running::{command, metric, ready};

const INVENTORY: &str = "
namespaces: [{name: shop}]
pods: [{namespace: shop, name: web, ips: [10.98.0.1], labels: {app: web}}]
";
const POLICY: &str = "
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: names, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
  - toFQDNs: [{matchName: web.example}]
    toPorts: [{ports: [{port: \"7070\", protocol: TCP}]}]
";

/// Connects from the pod to an address, and says how that was judged.
fn connection(agent: &Agent, wire: &Wire, address: &str, nth: usize) -> Value {
    let mut server = wire.peer(End::Server, &format!("accept {address}:{PORT}"));
    assert_eq!(server.line(), "ready");
    wire.peer(End::Client, &format!("connects {address}:{PORT} 1")).finish();
    let mut seen = Vec::new();
    agent.record(&format!("connection {nth} to {address}"), |record| {
        let is_it = wire.has(record)
            && record["stage"] == "open"
            && record["side"] == "client"
            && record["server"]["address"] == format!("{address}:{PORT}")
            && !seen.contains(&record["cookie"]);
        if is_it {
            seen.push(record["cookie"].clone());
        }
        is_it && seen.len() == nth
    })
}

pub(crate) fn verdicts() {
    let agent = command(&["--inventory", "inventory.yaml", "--policies", "policies"])
        .with_file("inventory.yaml", INVENTORY)
        .with_file("policies/names.yaml", POLICY);
    let agent = ready(agent.start());
    agent.logged("policies are read as Cilium reads them: there are policies of Cilium's kinds");
    assert_eq!(metric(&agent, "watchfire_policy_dialect{dialect=\"cilium\",why=\"objects\"}"), 1);
    let wire = Wire::new();
    wire.run(End::Server, &format!("ip addr add {OTHER}/24 dev {INTERFACE}"));
    let _resolver = resolver(&wire);

    let unknown = connection(&agent, &wire, SERVER, 1);
    let reason = (&unknown["verdict"]["outcome"], &unknown["because"]);
    assert_eq!(reason, (&"unknown".into(), &"names of the address not known".into()), "{unknown}");

    let server = format!("@{SERVER}");
    dig(&wire, &[&server, "web.example", "A"]);
    dig(&wire, &[&server, "other.example", "A"]);
    for name in ["web.example", "other.example"] {
        _ = agent.record(name, |record| record["type"] == "dns" && record["query"] == name);
    }
    let allowed = connection(&agent, &wire, SERVER, 2);
    assert_eq!(allowed["verdict"]["outcome"], "allowed", "{allowed}");
    let because = allowed["because"].as_str().expect("a text");
    assert!(because.starts_with("CiliumNetworkPolicy/shop/names egress[0]"), "{allowed}");
    assert_eq!((&allowed["dialect"], &allowed["server"]["kind"]), (&"cilium".into(), &"world".into()));

    let denied = connection(&agent, &wire, OTHER, 1);
    let reason = (&denied["verdict"]["outcome"], &denied["because"]);
    let isolated = "isolated by CiliumNetworkPolicy/shop/names";
    assert_eq!(reason, (&"denied".into(), &isolated.into()), "{denied}");
    assert_eq!(denied["server"]["names"], serde_json::json!(["other.example"]), "{denied}");
}
