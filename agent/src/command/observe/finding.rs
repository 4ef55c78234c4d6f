//! Findings, in one line and in several.

use serde_json::Value;

use super::field::{number, pod, process, text};

/// Below the line of a finding, further in.
const INDENT: &str = "                ";

/// What became of it: `new`, or how often so far.
pub(super) fn event(record: &Value) -> String {
    format!("finding {}", text(record, "/state"))
}

/// How bad, and how often.
pub(super) fn result(record: &Value) -> String {
    format!("{} ×{}", text(record, "/severity"), number(record, "/count"))
}

/// Who did it, why, and what nearly allowed it.
pub(super) fn remarks(record: &Value) -> String {
    let actor = record.pointer("/example/process").map(|actor| process(Some(actor)));
    let nearest = nearest(record).map(|nearest| format!("nearest {nearest}"));
    let parts = [actor, Some(text(record, "/reason").to_owned()), nearest];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// All that it says, one thing a line.
pub(super) fn expanded(record: &Value) -> Vec<String> {
    let example = record.pointer("/example").unwrap_or(&Value::Null);
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{INDENT}{name:<12}{value}"));
        }
    };
    line("kind", format!("{} {}", text(record, "/kind"), text(record, "/id")));
    line("who", actor(example));
    line("flow", flow(example));
    line("direction", text(record, "/policy/direction").to_owned());
    line("verdict", verdict(record));
    line("rule", rule(record.pointer("/policy/rule")).unwrap_or_default());
    line("candidates", policies(record, "/policy/candidates"));
    line("isolated by", policies(record, "/policy/isolating"));
    line("nearest", nearest(record).unwrap_or_default());
    line("also", text(record, "/policy/also").to_owned());
    line("count", count(record));
    line("seen", format!("{} to {}", text(record, "/first"), text(record, "/last")));
    lines
}

fn actor(example: &Value) -> String {
    let Some(who) = example.pointer("/process") else { return String::new() };
    let place = pod(who.pointer("/pod")).map(|pod| format!(" in {pod}")).unwrap_or_default();
    format!("{} {} (exec id {}){place}", process(Some(who)), text(who, "/binary"), text(who, "/exec_id"))
}

fn flow(example: &Value) -> String {
    match (text(example, "/client"), text(example, "/server")) {
        ("", _) => String::new(),
        (client, server) => format!("{client} → {server}, {}", text(example, "/community_id")),
    }
}

fn verdict(record: &Value) -> String {
    let epoch =
        record.pointer("/policy/epoch").map(|epoch| format!(" (policies {epoch})")).unwrap_or_default();
    match (text(record, "/policy/previous"), text(record, "/policy/outcome")) {
        (_, "") => String::new(),
        ("", outcome) => format!("{outcome}{epoch}"),
        (previous, outcome) => format!("{previous} → {outcome}{epoch}"),
    }
}

fn rule(rule: Option<&Value>) -> Option<String> {
    let rule = rule?;
    Some(format!("{} {}", policy(&rule["policy"]), text(rule, "/path")))
}

fn nearest(record: &Value) -> Option<String> {
    let nearest = record.pointer("/policy/nearest");
    Some(format!("{}: {}", rule(nearest)?, text(nearest?, "/differs")))
}

fn policies(record: &Value, pointer: &str) -> String {
    let all = record.pointer(pointer).and_then(Value::as_array);
    all.into_iter().flatten().map(policy).collect::<Vec<_>>().join(", ")
}

/// `NetworkPolicy/shop/db`, as in the text of the verdict.
pub(in crate::command) fn policy(policy: &Value) -> String {
    let parts = ["/kind", "/namespace", "/name"].map(|part| text(policy, part));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn count(record: &Value) -> String {
    let failed = match number(record, "/failed") {
        0 => String::new(),
        failed => format!(", {failed} of them never established"),
    };
    let bytes = record.pointer("/bytes").map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
    format!("{}{failed}{bytes}", number(record, "/count"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violation() -> Value {
        let policy = |name: &str| json!({"kind": "NetworkPolicy", "namespace": "shop", "name": name});
        json!({
            "type": "finding", "id": "0123456789abcdef", "kind": "policy-violation", "severity": "medium",
            "state": "ongoing", "title": "shop/frontend → shop/db:5432 TCP: denied by policy intent",
            "reason": "isolated by NetworkPolicy/shop/api-to-db", "count": 500, "failed": 2, "bytes": 3500,
            "policy": {
                "direction": "ingress", "outcome": "denied", "isolating": [policy("api-to-db"), policy("deny")],
                "nearest": {"policy": policy("api-to-db"), "path": "spec.ingress[0] ports[0]", "differs": "port but not peer"},
            },
            "first": "2026-01-02T03:04:05Z", "last": "2026-01-02T03:05:05Z",
            "example": {
                "client": "10.0.0.1:4", "server": "10.0.0.2:5432", "community_id": "1:x",
                "process": {"pid": 7, "binary": "/bin/nc", "exec_id": "1-7-9", "pod": {"namespace": "shop", "name": "frontend"}},
            },
        })
    }

    #[test]
    fn a_finding_fits_in_a_line() {
        let record = violation();
        assert_eq!((event(&record).as_str(), result(&record).as_str()), ("finding ongoing", "medium ×500"));
        let expected = "nc[7]  isolated by NetworkPolicy/shop/api-to-db  \
                        nearest NetworkPolicy/shop/api-to-db spec.ingress[0] ports[0]: port but not peer";
        assert_eq!(remarks(&record), expected);
    }

    #[test]
    fn all_of_it_takes_a_line_each() {
        let lines: Vec<_> = expanded(&violation()).iter().map(|line| line.trim().to_owned()).collect();
        assert_eq!(
            lines,
            [
                "kind        policy-violation 0123456789abcdef",
                "who         nc[7] /bin/nc (exec id 1-7-9) in shop/frontend",
                "flow        10.0.0.1:4 → 10.0.0.2:5432, 1:x",
                "direction   ingress",
                "verdict     denied",
                "isolated by NetworkPolicy/shop/api-to-db, NetworkPolicy/shop/deny",
                "nearest     NetworkPolicy/shop/api-to-db spec.ingress[0] ports[0]: port but not peer",
                "count       500, 2 of them never established, 3500 bytes",
                "seen        2026-01-02T03:04:05Z to 2026-01-02T03:05:05Z",
            ]
        );
        let lone = json!({"type": "finding", "kind": "policy-violation", "id": "x", "count": 1, "first": "a", "last": "b"});
        assert_eq!(expanded(&lone).len(), 3);
    }
}
