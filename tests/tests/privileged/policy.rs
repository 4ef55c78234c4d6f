//! `watchfire policy` asked of the running agent.

use std::process::{Command, Output};

use serde_json::Value;
use watchfire_tests::{Agent, until, watchfire};

use crate::names::objects::{Pod, put};
use crate::running::{command, ready};

const WEB: Pod = Pod::new("web", "10.96.0.1");
const DB: Pod = Pod::new("db", "10.96.0.2");
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: store}}\n";

fn policy_of(app: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: shop, name: to-db}}\nspec:\n  \
         podSelector: {{matchLabels: {{app: db}}}}\n  ingress:\n    - from: [{{podSelector: {{matchLabels: {{app: \
         {app}}}}}}}]\n      ports: [{{port: http}}]\n"
    )
}

fn start() -> Agent {
    let agent =
        command(&["--manifests", "manifests", "--container-runtime", "none", "--node-name", "node-a"])
            .with_file("manifests/namespace.yaml", NAMESPACE)
            .with_file("manifests/web.yaml", &WEB.manifest())
            .with_file("manifests/db.yaml", &DB.manifest())
            .with_file("manifests/policy.yaml", &policy_of("other"));
    ready(agent.start())
}

fn ask(arguments: &[&str], agent: &Agent) -> Output {
    let mut command = Command::new(watchfire());
    command.arg("policy").args(arguments).current_dir(agent.folder());
    command.arg("--socket").arg(agent.folder().join("observe.sock"));
    command.output().expect("start `watchfire policy`")
}

#[track_caller]
fn said(arguments: &[&str], agent: &Agent, code: i32) -> String {
    let Output { status, stdout, stderr } = ask(arguments, agent);
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert_eq!(status.code(), Some(code), "{text}{}", String::from_utf8_lossy(&stderr));
    text
}

const WEB_TO_DB: [&str; 7] = ["explain", "--from", "shop/web", "--to", "shop/db", "--port", "8080"];

/// The rule, what nearly allowed it, and that the answer goes with the policies as they change.
pub(crate) fn explain() {
    let agent = start();
    let with = |more: &[&'static str]| [&WEB_TO_DB[..], more].concat();
    let denied = said(&WEB_TO_DB, &agent, 0);
    for expected in [
        "shop/web → shop/db TCP 8080: denied\n",
        "    isolated by NetworkPolicy/shop/to-db\n",
        "    nearest: NetworkPolicy/shop/to-db spec.ingress[0]\n      from[0]: wants app=other, the pod has app=web\n",
    ] {
        assert!(denied.contains(expected), "{expected:?} is not in\n{denied}");
    }
    _ = said(&with(&["--expect", "allow"]), &agent, 1);
    // The same, read from the same manifests without the agent.
    let json = |more: &[&'static str]| -> Value {
        serde_json::from_str(&said(&with(&[&["-o", "json"], more].concat()), &agent, 0)).unwrap()
    };
    let (live, read) = (json(&[]), json(&["--manifests", "manifests"]));
    assert_eq!(live["because"], read["because"]);
    let place = "/connections/0/ingress/nearest/rule/policy/place";
    assert_eq!(read.pointer(place).unwrap(), "manifests/policy.yaml:1");

    put(&agent, "policy.yaml", &policy_of("web"));
    let allowed = until("the other verdict", || {
        let answer = json(&[]);
        (answer["outcome"] == "allowed").then_some(answer)
    });
    assert_eq!(allowed.pointer("/connections/0/ingress/rule/peer").unwrap(), "spec.ingress[0].from[0]");
    assert_eq!(allowed.pointer("/connections/0/ingress/rule/port").unwrap(), "spec.ingress[0].ports[0]");
    _ = said(&with(&["--expect", "allow"]), &agent, 0);
}

/// What else is asked of the agent's state.
pub(crate) fn others() {
    let agent = start();
    let graph = said(&["graph", "--denied"], &agent, 0);
    assert!(graph.contains("shop/web  → shop/db   TCP 8080  denied"), "{graph}");
    let lint = said(&["lint", "--deny-warnings"], &agent, 1);
    assert!(
        lint.contains("WF-P009") && lint.contains("NetworkPolicy/shop/to-db spec.ingress[0].from[0]"),
        "{lint}"
    );
    put(&agent, ".new.yaml", &policy_of("web"));
    let checked = said(&["check", "-f", "manifests/.new.yaml"], &agent, 0);
    assert!(checked.contains("0 would break, 1 would open"), "{checked}");
}
