//! `watchfire policy` with a real API server: what is suggested is taken by it, and judged by as was said.

use std::process::{Command, Output};

use serde_json::Value;
use watchfire_tests::{Agent, watchfire};

use crate::inventory::agent_of;
use crate::kube::{Kube, until};

fn ask(agent: &Agent, arguments: &[&str]) -> String {
    let mut command = Command::new(watchfire());
    command.arg("policy").args(arguments).current_dir(agent.folder());
    command.arg("--socket").arg(agent.folder().join("observe.sock"));
    let Output { status, stdout, stderr } = command.output().expect("start `watchfire policy`");
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

pub(crate) fn suggestion() {
    let kube = Kube::admin();
    let agent = agent_of(&kube);
    let namespace = kube.namespace("suggest");
    let script =
        "mkdir /tmp/pages && echo hello >/tmp/pages/index.html && exec httpd -f -p 8080 -h /tmp/pages";
    namespace.pod("server", &["sh", "-c", script]).ready();
    namespace.pod("stranger", &["sleep", "600"]).ready();
    let address = namespace.service("server", 80, 8080);
    let script = format!("while :; do wget -q -O /dev/null http://{address}/; sleep 0.3; done");
    namespace.pod("client", &["sh", "-c", &script]).ready();
    let name = namespace.name.as_str();
    let is_flow = |record: &Value| {
        record["type"] == "flow"
            && record["client"]["pod"]["name"] == "client"
            && record["client"]["pod"]["namespace"] == name
    };
    until("a connection that has ended", || {
        agent.records().iter().any(|record| is_flow(record) && record["stage"] == "close")
    });
    let lines: String = agent.records().iter().map(|record| format!("{record}\n")).collect();
    std::fs::write(agent.folder().join("recorded.jsonl"), lines).unwrap();

    let policies = ask(&agent, &["suggest", "-n", name, "--flows", "recorded.jsonl"]);
    namespace.is_accepted(&policies);
    namespace.apply(&policies);
    until("a connection that a suggested policy allows", || {
        agent.records().iter().any(|record| {
            is_flow(record)
                && record["verdict"]["outcome"] == "allowed"
                && record["because"]
                    .as_str()
                    .is_some_and(|text| text.contains(&format!("NetworkPolicy/{name}/")))
        })
    });
    let [server, client, stranger] = ["server", "client", "stranger"].map(|pod| format!("{name}/{pod}"));
    let explain = |from: &str, expected: &str| {
        let to = ["--to", &server, "--port", "8080", "--expect", expected];
        ask(&agent, &[&["explain", "--from", from][..], &to].concat())
    };
    let allowed = explain(&client, "allow");
    assert!(
        allowed.contains(&format!("by NetworkPolicy/{name}/server spec.ingress[0].from[0]")),
        "{allowed}"
    );
    let denied = explain(&stranger, "deny");
    assert!(denied.contains("from[0]: wants app=client, the pod has app=stranger"), "{denied}");
    assert!(ask(&agent, &["lint"]).contains("0 errors"));
}
