//! What Prometheus' own tool says about metrics and rules.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;
use watchfire_tests::scraping::deploy;
use watchfire_tests::until;

use super::attack;
use crate::running::{FAMILIES, bare, http_get, only, ready};
use crate::verdict::{INVENTORY, POLICIES, cgroups};

/// `promtool check metrics` finds nothing to say about what an agent shows, with and without Hubble's names.
pub(crate) fn metrics_are_clean() {
    let config = json!({ "sensor": { "families": only(&FAMILIES) }, "metrics": { "hubble": true } });
    let agent = bare(&["--config", "config.yaml", "--inventory", "inventory.yaml", "--policies", "policies"])
        .with_file("config.yaml", &config.to_string())
        .with_file("inventory.yaml", INVENTORY)
        .with_file("policies/shop.yaml", POLICIES);
    let agent = ready(agent.start());
    let cgroups = cgroups();
    drop(attack::run(&cgroups));
    let body = until("Hubble's names", || {
        let (_, body) = http_get(&agent, "/metrics");
        let names =
            ["flows_processed", "policy_verdicts", "dns_queries", "dns_responses", "port_distribution"];
        let is_there = |name: &&str| body.contains(&format!("\nhubble_{name}_total{{"));
        names.iter().all(is_there).then_some(body)
    });
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start promtool");
    check.stdin.take().expect("stdin is piped").write_all(body.as_bytes()).expect("tell promtool");
    let output = check.wait_with_output().expect("wait for promtool");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// The rules are well-formed and fire when they should.
pub(crate) fn rules_are_right() {
    let run = |arguments: &[&str]| {
        let mut promtool = Command::new("promtool");
        let output = promtool.args(arguments).current_dir(deploy().join("alerts")).output();
        let output = output.expect("start promtool");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    };
    run(&["check", "rules", "rules.yaml"]);
    run(&["test", "rules", "rules_test.yaml"]);
}
