//! What this engine says of a case, whatever it expects: for comparison with other engines.

use std::sync::Arc;

use serde_json::Value;
use watchfire_model::{Dialect, Verdict};

use super::cluster::Cluster;
use super::file::{CaseFileError, CaseSource};
use super::probe::Probe;
use super::run::judge;
use crate::document::parse_object;
use crate::yaml::from_value;
use crate::{CiliumOptions, Connection, Explanation, Policy, PolicySet, VerdictCache, World};

/// Verdicts of a case.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Policies that are refused, by position, with the reason. The others are judged by.
    pub refused: Vec<(usize, String)>,
    /// One for each probe.
    pub verdicts: Vec<Verdict>,
}

impl Answer {
    /// Judges the probes of one case, written as in a case file.
    pub fn of(case: Value, dialect: Dialect) -> Result<Self, CaseFileError> {
        Self::by(case, dialect, |set, world, connection| set.judge(world, connection))
    }

    /// As `of`, but each connection is judged twice, the second time from memory.
    pub fn from_memory(case: Value, dialect: Dialect) -> Result<Self, CaseFileError> {
        let mut cache = VerdictCache::new();
        Self::by(case, dialect, |set, world, connection| {
            set.judge_with(&mut cache, world, connection);
            Verdict::clone(&set.judge_with(&mut cache, world, connection))
        })
    }

    /// As `of`, for several choices among the policies one after another, all from one memory: what it keeps has to follow
    /// each change.
    pub fn in_turn(
        case: Value,
        dialect: Dialect,
        choices: &[Vec<usize>],
    ) -> Result<Vec<Vec<Verdict>>, CaseFileError> {
        let asked = Asked::read(case)?;
        let mut cache = VerdictCache::new();
        let choice = |choice: &Vec<usize>| {
            let chosen = asked.policies.iter().filter(|(index, _)| choice.contains(index));
            let set = asked.set(dialect, chosen.map(|(_, policy)| Arc::clone(policy)));
            asked.verdicts(&mut |world, connection| {
                Verdict::clone(&set.judge_with(&mut cache, world, connection))
            })
        };
        Ok(choices.iter().map(choice).collect())
    }

    /// The explanation of each probe.
    pub fn explained(case: Value, dialect: Dialect) -> Result<Vec<Explanation>, CaseFileError> {
        let asked = Asked::read(case)?;
        let set = asked.set(dialect, asked.policies.iter().map(|(_, policy)| Arc::clone(policy)));
        Ok(asked.verdicts(&mut |world, connection| set.explain(world, connection)))
    }

    fn by(
        case: Value,
        dialect: Dialect,
        mut judge_one: impl FnMut(&PolicySet, &dyn World, &Connection<'_>) -> Verdict,
    ) -> Result<Self, CaseFileError> {
        let asked = Asked::read(case)?;
        let set = asked.set(dialect, asked.policies.iter().map(|(_, policy)| Arc::clone(policy)));
        let is_refused = |policy: &Arc<Policy>| set.refused().iter().any(|other| Arc::ptr_eq(other, policy));
        let by_options = asked.policies.iter().filter(|(_, policy)| is_refused(policy));
        let mut refused = asked.refused.clone();
        refused.extend(by_options.map(|(index, _)| (*index, "not switched on".to_owned())));
        refused.sort();
        let verdicts = asked.verdicts(&mut |world, connection| judge_one(&set, world, connection));
        Ok(Self { refused, verdicts })
    }
}

/// A case that has been read.
struct Asked {
    cluster: Cluster,
    options: CiliumOptions,
    /// By position among the objects.
    policies: Vec<(usize, Arc<Policy>)>,
    refused: Vec<(usize, String)>,
    probes: Vec<Probe>,
}

impl Asked {
    fn read(mut case: Value) -> Result<Self, CaseFileError> {
        let id = case.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let fail = |reason| CaseFileError::Case { case: id.clone(), reason };
        let objects = case.get_mut("policies").map(Value::take).unwrap_or_default();
        let (mut policies, mut refused) = (Vec::new(), Vec::new());
        for (index, object) in objects.as_array().into_iter().flatten().enumerate() {
            match parse_object(object.clone()) {
                Ok(Some(policy)) => policies.push((index, policy)),
                Ok(None) => refused.push((index, "its kind is not judged by".to_owned())),
                Err(reason) => refused.push((index, reason)),
            }
        }
        let source: CaseSource = from_value(case).map_err(fail)?;
        let (cluster, options, probes) = source.into_parts();
        Ok(Self { cluster, options, policies, refused, probes })
    }

    fn set(&self, dialect: Dialect, policies: impl Iterator<Item = Arc<Policy>>) -> PolicySet {
        PolicySet::with_options(dialect, self.options.clone(), policies)
    }

    fn verdicts<V>(&self, judge_one: &mut dyn FnMut(&dyn World, &Connection<'_>) -> V) -> Vec<V> {
        let mut judge_one = |connection: &Connection<'_>| judge_one(&self.cluster, connection);
        self.probes.iter().filter_map(|probe| judge(&self.cluster, probe, &mut judge_one)).collect()
    }
}
