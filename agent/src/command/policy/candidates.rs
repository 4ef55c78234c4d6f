//! `watchfire policy candidates`: what candidate policies would change, as the running agent has counted it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::Value;
use watchfire_export::{StateOf, state};

use crate::command::flows::printable;
use crate::command::observe::field::{number, text};
use crate::command::observe::finding::policy;
use crate::config::OBSERVE_SOCKET;

/// Arguments of `policy candidates`.
#[derive(clap::Args, Debug)]
pub(super) struct CandidatesArgs {
    /// Socket of the running agent
    #[arg(long, env = "WATCHFIRE_SOCKET", value_name = "PATH", default_value = OBSERVE_SOCKET)]
    socket: PathBuf,
    /// How to show the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Effects as they are counted, with how a sentence tells them.
const EFFECTS: [(&str, &str, &str); 4] = [
    ("would_break", "would-break", "would break"),
    ("would_open", "would-open", "would open"),
    ("would_cover", "would-cover", "would be covered"),
    ("would_uncover", "would-uncover", "would no longer be covered"),
];

pub(super) fn run(args: &CandidatesArgs) -> Result<ExitCode> {
    let answer = state(&args.socket, StateOf::Candidates)?;
    let report = answer.first().context("the agent answered with nothing")?;
    let shown = match args.output {
        Format::Json => format!("{report}\n"),
        Format::Text => self::report(report),
    };
    match io::stdout().lock().write_all(shown.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

fn report(report: &Value) -> String {
    let policies = list(report, "/policies");
    if policies.is_empty() {
        return "the agent has no candidate policies (policy.candidates, or objects with the annotation \
                watchfire.dev/candidate)\n"
            .to_owned();
    }
    let mut lines = vec![format!("candidates since {}", text(report, "/since"))];
    lines.extend(policies.iter().map(|candidate| format!("  {}", policy(candidate))));
    for (count, effect, says) in EFFECTS {
        let flows = number(report, &format!("/{count}"));
        if flows == 0 && !matches!(effect, "would-break" | "would-open") {
            continue;
        }
        lines.push(format!("{} {says}{}", flows_of(flows), if flows == 0 { "" } else { ":" }));
        let of_effect = |difference: &&&Value| text(difference, "/effect") == effect;
        lines.extend(list(report, "/differences").iter().filter(of_effect).map(|it| difference(it)));
    }
    lines.push(format!("{} would stay as they are", flows_of(number(report, "/unchanged"))));
    lines.push(format!("{} cannot be judged", flows_of(number(report, "/unknown"))));
    if let not_told @ 1.. = number(report, "/not_told") {
        lines.push(format!("{} are counted above and not told one by one", flows_of(not_told)));
    }
    lines.iter().map(|line| printable(line).into_owned() + "\n").collect()
}

fn flows_of(count: u64) -> String {
    if count == 1 { "1 flow".to_owned() } else { format!("{count} flows") }
}

fn list<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}

fn difference(difference: &Value) -> String {
    let port = difference.pointer("/port").map(|port| format!(":{port}")).unwrap_or_default();
    let policies: Vec<_> = list(difference, "/policies").into_iter().map(policy).collect();
    let rule = match difference.pointer("/rule") {
        // The policy of a rule that is no candidate's was not named yet.
        Some(rule) if policies.contains(&policy(&rule["policy"])) => format!(" {}", text(rule, "/path")),
        Some(rule) => format!(", now {} {}", policy(&rule["policy"]), text(rule, "/path")),
        None => String::new(),
    };
    format!(
        "  {:>6}  {} → {}{port} {}  {} by {}{rule}",
        number(difference, "/flows"),
        party(&difference["source"]),
        party(&difference["destination"]),
        text(difference, "/protocol"),
        text(difference, "/direction"),
        policies.join(", "),
    )
}

/// As findings name who stands at an end.
fn party(party: &Value) -> String {
    let kind = text(party, "/kind");
    let parts = ["/namespace", "/workload/kind", "/workload/name", "/name"].map(|part| text(party, part));
    let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    match kind {
        "workload" | "pod" => name,
        _ if name.is_empty() => kind.to_owned(),
        _ => format!("{kind} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_summary_says_what_would_break_and_what_would_open() {
        let candidate = json!({"kind": "NetworkPolicy", "namespace": "shop", "name": "new"});
        let of = |effect: &str, flows: u64, rule: Value| {
            json!({
                "effect": effect, "flows": flows, "direction": "ingress", "protocol": "TCP", "port": 5432,
                "source": {"kind": "workload", "namespace": "shop", "workload": {"kind": "Deployment", "name": "api"}},
                "destination": {"kind": "pod", "namespace": "shop", "name": "db"},
                "policies": [candidate], "rule": rule,
            })
        };
        let rule = json!({"policy": candidate, "path": "spec.ingress[0]"});
        let mut no_rule = of("would-break", 14, Value::Null);
        no_rule.as_object_mut().unwrap().remove("rule");
        let answer = json!({
            "since": "2026-01-02T03:04:05Z", "policies": [candidate], "would_break": 14, "would_open": 3,
            "would_cover": 0, "would_uncover": 0, "unchanged": 1, "unknown": 0, "not_told": 0,
            "differences": [no_rule, of("would-open", 3, rule)],
        });
        let expected = "candidates since 2026-01-02T03:04:05Z
  NetworkPolicy/shop/new
14 flows would break:
      14  shop/Deployment/api → shop/db:5432 TCP  ingress by NetworkPolicy/shop/new
3 flows would open:
       3  shop/Deployment/api → shop/db:5432 TCP  ingress by NetworkPolicy/shop/new spec.ingress[0]
1 flow would stay as they are
0 flows cannot be judged
";
        assert_eq!(report(&answer), expected);
        assert!(report(&json!({"policies": []})).starts_with("the agent has no candidate policies"));
    }
}
