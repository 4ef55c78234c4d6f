//! What this engine says of a case, whatever it expects: for comparison with other engines.

use std::sync::Arc;

use serde_json::Value;
use watchfire_model::{Dialect, Verdict};

use super::file::{CaseFileError, CaseSource};
use super::run::judge;
use crate::document::parse_object;
use crate::yaml::from_value;
use crate::{Connection, Policy, PolicySet, VerdictCache, World};

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

    fn by(
        mut case: Value,
        dialect: Dialect,
        mut judge_one: impl FnMut(&PolicySet, &dyn World, &Connection<'_>) -> Verdict,
    ) -> Result<Self, CaseFileError> {
        let id = case.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let fail = |reason| CaseFileError::Case { case: id.clone(), reason };
        let objects = case.get_mut("policies").map(Value::take).unwrap_or_default();
        let mut refused = Vec::new();
        let mut policies: Vec<(usize, Arc<Policy>)> = Vec::new();
        for (index, object) in objects.as_array().into_iter().flatten().enumerate() {
            match parse_object(object.clone()) {
                Ok(Some(policy)) => policies.push((index, policy)),
                Ok(None) => refused.push((index, "its kind is not judged by".to_owned())),
                Err(reason) => refused.push((index, reason)),
            }
        }
        let source: CaseSource = from_value(case).map_err(fail)?;
        let (cluster, options, probes) = source.into_parts();
        let set =
            PolicySet::with_options(dialect, options, policies.iter().map(|(_, policy)| Arc::clone(policy)));
        let is_refused = |policy: &Arc<Policy>| set.refused().iter().any(|other| Arc::ptr_eq(other, policy));
        let by_options = policies.iter().filter(|(_, policy)| is_refused(policy));
        refused.extend(by_options.map(|(index, _)| (*index, "not switched on".to_owned())));
        refused.sort();
        let mut judge_one = |connection: &Connection<'_>| judge_one(&set, &cluster, connection);
        let verdicts = probes.iter().filter_map(|probe| judge(&cluster, probe, &mut judge_one)).collect();
        Ok(Self { refused, verdicts })
    }
}
