//! One case, judged by both.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use watchfire_model::{Dialect, SideVerdict};
use watchfire_policy::cases::Answer;
use watchfire_tests::policy::{Kinds, case};

use crate::oracle::Oracle;

/// What has been compared so far.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) policies: usize,
    pub(crate) refused: usize,
    /// Directions compared.
    pub(crate) sides: usize,
    /// By what Cilium says.
    pub(crate) verdicts: BTreeMap<String, usize>,
    /// Directions that are a node's own and that policy decides.
    pub(crate) of_nodes: usize,
    /// Directions for which Cilium works out no policy at all, since rules on what is said conflict.
    pub(crate) unanswered: usize,
    pub(crate) differences: Vec<String>,
}

impl Tally {
    pub(crate) fn case(&mut self, oracle: &mut Oracle, seed: u64, probes: usize) {
        let case = case(seed, Kinds::Cilium, probes);
        let theirs = oracle.ask(&case);
        let ours =
            Answer::of(case.clone(), Dialect::Cilium).unwrap_or_else(|error| panic!("{error}: {case}"));
        if let Some(reason) = theirs.failed {
            return self.differ(format!("seed {seed}: Cilium fails: {reason}: {case}"));
        }
        self.cases += 1;
        self.policies += case["policies"].as_array().map_or(0, Vec::len);
        self.refused += theirs.refused.len();
        let refused: BTreeMap<usize, String> = ours.refused.into_iter().collect();
        let policies = case["policies"].as_array().into_iter().flatten().enumerate();
        for (index, policy) in policies {
            match (refused.get(&index), theirs.refused.get(&index)) {
                (Some(reason), None) => {
                    return self.differ(format!("seed {seed}: only we refuse it, {reason}: {policy}"));
                }
                (None, Some(reason)) => {
                    return self.differ(format!("seed {seed}: only Cilium refuses it, {reason}: {policy}"));
                }
                _ => {}
            }
        }
        let probes = case["probes"].as_array().into_iter().flatten();
        assert_eq!((ours.verdicts.len(), theirs.probes.len()), (probes.clone().count(), ours.verdicts.len()));
        for ((verdict, [egress, ingress]), probe) in ours.verdicts.iter().zip(&theirs.probes).zip(probes) {
            for (side, theirs, field) in
                [(&verdict.egress, egress, "expect_egress"), (&verdict.ingress, ingress, "expect_ingress")]
            {
                if theirs.starts_with("error") {
                    self.unanswered += 1;
                    continue;
                }
                self.sides += 1;
                let own = if field == "expect_egress" { &probe["from"] } else { &probe["to"] };
                self.of_nodes += usize::from(!own["ip"].is_null() && *side != SideVerdict::NotCovered);
                *self.verdicts.entry(theirs.clone()).or_default() += 1;
                let ours = word(side);
                if ours != theirs {
                    let small = shrink(oracle, &case, probe, field);
                    return self
                        .differ(format!("seed {seed}: we say {ours} ({side}), Cilium {theirs}:\n{small}"));
                }
            }
        }
    }

    fn differ(&mut self, what: String) {
        self.differences.push(what);
    }
}

/// A direction's verdict as the oracle words it.
fn word(side: &SideVerdict) -> &'static str {
    match side {
        SideVerdict::Allow { .. } | SideVerdict::Exempt { .. } | SideVerdict::NotCovered => "allow",
        SideVerdict::DenyRule { .. } => "policy-deny",
        SideVerdict::DenyDefault { .. } => "default-deny",
        SideVerdict::Unknown { .. } => "unknown",
    }
}

/// Whether the two say different things of the one direction of the one connection of a case; then what Cilium says.
fn difference(oracle: &mut Oracle, case: &Value, field: &str) -> Option<String> {
    let side = usize::from(field == "expect_ingress");
    let answer = oracle.ask(case);
    let theirs = answer.probes.first()?[side].clone();
    let ours = Answer::of(case.clone(), Dialect::Cilium).ok()?;
    let refused = |index: &usize| ours.refused.iter().any(|(ours, _)| ours == index);
    if answer.refused.len() != ours.refused.len() || !answer.refused.keys().all(refused) {
        return None;
    }
    let verdict = ours.verdicts.first()?;
    let ours = word(if side == 1 { &verdict.ingress } else { &verdict.egress });
    (ours != theirs && !theirs.starts_with("error")).then_some(theirs)
}

/// The case with nothing in it that is not needed for the difference, in the shape of a case file.
fn shrink(oracle: &mut Oracle, case: &Value, probe: &Value, field: &str) -> Value {
    let mut small = case.clone();
    small["probes"] = json!([probe]);
    for field_of_world in ["names", "services", "api_server", "options"] {
        let mut without = small.clone();
        without[field_of_world] =
            if field_of_world == "names" || field_of_world == "options" { json!({}) } else { json!([]) };
        if difference(oracle, &without, field).is_some() {
            small = without;
        }
    }
    for pointer in ["/policies", "/pods", "/services", "/nodes", "/namespaces"] {
        let mut index = 0;
        while index < small.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len) {
            let mut without = small.clone();
            if let Some(list) = without.pointer_mut(pointer).and_then(Value::as_array_mut) {
                list.remove(index);
            }
            // A case whose ends are gone is none.
            if is_whole(&without) && difference(oracle, &without, field).is_some() {
                small = without;
            } else {
                index += 1;
            }
        }
    }
    drop_parts(oracle, &mut small, field);
    if let Some(expected) = difference(oracle, &small, field) {
        small["probes"][0][field] = expected.into();
    }
    small
}

/// Takes away list entries and fields of the policies, as long as the difference stays.
fn drop_parts(oracle: &mut Oracle, small: &mut Value, field: &str) {
    let mut pointers = Vec::new();
    collect("/policies", small.pointer("/policies").unwrap_or(&Value::Null), &mut pointers);
    // The longest first: parts before what holds them.
    pointers.sort_by_key(|pointer| std::cmp::Reverse(pointer.matches('/').count()));
    for pointer in pointers {
        let mut without = small.clone();
        let Some((parent, key)) = pointer.rsplit_once('/') else { continue };
        match without.pointer_mut(parent) {
            Some(Value::Object(fields)) => _ = fields.remove(&key.replace("~1", "/").replace("~0", "~")),
            Some(Value::Array(entries)) => match key.parse::<usize>() {
                Ok(index) if index < entries.len() => _ = entries.remove(index),
                _ => continue,
            },
            _ => continue,
        }
        if difference(oracle, &without, field).is_some() {
            *small = without;
        }
    }
}

fn collect(pointer: &str, value: &Value, into: &mut Vec<String>) {
    let mut add = |key: String, value: &Value| {
        let own = format!("{pointer}/{key}");
        collect(&own, value, into);
        into.push(own);
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                add(key.replace('~', "~0").replace('/', "~1"), value);
            }
        }
        Value::Array(entries) => {
            for (index, value) in entries.iter().enumerate().rev() {
                add(index.to_string(), value);
            }
        }
        _ => {}
    }
}

/// Whether the pods that the connection is between are there.
fn is_whole(case: &Value) -> bool {
    let probe = &case["probes"][0];
    ["from", "to"].iter().all(|end| {
        probe[end].as_str().is_none_or(|name| {
            case["pods"].as_array().into_iter().flatten().any(|pod| {
                let text = |field: &str| pod[field].as_str().unwrap_or_default().to_owned();
                format!("{}/{}", text("namespace"), text("name")) == name
            })
        })
    })
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, policies, refused, sides, verdicts, of_nodes, unanswered, differences } = self;
        write!(
            f,
            "{cases} cases, {policies} policies of which {refused} refused, {sides} directions compared {verdicts:?}, \
             {of_nodes} of them nodes' own, {unanswered} not answered, {} differences",
            differences.len()
        )
    }
}
