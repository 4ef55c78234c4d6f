//! The policy engine against an evaluator that was written from the API reference alone, as plainly as can be and without
//! any of the engine's code; and properties that hold whatever the policies are.
//!
//! `POLICY_NAIVE_PROBES` says how many random connections are judged.

#[expect(
    clippy::unwrap_used,
    reason = "a case that is not as the generator makes them is a mistake of the test"
)]
mod mesh;
#[expect(clippy::unwrap_used, reason = "as above")]
mod naive;
#[expect(clippy::unwrap_used, reason = "as above")]
mod properties;

use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use watchfire_model::{Dialect, SideVerdict};
use watchfire_policy::cases::Answer;
use watchfire_tests::policy::{Kinds, case};

/// Connections that are judged where nothing else is said.
const PROBES: usize = 1_000_000;
/// Connections of one case.
const CASE_PROBES: usize = 400;

fn main() {
    let mut trials = vec![Trial::test("the_evaluators_agree", || {
        agree();
        Ok(())
    })];
    trials.push(Trial::test("the_evaluators_of_the_mesh_agree", || {
        mesh::agree();
        Ok(())
    }));
    trials.extend(properties::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// How many connections to judge.
fn probes(otherwise: usize) -> usize {
    std::env::var("POLICY_NAIVE_PROBES").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn agree() {
    let (mut seed, mut judged, mut left_out) = (0, 0, 0);
    let mut found = std::collections::BTreeMap::<&str, usize>::new();
    while judged < 2 * probes(PROBES) {
        let case = case(seed, Kinds::Kubernetes, CASE_PROBES);
        let answer = Answer::of(case.clone(), Dialect::K8s).unwrap_or_else(|error| panic!("{error}: {case}"));
        assert_eq!(answer.refused, [], "seed {seed}");
        let naive = naive::Cluster::new(&case);
        let probes = case["probes"].as_array().into_iter().flatten();
        for (verdict, probe) in answer.verdicts.iter().zip(probes) {
            for (side, direction) in [(&verdict.egress, "egress"), (&verdict.ingress, "ingress")] {
                // A node that connects may be anyone, of which the naive evaluator knows nothing.
                let Some(expected) = naive.judge(probe, direction) else {
                    left_out += 1;
                    continue;
                };
                let ours = word(side);
                assert_eq!(ours, expected, "seed {seed} {direction} ({side}) of {probe} in {}", small(&case));
                *found.entry(ours).or_default() += 1;
                judged += 1;
            }
        }
        seed += 1;
    }
    println!("\n{seed} cases, {judged} directions judged {found:?}, {left_out} left out, 0 differences");
}

fn small(case: &Value) -> String {
    format!("{}\n{}\n{}", case["policies"], case["pods"], case["namespaces"])
}

fn word(side: &SideVerdict) -> &'static str {
    match side {
        SideVerdict::Allow { .. } => "allow",
        SideVerdict::DenyRule { .. } => "deny-rule",
        SideVerdict::DenyDefault { .. } => "deny-default",
        SideVerdict::NotCovered => "not-covered",
        SideVerdict::Exempt { .. } => "exempt",
        SideVerdict::Unknown { .. } => "unknown",
    }
}
