//! A connection whose verdict changes while it is open, as policy files come and go.

use std::fs;
use std::process::Command;

use serde_json::Value;
use watchfire_tests::Agent;

use crate::peer::Peer;
use crate::running::{TestCgroup, command, metric, metric_until, ready};

const INVENTORY: &str = "
namespaces: [{name: shop}]
pods:
- {namespace: shop, name: frontend, uid: 22222222-0000-4000-8000-000000000001, ips: [10.99.0.1]}
- {namespace: shop, name: db, uid: 22222222-0000-4000-8000-000000000002, ips: [10.99.0.2]}
";
const DENY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
";
const FILE: &str = "policies/deny.yaml";
const SERVER: &str = "10.99.0.2:5432";
const LAST_GOOD: &str = "watchfire_policy_objects{state=\"last-good\"}";

/// A server and a client, each in the cgroup of its pod, in one network namespace. The client ends with its input.
fn peers(cgroups: &[TestCgroup; 2]) -> Peer {
    let root = watchfire_tests::cgroup2_root().expect("the test needs cgroup v2");
    let in_pod = |cgroup: &TestCgroup, role: &str| {
        let join = format!("echo $$ > {}/{}/cgroup.procs", root.display(), cgroup.path);
        format!("WATCHFIRE_TEST_PEER='{role}' /bin/sh -c '{join}; exec \"$PEER\"' <&3")
    };
    let [client, server] = cgroups;
    let script = format!(
        "exec 3<&0\nip link set lo up\nip addr add 10.99.0.1/32 dev lo\nip addr add 10.99.0.2/32 dev lo\n\
         {} &\nsleep 1\n{}\n",
        in_pod(server, &format!("serve {SERVER} 1")),
        in_pod(client, &format!("hold {SERVER} 10.99.0.1")),
    );
    let mut namespace = Command::new("unshare");
    namespace.args(["--net", "/bin/sh", "-c", &script]);
    let mut peers = Peer::start_by(namespace, "");
    assert_eq!(peers.port(), 5432);
    assert_ne!(peers.port(), 0);
    peers
}

/// The record of one side at one stage, of the policies that are asked for.
fn told(agent: &Agent, side: &str, stage: &str, epoch: u64) -> Value {
    agent.record(&format!("{stage} at the {side} by the policies numbered {epoch}"), |record| {
        record["type"] == "flow"
            && record["stage"] == stage
            && record["side"] == side
            && record["server"]["address"] == SERVER
            && record["client"]["pod"]["name"] == "frontend"
            && record["policy_epoch"] == epoch
    })
}

/// Each side says that the verdict changed, from what to what, and by which policies.
fn changes(agent: &Agent, (before, after): (&str, &str), (from, to): (u64, u64)) {
    for side in ["client", "server"] {
        let changed = told(agent, side, "verdict-changed", to);
        let expected = [before, after].map(Value::from);
        let outcomes = [&changed["previous"]["verdict"]["outcome"], &changed["verdict"]["outcome"]];
        assert_eq!(outcomes, [&expected[0], &expected[1]], "{changed}");
        assert_eq!(changed["previous"]["policy_epoch"], from, "{changed}");
        let because = if after == "denied" { "isolated by NetworkPolicy/shop/default-deny" } else { "" };
        assert_eq!(changed["because"], because, "{changed}");
        assert_eq!(
            (&changed["dialect"], changed["server"]["pod"]["name"].as_str()),
            (&"k8s".into(), Some("db"))
        );
        let here = if side == "client" { "frontend" } else { "db" };
        assert_eq!(changed["process"]["pod"]["name"], here, "{changed}");
    }
}

pub(crate) fn while_open() {
    let cgroups = [1, 2].map(|uid| {
        TestCgroup::new(&format!("kubepods/burstable/pod22222222-0000-4000-8000-00000000000{uid}/container"))
    });
    let agent = command(&["--inventory", "inventory.yaml", "--policies", "policies"])
        .with_file("inventory.yaml", INVENTORY)
        .with_file("policies/nothing.txt", "");
    let agent = ready(agent.start());
    let file = agent.folder().join(FILE);
    let peers = peers(&cgroups);
    for side in ["client", "server"] {
        let open = told(&agent, side, "open", 1);
        assert_eq!((&open["verdict"]["outcome"], &open["previous"]), (&"not-covered".into(), &Value::Null));
    }

    fs::write(&file, DENY).expect("write a policy");
    agent.signal("HUP");
    changes(&agent, ("not-covered", "denied"), (1, 2));
    fs::remove_file(&file).expect("remove a policy");
    agent.signal("HUP");
    changes(&agent, ("denied", "not-covered"), (2, 3));
    fs::write(&file, DENY).expect("write a policy");
    agent.signal("HUP");
    changes(&agent, ("not-covered", "denied"), (3, 4));

    // An edit that is not valid changes nothing, and is said.
    fs::write(&file, DENY.replace("podSelector: {}", "podSelector: 7")).expect("write a policy");
    agent.signal("HUP");
    metric_until(&agent, LAST_GOOD, |objects| objects == 1);
    agent.logged("NetworkPolicy/shop/default-deny stays in force as it last was valid");
    assert_eq!(metric(&agent, "watchfire_policy_epoch"), 4);

    peers.end();
    for side in ["client", "server"] {
        // It ends with the verdict that it began with, and what policies say by now.
        let close = told(&agent, side, "close", 1);
        assert_eq!(close["verdict"]["outcome"], "not-covered", "{close}");
        assert_eq!(close["verdict_now"]["verdict"]["outcome"], "denied", "{close}");
        assert_eq!(close["verdict_now"]["policy_epoch"], 4, "{close}");
        assert_eq!(close["stale_window"], true, "the first policy came right after the start: {close}");
    }
    metric_until(&agent, "watchfire_flow_verdicts_changed_total", |changes| changes == 6);
}
