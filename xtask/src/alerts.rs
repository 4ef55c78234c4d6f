//! `alerts`: the objects that operators take, made from the one file of rules.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::paths;

/// The rules, as Prometheus takes them.
const RULES: &str = "deploy/alerts/rules.yaml";

/// What an operator takes, and where it goes.
const OBJECTS: [(&str, &str, &str); 2] = [
    ("deploy/alerts/prometheus/rule.yaml", "monitoring.coreos.com/v1", "PrometheusRule"),
    ("deploy/alerts/victoriametrics/rule.yaml", "operator.victoriametrics.com/v1beta1", "VMRule"),
];

/// Writes the objects.
pub(crate) fn run() -> Result<()> {
    for (path, text) in objects()? {
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Each object with its place.
fn objects() -> Result<Vec<(PathBuf, String)>> {
    let rules = fs::read_to_string(paths::root().join(RULES)).with_context(|| format!("read {RULES}"))?;
    let made = OBJECTS.iter().map(|(path, version, kind)| {
        let head = format!(
            "# Written by `cargo xtask alerts` from {RULES}: change that.\n\
             apiVersion: {version}\n\
             kind: {kind}\n\
             metadata:\n  name: watchfire\n\
             spec:\n"
        );
        (paths::root().join(path), head + &indented(&rules))
    });
    Ok(made.collect())
}

/// The rules without the comment at their head, one level deeper.
fn indented(rules: &str) -> String {
    let lines = rules.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
    lines.map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn objects_are_those_of_the_rules() {
        for (path, made) in objects().unwrap() {
            let written = fs::read_to_string(&path).unwrap();
            assert_eq!(written, made, "{} is not of {RULES}: run `cargo xtask alerts`", path.display());
        }
    }

    #[test]
    fn every_alert_says_what_to_do() {
        let rules = fs::read_to_string(paths::root().join(RULES)).unwrap();
        let after = |key: &str| -> Vec<String> {
            let lines = rules.lines().map(|line| line.trim().trim_start_matches("- "));
            lines.filter_map(|line| Some(line.strip_prefix(key)?.trim().to_owned())).collect()
        };
        let alerts = after("alert:");
        let expected: Vec<_> =
            alerts.iter().map(|name| format!("docs/runbooks/alerts.md#{}", name.to_lowercase())).collect();
        assert_eq!(after("runbook_url:"), expected);
        assert_eq!(after("summary:").len(), alerts.len());
        assert_eq!(after("labels:").len(), alerts.len());
        let runbook = fs::read_to_string(paths::root().join("docs/runbooks/alerts.md")).unwrap();
        let sections: BTreeSet<_> =
            runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
        assert_eq!(sections, alerts.into_iter().collect());
    }
}
