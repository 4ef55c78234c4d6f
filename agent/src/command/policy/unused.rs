//! `watchfire policy unused`: policies and rules that no recorded flow ever matched.

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use watchfire_model::{Direction, PolicyRef, SideVerdict};
use watchfire_policy::{Considered, Match};

use super::flows::{FlowArgs, Flows};
use super::options::{Format, StateArgs};
use super::output::{placed, policy_json, rule_path, side, write, write_json};
use super::state::State;

/// Arguments of `policy unused`.
#[derive(clap::Args, Debug)]
pub(super) struct UnusedArgs {
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    flows: FlowArgs,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

pub(super) fn run(args: &UnusedArgs) -> Result<ExitCode> {
    let mut state = args.state.read()?;
    let flows = args.flows.read(&mut state)?;
    let use_ = Use::of(&state, &flows);
    let unused = unused(&state, &use_);
    match args.output {
        Format::Text => write(&text(&state, &flows, &unused))?,
        Format::Json => write_json(&json(&state, &flows, &unused))?,
    }
    Ok(ExitCode::SUCCESS)
}

type RuleKey = (Arc<PolicyRef>, String);

/// What flows had to do with policies.
#[derive(Default)]
struct Use {
    /// Policies that select an end of some flow.
    selecting: HashSet<Arc<PolicyRef>>,
    /// Policies without which some flow would not be denied by default.
    isolating: HashSet<Arc<PolicyRef>>,
    /// Rules that matched, with whether that is certain.
    matched: HashMap<RuleKey, bool>,
}

impl Use {
    fn of(state: &State, flows: &Flows) -> Self {
        let mut known = Self::default();
        for seen in &flows.seen {
            let explanation = state.trials(&state.set, &seen.talk);
            known.note(&explanation.egress);
            known.note(&explanation.ingress);
            for direction in [Direction::Egress, Direction::Ingress] {
                if let SideVerdict::DenyDefault { isolating } = side(&explanation.verdict, direction) {
                    known.isolating.extend(isolating.iter().cloned());
                }
            }
        }
        known
    }

    fn note(&mut self, considered: &[Considered]) {
        for policy in considered {
            self.selecting.insert(Arc::clone(&policy.policy));
            for trial in &policy.rules {
                let certain = match (trial.peer, trial.port) {
                    (Match::No, _) | (_, Match::No) => continue,
                    (Match::Yes, Match::Yes) => true,
                    (Match::Unknown(_), _) | (_, Match::Unknown(_)) => false,
                };
                let key = (Arc::clone(&policy.policy), rule_path(&trial.rule));
                *self.matched.entry(key).or_default() |= certain;
            }
        }
    }
}

/// A policy of which something is not used.
struct Unused {
    policy: Arc<PolicyRef>,
    /// None of its subjects has a flow.
    selects_nobody: bool,
    /// It denied nothing by default either.
    denies_nothing: bool,
    /// Rules that nothing matched.
    rules: Vec<String>,
    /// Rules of which it is not known whether anything matched.
    maybe: Vec<String>,
    rules_len: usize,
}

impl Unused {
    /// Whether nothing of it is used.
    fn is_whole(&self) -> bool {
        self.selects_nobody || (self.denies_nothing && self.rules.len() == self.rules_len)
    }
}

fn unused(state: &State, known: &Use) -> Vec<Unused> {
    let mut found = Vec::new();
    for policy in state.set.policies() {
        let reference = policy.reference();
        if !policy.is_known_to(state.set.dialect()) || reference.kind == "CiliumCIDRGroup" {
            continue;
        }
        let paths: Vec<_> = policy.rule_refs(state.set.dialect()).iter().map(rule_path).collect();
        let matched = |path: &String| known.matched.get(&(Arc::clone(reference), path.clone()));
        let rules: Vec<_> = paths.iter().filter(|path| matched(path).is_none()).cloned().collect();
        let maybe: Vec<_> = paths.iter().filter(|path| matched(path) == Some(&false)).cloned().collect();
        let one = Unused {
            policy: Arc::clone(reference),
            selects_nobody: !known.selecting.contains(reference),
            denies_nothing: !known.isolating.contains(reference),
            rules_len: paths.len(),
            rules,
            maybe,
        };
        if one.is_whole() || !one.rules.is_empty() || !one.maybe.is_empty() {
            found.push(one);
        }
    }
    found
}

fn text(state: &State, flows: &Flows, unused: &[Unused]) -> String {
    let mut text = String::new();
    for one in unused {
        let policy = placed(state, &one.policy);
        if one.is_whole() {
            let why = if one.selects_nobody {
                "no flow has an end that it selects"
            } else {
                "it selects ends of flows, but no rule matched and nothing was denied by it"
            };
            text += &format!("unused policy  {policy}: {why}\n");
            continue;
        }
        for rule in &one.rules {
            text += &format!("unused rule    {policy} {rule}\n");
        }
        for rule in &one.maybe {
            text += &format!("not known      {policy} {rule}\n");
        }
    }
    let policies = unused.iter().filter(|one| one.is_whole()).count();
    let rules: usize = unused.iter().filter(|one| !one.is_whole()).map(|one| one.rules.len()).sum();
    text + &format!(
        "{policies} policies and {rules} rules of others were not used by {} flows between {} pairs of ends\n",
        flows.seen.iter().map(|seen| seen.flows).sum::<u64>(),
        flows.seen.len(),
    )
}

fn json(state: &State, flows: &Flows, unused: &[Unused]) -> serde_json::Value {
    let all: Vec<_> = (unused.iter())
        .map(|one| {
            json!({
                "policy": policy_json(state, &one.policy), "whole": one.is_whole(),
                "selects_nobody": one.selects_nobody, "denies_nothing": one.denies_nothing,
                "rules": one.rules, "not_known": one.maybe,
            })
        })
        .collect();
    json!({ "records": flows.records, "connections": flows.seen.len(), "unused": all })
}
