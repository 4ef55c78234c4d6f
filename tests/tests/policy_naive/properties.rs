//! What holds whatever the policies are, on random cases of either dialect.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use watchfire_model::{Dialect, SideVerdict, Tier};
use watchfire_policy::cases::Answer;
use watchfire_tests::policy::{Kinds, Random, case};

/// Cases of each property and dialect, and connections of each.
const CASES: u64 = 100;
const PROBES: usize = 100;

const DIALECTS: [(&str, Kinds, Dialect); 2] =
    [("k8s", Kinds::Kubernetes, Dialect::K8s), ("cilium", Kinds::Cilium, Dialect::Cilium)];

type Property = fn(&Value, &mut Random, Dialect);

const PROPERTIES: [(&str, Property); 5] = [
    ("memory_changes_nothing", memory),
    ("order_of_objects_does_not_matter", order),
    ("a_permission_more_denies_nothing", permission),
    ("a_policy_of_pods_that_are_not_there_changes_nothing", stranger),
    ("policies_for_others_namespaces_change_nothing", renamed),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, property) in PROPERTIES {
        for (dialect_name, kinds, dialect) in DIALECTS {
            trials.push(Trial::test(format!("{name}_{dialect_name}"), move || {
                for seed in 0..CASES {
                    property(&case(seed, kinds, PROBES), &mut Random::new(seed), dialect);
                }
                Ok(())
            }));
        }
    }
    trials
}

fn judge(case: &Value, dialect: Dialect) -> Answer {
    Answer::of(case.clone(), dialect).unwrap_or_else(|error| panic!("{error}: {case}"))
}

/// The policies of a case that are neither refused nor replaced by a later one of their name.
fn effective(case: &Value, dialect: Dialect) -> Vec<Value> {
    let refused: Vec<_> = judge(case, dialect).refused.into_iter().map(|(index, _)| index).collect();
    let key = |policy: &Value| format!("{}{}", policy["kind"], policy["metadata"]);
    let all: Vec<_> = case["policies"].as_array().into_iter().flatten().enumerate().collect();
    let is_last = |index: usize, policy: &Value| {
        !all.iter().any(|(other, later)| {
            *other > index
                && later["kind"] == policy["kind"]
                && later["metadata"]["name"] == policy["metadata"]["name"]
        })
    };
    let kept = all.iter().filter(|(index, policy)| !refused.contains(index) && is_last(*index, policy));
    let mut kept: Vec<Value> = kept.map(|(_, policy)| (*policy).clone()).collect();
    kept.sort_by_key(key);
    kept
}

fn memory(case: &Value, _random: &mut Random, dialect: Dialect) {
    let remembered =
        Answer::from_memory(case.clone(), dialect).unwrap_or_else(|error| panic!("{error}: {case}"));
    assert_eq!(judge(case, dialect), remembered, "{case}");
}

fn order(case: &Value, random: &mut Random, dialect: Dialect) {
    let mut policies = effective(case, dialect);
    let mut sorted = case.clone();
    sorted["policies"] = json!(policies);
    for index in (1..policies.len()).rev() {
        policies.swap(index, random.below(index + 1));
    }
    let mut shuffled = case.clone();
    shuffled["policies"] = json!(policies);
    // Down to the rule that is named.
    assert_eq!(judge(&sorted, dialect), judge(&shuffled, dialect), "{sorted}");
}

fn permission(case: &Value, random: &mut Random, dialect: Dialect) {
    let namespace = random.pick(&["a", "b", "c"]);
    let rule = json!({"ports": [{"port": 80}, {"protocol": "UDP"}]});
    let mut with = case.clone();
    with["policies"].as_array_mut().unwrap().push(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "one-more", "namespace": namespace},
        "spec": {"policyTypes": ["Ingress", "Egress"], "ingress": [rule], "egress": [rule]},
    }));
    let (before, after) = (judge(case, dialect), judge(&with, dialect));
    for (before, after) in before.verdicts.iter().zip(&after.verdicts) {
        for (before, after) in [(&before.egress, &after.egress), (&before.ingress, &after.ingress)] {
            // Who is not isolated yet becomes so, which is why only rules of the tier and what comes before count.
            let was_allowed = matches!(before, SideVerdict::Allow { rule } if rule.tier != Tier::Baseline);
            let is_denied = matches!(after, SideVerdict::DenyRule { .. } | SideVerdict::DenyDefault { .. });
            assert!(!(was_allowed && is_denied), "{before} became {after} in {with}");
            let was_denied_by_rule =
                matches!(before, SideVerdict::DenyRule { rule } if rule.tier == Tier::Normal);
            assert!(!was_denied_by_rule || before == after, "{before} became {after} in {with}");
        }
    }
}

fn stranger(case: &Value, _random: &mut Random, dialect: Dialect) {
    let mut with = case.clone();
    with["policies"].as_array_mut().unwrap().push(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "one-more", "namespace": "a"},
        "spec": {"podSelector": {"matchLabels": {"app": "nobody"}}, "policyTypes": ["Ingress", "Egress"]},
    }));
    assert_eq!(judge(case, dialect).verdicts, judge(&with, dialect).verdicts, "{with}");
}

/// Every namespaced policy moved to a namespace without pods.
fn renamed(case: &Value, _random: &mut Random, dialect: Dialect) {
    let (mut moved, mut without) = (case.clone(), case.clone());
    let is_namespaced = |policy: &Value| !policy["metadata"]["namespace"].is_null();
    for policy in moved["policies"].as_array_mut().unwrap() {
        if is_namespaced(policy) {
            policy["metadata"]["namespace"] = "nowhere".into();
        }
    }
    without["policies"].as_array_mut().unwrap().retain(|policy| !is_namespaced(policy));
    assert_eq!(judge(&moved, dialect).verdicts, judge(&without, dialect).verdicts, "{moved}");
}
