//! kube-network-policies' cases of ClusterNetworkPolicy, which ask for the verdict of one tier alone.

use libtest_mimic::Completion;
use serde_json::{Value, json};
use watchfire_model::{Dialect, Outcome};
use watchfire_policy::cases::Answer;

/// Cases in the file.
const CASES: usize = 6;

pub(crate) fn check(text: &str) -> Completion {
    let file: Value = serde_json::from_str(text).expect("the file is JSON");
    let cases = file["cases"].as_array().expect("the file holds cases");
    assert_eq!(cases.len(), CASES);
    for case in cases {
        for expected in case["tier_probes"].as_array().into_iter().flatten() {
            for (tier, field) in [("Admin", "expect_admin_tier"), ("Baseline", "expect_baseline_tier")] {
                let policies = case["policies"].as_array().into_iter().flatten();
                let of_tier: Vec<_> = policies.filter(|policy| policy["spec"]["tier"] == tier).collect();
                // Packets carry neither protocol nor port there, and the policies name none.
                let probe = json!({
                    "from": expected["from"], "to": expected["to"], "proto": "TCP", "port": 80, "expect": "allow",
                });
                let asked = json!({
                    "id": case["id"], "namespaces": case["namespaces"], "pods": case["pods"],
                    "nodes": case["nodes"], "policies": of_tier, "probes": [probe],
                });
                let answer = Answer::of(asked, Dialect::K8s).expect("the case can be read");
                assert_eq!(answer.refused, [], "{case}");
                let found = match answer.verdicts[0].outcome {
                    Outcome::Allowed => "accept",
                    Outcome::Denied => "deny",
                    Outcome::NotCovered => "next",
                    Outcome::Unknown => "unknown",
                };
                let expected = expected[field].as_str().unwrap_or_default();
                assert_eq!(found, expected, "{tier} of {case}");
            }
        }
    }
    Completion::Completed
}
