//! What holds whatever the policies are, on random cases of either dialect.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use watchfire_model::{Dialect, PolicyRef, RuleRef, SideVerdict, Tier};
use watchfire_policy::cases::Answer;
use watchfire_policy::{Match, RuleTrial, Verb};
use watchfire_tests::policy::{Kinds, Random, case};

/// Cases of each property and dialect, and connections of each.
const CASES: u64 = 100;
const PROBES: usize = 100;
/// Changes of the policies, one after another.
const CHANGES: usize = 6;

const DIALECTS: [(&str, Kinds, Dialect); 2] =
    [("k8s", Kinds::Kubernetes, Dialect::K8s), ("cilium", Kinds::Cilium, Dialect::Cilium)];

type Property = fn(&Value, &mut Random, Dialect);

const PROPERTIES: [(&str, Property); 7] = [
    ("memory_changes_nothing", memory),
    ("memory_follows_changes_of_the_policies", memory_of_changes),
    ("explanations_say_what_verdicts_say", explanation),
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
                    let _seed = Named(seed);
                    property(&case(seed, kinds, PROBES), &mut Random::new(seed), dialect);
                }
                Ok(())
            }));
        }
    }
    trials
}

/// A seed that is printed where its case fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("\nfailed with seed {}", self.0);
        }
    }
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

/// Now these policies, now those, of which some were there before.
fn memory_of_changes(case: &Value, random: &mut Random, dialect: Dialect) {
    let count = case["policies"].as_array().map_or(0, Vec::len);
    let mut choice: Vec<usize> = (0..count).collect();
    let mut choices = vec![choice.clone()];
    for _ in 0..CHANGES {
        let changed = random.below(count);
        match choice.iter().position(|index| *index == changed) {
            Some(at) => _ = choice.remove(at),
            None => choice.push(changed),
        }
        choice.sort_unstable();
        choices.push(choice.clone());
    }
    let in_turn =
        Answer::in_turn(case.clone(), dialect, &choices).unwrap_or_else(|error| panic!("{error}: {case}"));
    for (choice, remembered) in choices.iter().zip(in_turn) {
        let mut alone = case.clone();
        alone["policies"] = choice.iter().map(|index| case["policies"][index].clone()).collect();
        assert_eq!(judge(&alone, dialect).verdicts, remembered, "{choice:?} of {case}");
    }
}

fn explanation(case: &Value, _random: &mut Random, dialect: Dialect) {
    let explained =
        Answer::explained(case.clone(), dialect).unwrap_or_else(|error| panic!("{error}: {case}"));
    for (verdict, explanation) in judge(case, dialect).verdicts.iter().zip(&explained) {
        assert_eq!(*verdict, explanation.verdict, "{case}");
        for (side, considered) in
            [(&verdict.egress, &explanation.egress), (&verdict.ingress, &explanation.ingress)]
        {
            let matching = || {
                let trials = considered.iter().flat_map(|policy| &policy.rules);
                trials.filter(|trial| (trial.peer, trial.port) == (Match::Yes, Match::Yes))
            };
            let decides = |rule: &RuleRef, verb| {
                matching().any(|trial| {
                    trial.verb == verb && trial.rule.policy == rule.policy && trial.rule.path() == rule.path()
                })
            };
            match side {
                SideVerdict::Allow { rule } => assert!(decides(rule, Verb::Allows), "{rule:?} in {case}"),
                SideVerdict::DenyRule { rule } => assert!(decides(rule, Verb::Denies), "{rule:?} in {case}"),
                SideVerdict::DenyDefault { isolating } => {
                    let is_considered =
                        |policy: &Arc<PolicyRef>| considered.iter().any(|known| known.policy == *policy);
                    assert!(isolating.iter().all(is_considered), "{side} in {case}");
                    let allows =
                        |trial: &&RuleTrial| trial.verb == Verb::Allows && trial.rule.tier == Tier::Normal;
                    assert!(!matching().any(|trial| allows(&trial)), "{side} in {case}");
                }
                SideVerdict::NotCovered | SideVerdict::Exempt { .. } | SideVerdict::Unknown { .. } => {}
            }
        }
    }
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
    let allow = json!({"toPorts": [{"ports": [{"port": "80"}, {"port": "0", "protocol": "UDP"}]}]});
    let mut with = case.clone();
    let permission = if dialect == Dialect::Cilium && random.one_in(2) {
        json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy",
            "metadata": {"name": "one-more"},
            "spec": {"endpointSelector": {}, "ingress": [allow], "egress": [allow]},
        })
    } else {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "one-more", "namespace": namespace},
            "spec": {"policyTypes": ["Ingress", "Egress"], "ingress": [rule], "egress": [rule]},
        })
    };
    with["policies"].as_array_mut().unwrap().push(permission);
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
