//! Random selectors, from few enough words that they meet the labels.

use serde_json::{Map, Value, json};

use super::Random;

/// A label that things have, with its values.
pub(super) type Word = (&'static str, &'static [&'static str]);

/// Labels of pods. Cilium does not look at the last two.
pub(super) const POD_LABELS: [Word; 6] = [
    ("app", &["web", "db", "api"]),
    ("tier", &["front", "back"]),
    ("app.kubernetes.io/name", &["shop", "stock"]),
    ("empty", &[""]),
    ("pod-template-hash", &["1a", "2b"]),
    ("kubernetes.io/arch", &["amd64"]),
];

/// Labels of namespaces.
pub(super) const NAMESPACE_LABELS: [Word; 3] = [
    ("env", &["prod", "dev"]),
    ("team", &["red", "blue"]),
    ("kubernetes.io/metadata.name", &["a", "b", "c"]),
];

/// Labels of nodes. Cilium does not look at the last where policies select nodes themselves.
pub(super) const NODE_LABELS: [Word; 3] =
    [("zone", &["x", "y"]), ("role", &["worker", "control"]), ("kubernetes.io/os", &["linux", "windows"])];

/// Labels of services.
pub(super) const SERVICE_LABELS: [Word; 2] = [("kind", &["internal", "external"]), ("app", &["web", "db"])];

/// Labels that something has.
pub(super) fn labels(random: &mut Random, words: &[Word]) -> Value {
    let mut labels = Map::new();
    for (key, values) in words {
        if random.below(3) > 0 {
            labels.insert((*key).to_owned(), random.pick(values).into());
        }
    }
    labels.into()
}

/// `metav1.LabelSelector`, with a prefix to its keys; seldom one that is invalid.
pub(super) fn selector(
    random: &mut Random,
    words: &[Word],
    prefix: &mut dyn FnMut(&mut Random) -> String,
) -> Value {
    if random.one_in(6) {
        return json!({});
    }
    let mut selector = Map::new();
    let mut pairs = Map::new();
    let mut used = Vec::new();
    for _ in 0..random.below(3) {
        let (key, values) = random.pick(words);
        // One key with two sources would be one with either value, as chance has it.
        let bare = key.trim_start_matches("any:");
        if used.contains(&bare) {
            continue;
        }
        used.push(bare);
        pairs.insert(format!("{}{key}", prefix(random)), random.pick(values).into());
    }
    if !pairs.is_empty() {
        selector.insert("matchLabels".to_owned(), pairs.into());
    }
    let expressions = random.some(1, |random| {
        let (key, values) = random.pick(words);
        let key = format!("{}{key}", prefix(random));
        let operator = random.pick(&["In", "NotIn", "Exists", "DoesNotExist"]);
        let some: Vec<_> = values.iter().filter(|_| random.one_in(2)).collect();
        let values = match operator {
            "In" | "NotIn" if some.is_empty() => json!([random.pick(values)]),
            "In" | "NotIn" => json!(some),
            _ => Value::Null,
        };
        if values.is_null() {
            json!({"key": key, "operator": operator})
        } else {
            json!({"key": key, "operator": operator, "values": values})
        }
    });
    if !expressions.is_empty() {
        selector.insert("matchExpressions".to_owned(), expressions.into());
    }
    selector.into()
}

/// A selector without prefixes.
pub(super) fn plain(random: &mut Random, words: &[Word]) -> Value {
    selector(random, words, &mut |_| String::new())
}
