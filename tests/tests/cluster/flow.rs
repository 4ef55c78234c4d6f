//! Connections between pods, as an agent on the host sees them.

use serde_json::Value;
use watchfire_tests::{Agent, agent};

use crate::kube::Kube;
use crate::pod;

fn end(agent: &Agent, awaited: &str, side: &str, cgroup: &str, port: &str) -> Value {
    agent.record(awaited, |record| {
        record["type"] == "flow"
            && record["stage"] == "close"
            && record["side"] == side
            && record["server"]["address"].as_str().is_some_and(|address| address.ends_with(port))
            && record["process"]["cgroup"].as_str().is_some_and(|path| path.ends_with(cgroup))
    })
}

pub(crate) fn through_a_service() {
    let agent = agent();
    let namespace = Kube::admin().namespace("flow");
    let script =
        "mkdir /tmp/pages && echo hello >/tmp/pages/index.html && exec httpd -f -p 8080 -h /tmp/pages";
    let server = namespace.pod("server", &["sh", "-c", script]).ready();
    let address = namespace.service("server", 80, 8080);
    let script = format!("until wget -q -O - http://{address}/; do :; done");
    let client = namespace.pod("client", &["sh", "-c", &script]);
    let ended = client.ended();
    assert_eq!(client.logs(), "hello\n");
    let sent = end(&agent, "the client's end", "client", pod::container_id(&ended), ":80");
    let received = end(&agent, "the server's end", "server", pod::container_id(&server), ":8080");
    assert_eq!(sent["server"]["address"], format!("{address}:80"));
    let at = server["status"]["podIP"].as_str().unwrap();
    assert_eq!(received["server"]["address"], format!("{at}:8080"));
    assert_eq!(sent["client"]["address"], received["client"]["address"]);
    let bytes = |end: &Value, way: &str| end["counters"][way].as_u64().unwrap();
    assert_eq!(bytes(&sent, "bytes_sent"), bytes(&received, "bytes_received"));
    assert_eq!(bytes(&sent, "bytes_received"), bytes(&received, "bytes_sent"));
}
