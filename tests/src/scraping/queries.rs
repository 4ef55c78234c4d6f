//! Every expression of the dashboards and of the rules, with the dashboards' variables filled in.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

/// What a user may ask for, and where it is written.
pub struct Query {
    /// The panel or the rule.
    pub from: String,
    /// In PromQL.
    pub expression: String,
}

/// The folder of what is deployed.
#[must_use]
pub fn deploy() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy"))
}

/// All queries of all dashboards.
///
/// # Panics
/// When a dashboard is none.
#[must_use]
pub fn of_dashboards() -> Vec<Query> {
    let mut queries = Vec::new();
    let entries = std::fs::read_dir(deploy().join("dashboards")).expect("list the dashboards");
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).expect("read a dashboard");
            let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
            queries.extend(of_dashboard(&dashboard));
        }
    }
    queries
}

fn of_dashboard(dashboard: &Value) -> Vec<Query> {
    let targets = array(&dashboard["panels"]).iter().flat_map(|panel| {
        array(&panel["targets"]).iter().map(move |target| Query {
            from: format!("{}, {}", text(&dashboard["title"]), text(&panel["title"])),
            expression: filled(text(&target["expr"])),
        })
    });
    targets.collect()
}

/// The expression as Grafana sends it when everything is chosen.
fn filled(expression: &str) -> String {
    let all = [("$__rate_interval", "30s"), ("$__range", "5m"), ("$__interval", "5s")];
    let expression = all.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    let chosen = ["cluster", "namespace", "workload", "instance"];
    chosen.iter().fold(expression, |text, name| text.replace(&format!("${name}"), ".*"))
}

/// All queries of the rules, as Prometheus' list of rules has them. Of an alert both sides of its comparison are asked for: as
/// a whole it has data only when it fires.
///
/// # Panics
/// When the list is none.
#[must_use]
pub fn of_rules(list: &Value) -> Vec<Query> {
    let groups = array(&list["data"]["groups"]).iter();
    let rules = groups.flat_map(|group| array(&group["rules"]));
    let queries = rules.flat_map(|rule| {
        sides(text(&rule["query"]))
            .into_iter()
            .map(|side| Query { from: format!("rule {}", text(&rule["name"])), expression: side.to_owned() })
    });
    // The other side is mostly a number.
    queries.filter(|query| query.expression.contains(|c: char| c.is_ascii_alphabetic())).collect()
}

/// The sides of comparisons that are in no parentheses.
fn sides(expression: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from) = (0, false, 0);
    let mut sides = Vec::new();
    for (at, c) in expression.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' | '{' | '[' if !quoted => depth += 1,
            ')' | '}' | ']' if !quoted => depth -= 1,
            '>' | '<' | '=' | '!' if !quoted && depth == 0 => {
                sides.push(expression[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    sides.push(expression[from..].trim());
    sides.retain(|side| !side.is_empty());
    sides
}

/// The names of metrics in an expression: words that stand before a brace or are no function's.
#[must_use]
pub fn metrics(expression: &str) -> BTreeSet<&str> {
    let outside = expression.split('"').step_by(2);
    let words = outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with("watchfire_") || word.starts_with("process_")).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
