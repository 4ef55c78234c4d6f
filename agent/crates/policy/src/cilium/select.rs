//! Selectors of Cilium's objects: what they may hold, and what is added to them.

use super::key::{CLUSTER, NAMESPACE, NAMESPACE_LABELS};
use super::labels::LabelMatcher;
use super::object::keys;
use crate::compile::{InvalidPolicy, invalid};
use crate::selector::{LabelSelector, Selector, Test};

/// Longest part of a label key or value, and longest prefix of a key, in bytes (Kubernetes, content.IsLabelKey).
const NAME_BYTES_MAX: usize = 63;
const PREFIX_BYTES_MAX: usize = 253;

/// Requirements with the source in front of each key.
pub(crate) type Requirements = Vec<(String, Test)>;

/// Whose objects selectors of peers mean where they name no namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// None for clusterwide policies.
    pub(crate) namespace: Option<&'a str>,
    /// Whether the subjects are pods that have no labels yet.
    pub(crate) selects_init: bool,
}

/// Reads a selector; keys without a source get the given one (`EndpointSelector.Sanitize` of pkg/policy/api).
pub(crate) fn read(
    path: &str,
    source: &LabelSelector,
    default_source: &str,
) -> Result<Requirements, InvalidPolicy> {
    let compiled =
        Selector::compile(source).map_err(|error| invalid(format!("{path}.{}", error.path), error.reason))?;
    for key in keys(source) {
        check_key(key).map_err(|reason| invalid(path, reason))?;
    }
    let values = source.match_labels.iter().flatten().map(|(_, value)| value);
    let listed = source.match_expressions.iter().flatten().flat_map(|one| one.values.iter().flatten());
    if let Some(value) = values.chain(listed).find(|value| !is_label_value(value)) {
        return Err(invalid(path, format!("expected a label value, found \"{value}\"")));
    }
    Ok(compiled
        .requirements()
        .iter()
        .map(|requirement| (with_source(&requirement.key, default_source), requirement.test.clone()))
        .collect())
}

/// A selector of peers, with the namespace that it means (`getEndpointSelector` of pkg/k8s/apis/cilium.io/utils).
pub(crate) fn peer(
    path: &str,
    source: &LabelSelector,
    scope: Scope<'_>,
) -> Result<LabelMatcher, InvalidPolicy> {
    let mut requirements = read(path, source, "any")?;
    let has_prefix = |requirements: &Requirements, prefix: &str| {
        requirements.iter().any(|(key, _)| key.starts_with(prefix))
    };
    let has = |requirements: &Requirements, wanted: &str| {
        requirements
            .iter()
            .any(|(key, _)| matches!(key.split_once(':'), Some(("k8s" | "any", key)) if key == wanted))
    };
    if has_prefix(&requirements, "reserved:") {
        return Ok(LabelMatcher::new(requirements, false));
    }
    if !has(&requirements, NAMESPACE) {
        match scope.namespace {
            None if scope.selects_init => {}
            None => requirements.push((format!("k8s:{NAMESPACE}"), Test::Exists)),
            Some(_)
                if ["k8s", "any"]
                    .iter()
                    .any(|source| has_prefix(&requirements, &format!("{source}:{NAMESPACE_LABELS}."))) => {}
            Some(namespace) => {
                requirements.push((format!("k8s:{NAMESPACE}"), Test::Equals(namespace.into())));
            }
        }
    }
    let names_a_cluster = has(&requirements, CLUSTER);
    Ok(LabelMatcher::new(requirements, !names_a_cluster))
}

/// The selector of subjects: in a namespaced policy, pods of its namespace whatever it says.
pub(crate) fn subject(
    path: &str,
    source: &LabelSelector,
    namespace: Option<&str>,
) -> Result<LabelMatcher, InvalidPolicy> {
    let mut requirements = read(path, source, "any")?;
    if let Some(namespace) = namespace {
        let own = format!("k8s:{NAMESPACE}");
        let is_pair = |test: &Test| matches!(test, Test::Equals(_));
        requirements.retain(|(key, test)| *key != own || !is_pair(test));
        requirements.push((own, Test::Equals(namespace.into())));
    }
    Ok(LabelMatcher::new(requirements, false))
}

/// A selector whose keys' sources play no part but to be one of those given; a key of another source is on nothing.
pub(crate) fn without_sources(
    path: &str,
    source: &LabelSelector,
    sources: &[&str],
) -> Result<Selector, InvalidPolicy> {
    let requirements = read(path, source, sources[0])?;
    Ok(Selector::of(requirements.into_iter().map(|(key, test)| match key.split_once(':') {
        Some((source, bare)) if sources.contains(&source) => (bare.to_owned(), test),
        _ => (key, test),
    })))
}

fn with_source(key: &str, default_source: &str) -> String {
    if key.contains(':') { key.to_owned() } else { format!("{default_source}:{key}") }
}

/// A label key, with or without a source in front.
fn check_key(key: &str) -> Result<(), String> {
    let (source, name) = key.split_once(':').unwrap_or(("any", key));
    let is_source =
        source.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && is_edged(source);
    if is_source && is_label_key(name) {
        Ok(())
    } else {
        Err(format!("expected a label key, found \"{key}\""))
    }
}

fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |prefix: &str| {
        prefix.len() <= PREFIX_BYTES_MAX
            && prefix.split('.').all(|part| {
                is_edged(part) && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            })
    };
    prefix.is_none_or(is_prefix) && is_name(name)
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && is_edged(name)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether it begins and ends with a letter or digit.
fn is_edged(text: &str) -> bool {
    let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    is_edge(text.bytes().next()) && is_edge(text.bytes().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_keys_and_values() {
        for (key, expected) in [
            ("app", true),
            ("k8s:app", true),
            ("any:example.com/app", true),
            ("reserved:remote-node", true),
            ("cidr:10.0.0.0/8", true),
            ("$host", false),
            (":app", false),
            ("k8s:a:b", false),
            ("a/b/c", false),
            ("Example.com/app", false),
            ("-a", false),
            ("a-", false),
            ("", false),
        ] {
            assert_eq!(check_key(key).is_ok(), expected, "{key}");
        }
        for (value, expected) in [("", true), ("a", true), ("A_b.c-d", true), ("a b", false), ("-a", false)] {
            assert_eq!(is_label_value(value), expected, "{value}");
        }
        assert!(!is_label_value(&"a".repeat(64)));
    }
}
