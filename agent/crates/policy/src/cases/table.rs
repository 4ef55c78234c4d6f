//! Cases of other shapes, which ask for one part of the engine alone: patterns of host names, rules of a mesh, tiers of admin
//! policies, and policies written as a flat list of entries.

mod entries;
mod names;
mod rules;
mod tiers;

use serde_json::Value;

use super::judge::Answer;

/// One question of a table, with its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) question: String,
    pub(super) expected: String,
    pub(super) got: String,
}

impl Row {
    fn new(question: impl ToString, expected: impl ToString, got: impl ToString) -> Self {
        Self { question: question.to_string(), expected: expected.to_string(), got: got.to_string() }
    }
}

/// Answers a case of one of the shapes; none where it is of none of them.
pub(super) fn read(case: &Value, file: &Value) -> Option<Result<Vec<Row>, String>> {
    let has = |field: &str| case.get(field).is_some();
    if has("pattern") {
        Some(names::rows(case))
    } else if has("rules") {
        Some(rules::rows(case, file))
    } else if has("tier_probes") {
        Some(tiers::rows(case))
    } else if has("entries") {
        Some(entries::rows(case))
    } else {
        None
    }
}

/// Rows that stand in a list of the file and not in a case.
pub(super) fn beside_the_cases(file: &Value) -> Option<(&'static str, Result<Vec<Row>, String>)> {
    file.get("string_match").map(|table| ("string_match", rules::strings(table)))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a [Value], String> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(entries)) => Ok(entries),
        Some(_) => Err(format!("{field}: expected a list")),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value.get(field).and_then(Value::as_str).ok_or_else(|| format!("{field}: expected a text"))
}

/// The answer to a case whose policies all have to be accepted.
fn answer(case: Value, dialect: watchfire_model::Dialect) -> Result<Answer, String> {
    let answer = Answer::of(case, dialect).map_err(|error| error.to_string())?;
    match answer.refused.first() {
        Some((index, reason)) => Err(format!("policies[{index}]: {reason}")),
        None => Ok(answer),
    }
}
