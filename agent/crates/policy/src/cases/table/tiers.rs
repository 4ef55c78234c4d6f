//! `tier_probes`: what the admin policies of one tier say, whatever the others do.

use serde_json::{Value, json};
use watchfire_model::{Dialect, Outcome};

use super::{Row, answer, list, text};

const TIERS: [(&str, &str); 2] = [("Admin", "expect_admin_tier"), ("Baseline", "expect_baseline_tier")];

pub(super) fn rows(case: &Value) -> Result<Vec<Row>, String> {
    let policies = list(case, "policies")?;
    let mut rows = Vec::new();
    for probe in list(case, "tier_probes")? {
        for (tier, field) in TIERS {
            let of_tier: Vec<_> = policies.iter().filter(|policy| policy["spec"]["tier"] == tier).collect();
            // Where a probe names no port, neither do the policies.
            let or = |field: &str, other: Value| match &probe[field] {
                Value::Null => other,
                given => given.clone(),
            };
            let asked = json!({
                "from": probe["from"], "to": probe["to"], "expect": "allow",
                "proto": or("proto", "TCP".into()), "port": or("port", 80.into()),
            });
            let asked = json!({
                "namespaces": case["namespaces"], "pods": case["pods"], "nodes": case["nodes"],
                "policies": of_tier, "probes": [asked],
            });
            let answer = answer(asked, Dialect::K8s)?;
            let outcome = answer.verdicts.first().map(|verdict| verdict.outcome);
            let got = match outcome.ok_or("tier_probes: no such pod")? {
                Outcome::Allowed => "accept",
                Outcome::Denied => "deny",
                Outcome::NotCovered => "next",
                Outcome::Unknown => "unknown",
            };
            let end = |end: &Value| end.as_str().map_or_else(|| end["ip"].to_string(), str::to_owned);
            let question = format!("{} -> {} in tier {tier}", end(&probe["from"]), end(&probe["to"]));
            rows.push(Row::new(question, text(probe, field)?, got));
        }
    }
    Ok(rows)
}
