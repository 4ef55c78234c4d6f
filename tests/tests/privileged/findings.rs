//! Findings of real connections, from the kernel to the last count.

use serde_json::{Value, json};
use watchfire_tests::Agent;

use crate::running::{bare, metric_until, only, ready};
use crate::verdict::{INVENTORY, POLICIES, cgroups, connect, play};

/// How often a denied connection is made.
const TIMES: u64 = 500;
/// What each of them carries: see [`connect`] and the server that [`play`] starts.
const BYTES: u64 = 4 + 9;

/// An agent that judges by the policies of the shop, with a `findings` section of its own.
fn agent(findings: &Value) -> Agent {
    let config = json!({ "sensor": { "families": only(&[]) }, "findings": findings }).to_string();
    let agent = bare(&["--config", "config.yaml", "--inventory", "inventory.yaml", "--policies", "policies"])
        .with_file("config.yaml", &config)
        .with_file("inventory.yaml", INVENTORY)
        .with_file("policies/shop.yaml", POLICIES);
    ready(agent.start())
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
    let mut agent = agent(&json!({ "intervalSeconds": 1 }));
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
    let mut agent = agent(&json!({ "uncoveredFlowOf": { "other": "always" } }));
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
