//! Addresses that are used again: each flow has who had them when it began.

use watchfire_tests::Agent;

use super::objects::{Pod, put, remove};
use super::wire::Wire;
use crate::running::{command, metric, metric_until, ready, who_until};

const CONFLICTS: &str = "watchfire_inventory_address_conflicts_total";
const ADDRESS: &str = "10.96.0.1";

fn agent() -> Agent {
    let first = Pod::new("first", ADDRESS);
    let server = Pod::new("server", "10.96.0.2");
    let agent = command(&["--manifests", "manifests"])
        .with_file("manifests/client.yaml", &first.manifest())
        .with_file("manifests/server.yaml", &server.manifest());
    ready(agent.start())
}

/// Puts another pod in the place of the client, and waits until the agent knows it.
fn replace(agent: &Agent, name: &'static str) {
    let pod = Pod { created: "2026-01-02T03:04:06Z", ..Pod::new(name, ADDRESS) };
    put(agent, "client.yaml", &pod.manifest());
    let _ = who_until(agent, ADDRESS, |known| known["pod"]["name"] == name);
}

pub(crate) fn reuse() {
    let agent = agent();
    let wire = Wire::new(2);
    let _server = wire.server(2);
    let older = wire.client(1, 2);
    older.assert_is(&agent, "open", "first");
    replace(&agent, "second");
    let younger = wire.client(1, 2);
    younger.assert_is(&agent, "open", "second");
    // In the order in which nothing but memory tells them apart.
    younger.end_as(&agent, "second");
    let mut older = older;
    assert_eq!(older.peer.ask("20"), "5");
    older.end_as(&agent, "first");
    assert_eq!(metric(&agent, CONFLICTS), 0, "nobody claimed what another had");
}

pub(crate) fn tombstone() {
    let agent = agent();
    let wire = Wire::new(2);
    let _server = wire.server(2);
    remove(&agent, "client.yaml");
    let gone = who_until(&agent, "shop/first", |known| known["gone"] == true);
    assert_eq!(gone["ips"], serde_json::json!([ADDRESS]), "{gone}");
    metric_until(&agent, "watchfire_inventory_pods", |pods| pods == 1);
    // Pods talk while they are being ended, and their objects may be gone first.
    let late = wire.client(1, 2);
    late.assert_is(&agent, "open", "first");
    replace(&agent, "second");
    let next = wire.client(1, 2);
    next.assert_is(&agent, "open", "second");
    late.end_as(&agent, "first");
    next.end_as(&agent, "second");
}
