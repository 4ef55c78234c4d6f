//! Label selectors: `metav1.LabelSelector`, strict on input and compiled for matching.

use std::collections::BTreeMap;

use serde::Deserialize;
use watchfire_model::{Labels, UnknownReason};

use crate::Match;

/// The label that the API server sets on every namespace to the namespace's own name.
pub(crate) const METADATA_NAME: &str = "kubernetes.io/metadata.name";

/// `metav1.LabelSelector` as written. An empty one selects everything; what an absent one means is for the field
/// that holds it to say.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelSelector {
    /// Pairs that must all be present.
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Requirements that must all hold.
    pub match_expressions: Option<Vec<LabelSelectorRequirement>>,
}

/// One entry of `matchExpressions` as written.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSelectorRequirement {
    /// Label key.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// At least one for `In` and `NotIn`, none for the other two.
    pub values: Option<Vec<String>>,
}

/// Why a selector is refused; `path` leads from the selector to the place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct InvalidSelector {
    /// The place, e.g. `matchExpressions[0].operator`.
    pub path: String,
    /// What was expected and what was found.
    pub reason: String,
}

/// A selector that has passed validation. Requirements are kept apart by operator shape so that none needs its
/// operator looked at while matching.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Selector {
    requirements: Box<[Requirement]>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Requirement {
    pub(crate) key: Box<str>,
    pub(crate) test: Test,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Test {
    Equals(Box<str>),
    In(Box<[String]>),
    NotIn(Box<[String]>),
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Validates and compiles a selector.
    pub fn compile(source: &LabelSelector) -> Result<Self, InvalidSelector> {
        let mut requirements = Vec::new();
        for (key, value) in source.match_labels.iter().flatten() {
            if key.is_empty() {
                return Err(invalid("matchLabels", "empty label key"));
            }
            let test = Test::Equals(value.as_str().into());
            requirements.push(Requirement { key: key.as_str().into(), test });
        }
        for (index, expression) in source.match_expressions.iter().flatten().enumerate() {
            requirements.push(requirement(expression).map_err(|(field, reason)| {
                invalid(&format!("matchExpressions[{index}].{field}"), &reason)
            })?);
        }
        Ok(Self { requirements: requirements.into() })
    }

    /// A selector of requirements that have passed validation.
    pub(crate) fn of(requirements: impl Iterator<Item = (String, Test)>) -> Self {
        let requirements = requirements.map(|(key, test)| Requirement { key: key.into(), test });
        Self { requirements: requirements.collect() }
    }

    pub(crate) const fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether a pod with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| {
            requirement.test.holds(labels.get(requirement.key.as_ref()).map(String::as_str))
        })
    }

    /// Whether a namespace is selected. Its name stands in for the label that the API server derives from it, so that
    /// a selector on the name alone is decided even where the labels are not known.
    #[must_use]
    pub fn matches_namespace(&self, name: &str, labels: Option<&Labels>) -> Match {
        self.requirements.iter().fold(Match::Yes, |so_far, requirement| {
            let key = requirement.key.as_ref();
            so_far
                & if key == METADATA_NAME {
                    requirement.test.holds(Some(name)).into()
                } else {
                    labels.map_or(Match::Unknown(UnknownReason::PeerUnresolved), |labels| {
                        requirement.test.holds(labels.get(key).map(String::as_str)).into()
                    })
                }
        })
    }
}

impl Test {
    pub(crate) fn holds(&self, value: Option<&str>) -> bool {
        let is_one_of = |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
        match self {
            Self::Equals(expected) => value == Some(expected.as_ref()),
            Self::In(values) => is_one_of(values),
            Self::NotIn(values) => !is_one_of(values),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
        }
    }
}

fn requirement(source: &LabelSelectorRequirement) -> Result<Requirement, (&'static str, String)> {
    let LabelSelectorRequirement { key, operator, values } = source;
    if key.is_empty() {
        return Err(("key", "empty label key".to_owned()));
    }
    let values: Box<[String]> = values.as_deref().unwrap_or_default().into();
    let test = match (operator.as_str(), values.is_empty()) {
        ("In", false) => Test::In(values),
        ("NotIn", false) => Test::NotIn(values),
        ("Exists", true) => Test::Exists,
        ("DoesNotExist", true) => Test::DoesNotExist,
        ("In" | "NotIn", true) => return Err(("values", format!("{operator} needs at least one value"))),
        ("Exists" | "DoesNotExist", false) => return Err(("values", format!("{operator} takes no values"))),
        _ => {
            return Err((
                "operator",
                format!("expected In, NotIn, Exists or DoesNotExist, found \"{operator}\""),
            ));
        }
    };
    Ok(Requirement { key: key.as_str().into(), test })
}

fn invalid(path: &str, reason: &str) -> InvalidSelector {
    InvalidSelector { path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: Match = Match::Unknown(UnknownReason::PeerUnresolved);

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn selector(json: &str) -> Result<Selector, InvalidSelector> {
        Selector::compile(&serde_json::from_str(json).unwrap())
    }

    #[track_caller]
    fn check(json: &str, pairs: &[(&str, &str)], expect: bool) {
        assert_eq!(selector(json).unwrap().matches(&labels(pairs)), expect, "{json} on {pairs:?}");
    }

    #[test]
    fn requirements_are_anded_and_compare_as_strings() {
        check("{}", &[], true);
        check("{}", &[("a", "b")], true);
        check(r#"{"matchLabels": {"a": "b"}}"#, &[("a", "b"), ("c", "d")], true);
        check(r#"{"matchLabels": {"a": "b"}}"#, &[("a", "B")], false);
        check(r#"{"matchLabels": {"a": "b", "c": "d"}}"#, &[("a", "b")], false);
        check(r#"{"matchLabels": {"a": ""}}"#, &[], false);
        check(r#"{"matchLabels": {"a": ""}}"#, &[("a", "")], true);
        let in_and_exists = r#"{"matchExpressions": [
            {"key": "a", "operator": "In", "values": ["x", "y"]}, {"key": "b", "operator": "Exists"}]}"#;
        check(in_and_exists, &[("a", "y"), ("b", "")], true);
        check(in_and_exists, &[("a", "y")], false);
        check(in_and_exists, &[("b", "1")], false);
        let not_in = r#"{"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}"#;
        check(not_in, &[], true);
        check(not_in, &[("a", "y")], true);
        check(not_in, &[("a", "x")], false);
        let absent = r#"{"matchExpressions": [{"key": "a", "operator": "DoesNotExist", "values": []}]}"#;
        check(absent, &[("b", "x")], true);
        check(absent, &[("a", "")], false);
        check(r#"{"matchLabels": null, "matchExpressions": null}"#, &[("a", "x")], true);
    }

    #[test]
    fn what_the_api_refuses() {
        for (json, expect) in [
            (r#"{"key": "a", "operator": "In"}"#, "matchExpressions[0].values: In needs at least one value"),
            (
                r#"{"key": "a", "operator": "NotIn", "values": []}"#,
                "matchExpressions[0].values: NotIn needs at least one value",
            ),
            (
                r#"{"key": "a", "operator": "Exists", "values": ["x"]}"#,
                "matchExpressions[0].values: Exists takes no values",
            ),
            (
                r#"{"key": "a", "operator": "Equals", "values": ["x"]}"#,
                "matchExpressions[0].operator: expected In, NotIn, Exists or DoesNotExist, found \"Equals\"",
            ),
            (r#"{"key": "", "operator": "Exists"}"#, "matchExpressions[0].key: empty label key"),
        ] {
            let json = format!(r#"{{"matchExpressions": [{json}]}}"#);
            assert_eq!(selector(&json).unwrap_err().to_string(), expect);
        }
    }

    #[test]
    fn a_namespace_is_known_by_its_name_alone() {
        let by_name = selector(r#"{"matchLabels": {"kubernetes.io/metadata.name": "prod"}}"#).unwrap();
        let by_team = selector(r#"{"matchLabels": {"team": "a"}}"#).unwrap();
        let by_both =
            selector(r#"{"matchLabels": {"kubernetes.io/metadata.name": "prod", "team": "a"}}"#).unwrap();
        let lying = labels(&[(METADATA_NAME, "other"), ("team", "a")]);
        for (selector, name, labels, expect) in [
            (&by_name, "prod", Some(&lying), Match::Yes),
            (&by_name, "prod", None, Match::Yes),
            (&by_name, "other", None, Match::No),
            (&by_team, "prod", Some(&lying), Match::Yes),
            (&by_team, "prod", Some(&Labels::new()), Match::No),
            (&by_team, "prod", None, UNKNOWN),
            (&by_both, "prod", None, UNKNOWN),
            (&by_both, "other", None, Match::No),
            (&Selector::default(), "prod", None, Match::Yes),
        ] {
            assert_eq!(selector.matches_namespace(name, labels), expect, "{selector:?} on {name}");
        }
    }
}
