//! Findings of real connections, from the kernel to the last count.

use std::process::Command;

use serde_json::{Value, json};
use watchfire_tests::{Agent, AgentCommand, watchfire};

use crate::running::{bare, metric, metric_until, only, ready};
use crate::verdict::{INVENTORY, POLICIES, cgroups, connect, play};

/// How often a denied connection is made.
const TIMES: u64 = 500;
/// What each of them carries: see [`connect`] and the server that [`play`] starts.
const BYTES: u64 = 4 + 9;

/// An agent that judges by the policies of the shop, with more sections in its configuration.
fn command(sections: &Value) -> AgentCommand {
    let mut config = sections.clone();
    config["sensor"] = json!({ "families": only(&[]) });
    bare(&["--config", "config.yaml", "--inventory", "inventory.yaml", "--policies", "policies"])
        .with_file("config.yaml", &config.to_string())
        .with_file("inventory.yaml", INVENTORY)
        .with_file("policies/shop.yaml", POLICIES)
}

/// Ends the agent, and answers the records of all findings that it made.
fn findings(agent: &mut Agent) -> Vec<Value> {
    agent.signal("TERM");
    assert!(agent.ended().success());
    agent.records().into_iter().filter(|record| record["type"] == "finding").collect()
}

fn of_kind<'a>(findings: &'a [Value], kind: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["kind"] == kind).collect()
}

fn sum(findings: &[&Value], field: &str) -> u64 {
    findings.iter().map(|finding| finding[field].as_u64().unwrap_or_default()).sum()
}

pub(crate) fn repeated() {
    let cgroups = cgroups();
    let mut agent = ready(command(&json!({ "findings": { "intervalSeconds": 1 } })).start());
    let many = (0, format!("connect-times {TIMES} 10.99.0.3:5432 4 10.99.0.1"));
    let peers = play(&cgroups, &[many, connect(1, "10.99.0.3:5432"), connect(3, "10.99.0.3:5432")]);
    drop(peers);

    let series = "{kind=\"policy-violation\",severity=\"medium\",namespace=\"shop\"}";
    metric_until(&agent, &format!("watchfire_findings_total{series}"), |findings| findings == 2);
    let all = findings(&mut agent);
    let violations = of_kind(&all, "policy-violation");
    let by = |name: &str| -> Vec<&Value> {
        violations.iter().filter(|finding| finding["source"]["name"] == name).copied().collect()
    };
    let (frontend, outsider) = (by("frontend"), by("outsider"));
    assert_eq!(frontend.len() + outsider.len(), violations.len(), "{violations:?}");

    // Both ends of each connection are on this host, and each counts once.
    assert_eq!((sum(&frontend, "count_new"), sum(&outsider, "count_new")), (TIMES, 1), "{violations:?}");
    assert!(frontend.len() < 20, "{} records of one finding", frontend.len());
    let (first, last) = (frontend[0], frontend[frontend.len() - 1]);
    assert!(frontend.iter().all(|finding| finding["id"] == first["id"]), "{frontend:?}");
    assert_eq!((&first["state"], &first["count"]), (&json!("new"), &json!(1)));
    assert_eq!((&last["state"], &last["count"]), (&json!("ended"), &json!(TIMES)));
    assert_eq!(last["bytes"], TIMES * BYTES, "{last}");
    assert_eq!(frontend.iter().filter(|finding| finding["state"] == "ended").count(), 1);

    assert_eq!(first["title"], "shop/frontend → shop/db:5432 TCP: denied by policy intent");
    assert_eq!(first["reason"], "isolated by NetworkPolicy/shop/api-to-db, NetworkPolicy/shop/default-deny");
    let policy = &first["policy"];
    assert_eq!((&policy["direction"], &policy["outcome"]), (&json!("ingress"), &json!("denied")));
    let names: Vec<_> =
        policy["isolating"].as_array().unwrap().iter().map(|policy| &policy["name"]).collect();
    assert_eq!(names, ["api-to-db", "default-deny"]);
    let nearest = &policy["nearest"];
    assert_eq!(nearest["policy"]["name"], "api-to-db", "{first}");
    assert_eq!(nearest["path"], "spec.ingress[0] ports[0]", "{first}");
    let process = &first["example"]["process"];
    assert_eq!(process["pod"]["name"], "frontend", "{first}");
    // It is the flow that came just before.
    let flow = agent.record("the flow of the example", |record| {
        record["type"] == "flow" && record["community_id"] == first["example"]["community_id"]
    });
    assert_eq!(flow["process"]["exec_id"], process["exec_id"]);
    assert_eq!(flow["cookie"], first["example"]["cookie"]);
}

pub(crate) fn uncovered() {
    let cgroups = cgroups();
    let mut agent =
        ready(command(&json!({ "findings": { "uncoveredFlowOf": { "other": "always" } } })).start());
    let peers =
        play(&cgroups, &[connect(1, "10.99.0.4:80"), connect(1, "10.99.0.4:80"), connect(3, "10.99.0.4:80")]);
    drop(peers);
    let all = findings(&mut agent);
    let ended: Vec<_> =
        of_kind(&all, "uncovered-flow").into_iter().filter(|finding| finding["state"] == "ended").collect();
    let seen: Vec<_> = ended
        .iter()
        .map(|finding| (&finding["source"]["name"], &finding["policy"]["direction"], &finding["count"]))
        .collect();
    // What a pod says to itself never leaves it.
    assert_eq!(seen, [(&json!("api"), &json!("ingress"), &json!(2))], "{all:?}");
}

/// A candidate that lets the frontend to the database, under the name of a policy in force; one in another namespace that
/// isolates; and one that says itself that it is a candidate, beside those in force.
pub(crate) const CANDIDATES: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api-to-db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: frontend}}}]
      ports: [{port: 5432}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lock, namespace: other}
spec: {podSelector: {}, policyTypes: [Ingress]}
";
const ANNOTATED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: no-egress, namespace: other, annotations: {watchfire.dev/candidate: 'true'}}
spec: {podSelector: {}, policyTypes: [Egress]}
";

pub(crate) fn candidates() {
    let cgroups = cgroups();
    let agent = command(&json!({ "policy": { "candidates": "candidates" } }))
        .with_file("candidates/all.yaml", CANDIDATES)
        .with_file("policies/annotated.yaml", ANNOTATED);
    let mut agent = ready(agent.start());
    assert_eq!(metric(&agent, "watchfire_policy_objects{state=\"loaded\"}"), 2);
    let (db, outsider) = ("10.99.0.3:5432", "10.99.0.4:80");
    let clients = [(1, db), (1, db), (1, outsider), (0, db), (0, db), (0, db), (3, db)];
    drop(play(&cgroups, &clients.map(|(from, to)| connect(from, to))));

    // api → db twice and api → outsider break, frontend → db opens; outsider → db is denied either way.
    let of = |effect: &str| format!("watchfire_candidate_flows_total{{effect=\"{effect}\"}}");
    metric_until(&agent, &of("unchanged"), |flows| flows == 1);
    let counts =
        ["would-break", "would-open", "would-cover", "unknown"].map(|effect| metric(&agent, &of(effect)));
    assert_eq!(counts, [3, 3, 0, 0]);
    assert_eq!(metric(&agent, "watchfire_policy_candidates"), 3);
    let summary = |output: &str| {
        let mut command = Command::new(watchfire());
        command
            .args(["policy", "candidates", "-o", output, "--socket"])
            .arg(agent.folder().join("observe.sock"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = summary("text");
    for line in [
        "  NetworkPolicy/other/no-egress",
        "3 flows would break:",
        "       2  shop/api → shop/db:5432 TCP  ingress by NetworkPolicy/shop/api-to-db",
        "       1  shop/api → other/outsider:80 TCP  ingress by NetworkPolicy/other/lock",
        "3 flows would open:",
        "       3  shop/frontend → shop/db:5432 TCP  ingress by NetworkPolicy/shop/api-to-db spec.ingress[0] from[0] ports[0]",
        "1 flow would stay as they are",
    ] {
        assert!(text.lines().any(|shown| shown == line), "no line {line:?} in\n{text}");
    }
    let report: Value = serde_json::from_str(&summary("json")).unwrap();
    assert_eq!((&report["would_break"], &report["would_open"]), (&json!(3), &json!(3)));

    let all = findings(&mut agent);
    let differences = of_kind(&all, "candidate-difference");
    let count = |effect: &str| {
        let of: Vec<_> =
            differences.iter().filter(|finding| finding["policy"]["effect"] == effect).copied().collect();
        sum(&of, "count_new")
    };
    assert_eq!((count("would-break"), count("would-open")), (3, 3), "{differences:?}");
    // They change no verdict.
    assert_eq!(sum(&of_kind(&all, "policy-violation"), "count_new"), 4);
    let opened = differences.iter().find(|finding| finding["policy"]["effect"] == "would-open").unwrap();
    assert_eq!(opened["policy"]["rule"]["path"], "spec.ingress[0] from[0] ports[0]");
    assert_eq!(opened["policy"]["candidates"][0]["name"], "api-to-db");
}

pub(crate) fn changed() {
    let cgroups = cgroups();
    // Otherwise what begins shortly before the change would be left out.
    let mut agent = ready(command(&json!({ "policy": { "staleWindowSeconds": 0 } })).start());
    let held = play(&cgroups, &[(1, "hold 10.99.0.3:5432 10.99.0.2".to_owned())]);
    let _ = agent.record("the connection that is held", |record| {
        record["type"] == "flow" && record["stage"] == "open" && record["client"]["pod"]["name"] == "api"
    });
    let denying = POLICIES.replace("port: 5432", "port: 5433");
    std::fs::write(agent.folder().join("policies/shop.yaml"), denying).unwrap();
    agent.signal("HUP");
    let found = agent.record("the finding of the change", |record| {
        record["type"] == "finding" && record["kind"] == "verdict-changed"
    });
    let policy = &found["policy"];
    assert_eq!((&policy["previous"], &policy["outcome"]), (&json!("allowed"), &json!("denied")), "{found}");
    assert_eq!(policy["nearest"]["policy"]["name"], "api-to-db", "{found}");
    let differs = "peer but not port; ports: wants TCP 5433, found TCP 5432";
    assert_eq!(policy["nearest"]["differs"], differs, "{found}");
    assert_eq!(found["example"]["process"]["pod"]["name"], "api", "{found}");
    drop(held);
    let all = findings(&mut agent);
    assert_eq!(sum(&of_kind(&all, "verdict-changed"), "count_new"), 1, "{all:?}");
}

pub(crate) const STRICT: &str = "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
";

pub(crate) fn plaintext() {
    let cgroups = cgroups();
    let agent = command(&json!({ "flows": { "tlsPorts": [5432] } })).with_file("policies/mesh.yaml", STRICT);
    let mut agent = ready(agent.start());
    drop(play(
        &cgroups,
        &[connect(1, "10.99.0.3:5432"), connect(1, "10.99.0.3:5432"), connect(1, "10.99.0.4:80")],
    ));
    let all = findings(&mut agent);
    let plain = of_kind(&all, "plaintext-where-mtls-required");
    assert_eq!(sum(&plain, "count_new"), 2, "{all:?}");
    assert_eq!(plain[0]["reason"], "mutual TLS is required by PeerAuthentication/shop/strict");
    assert_eq!(
        (&plain[0]["severity"], &plain[0]["example"]["process"]["pod"]["name"]),
        (&json!("high"), &json!("db"))
    );
}
