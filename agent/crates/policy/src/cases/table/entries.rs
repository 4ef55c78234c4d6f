//! `entries`: policies as Cilium's resolver knows them, one rule each by tier, priority and verdict. They are written as the
//! objects that lead to such entries, and judged as Cilium does.

use serde_json::{Value, json};
use watchfire_model::{Dialect, Outcome};

use super::{Row, answer, list, text};

const NAMESPACE: &str = "default";
const SUBJECT: &str = "subject";

pub(super) fn rows(case: &Value) -> Result<Vec<Row>, String> {
    let entries = list(case, "entries")?;
    let mut policies = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| policy(index, entry))
        .collect::<Result<Vec<_>, _>>()?;
    if case["default_deny"] == true {
        policies.push(json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy",
            "metadata": {"name": "default-deny"},
            "spec": {"endpointSelector": {"matchLabels": {SUBJECT: ""}}, "ingress": [{}], "egress": [{}]},
        }));
    }
    let probes = list(case, "probes")?;
    let mut labels: Vec<_> = probes.iter().map(label).collect::<Result<_, _>>()?;
    labels.push(SUBJECT);
    labels.sort_unstable();
    labels.dedup();
    let pods = labels.iter().zip(1..=250_u8).map(|(label, number)| {
        json!({"namespace": NAMESPACE, "name": label, "ip": format!("10.0.0.{number}"), "labels": {*label: ""}})
    });
    let pods: Vec<_> = pods.collect();
    let mut rows = Vec::new();
    for probe in probes {
        let (subject, peer) = (format!("{NAMESPACE}/{SUBJECT}"), format!("{NAMESPACE}/{}", label(probe)?));
        let direction = text(probe, "direction")?;
        let (from, to) = if direction == "egress" { (subject, peer) } else { (peer, subject) };
        let question = format!("{from} -> {to} {}/{}", text(probe, "proto")?, probe["port"]);
        let asked = json!({"from": from, "to": to, "proto": probe["proto"], "port": probe["port"], "expect": "allow"});
        let asked = json!({"pods": pods, "policies": policies, "probes": [asked]});
        let answer = answer(asked, Dialect::Cilium)?;
        let outcome = answer.verdicts.first().map(|verdict| verdict.outcome);
        let got = match outcome {
            Some(Outcome::Allowed | Outcome::NotCovered) => "allow",
            Some(Outcome::Denied) => "deny",
            Some(Outcome::Unknown) | None => "unknown",
        };
        rows.push(Row::new(question, text(probe, "expect")?, got));
    }
    Ok(rows)
}

/// The label that a probe's peer has.
fn label(probe: &Value) -> Result<&str, String> {
    let peer = text(probe, "peer")?;
    peer.strip_prefix("label:").ok_or_else(|| format!("peer: expected label:KEY, found \"{peer}\""))
}

fn policy(index: usize, entry: &Value) -> Result<Value, String> {
    let at = |reason: String| format!("entries[{index}].{reason}");
    let direction = text(entry, "direction").map_err(at)?;
    let peers = if direction == "egress" { "to" } else { "from" };
    let verdict = text(entry, "verdict").map_err(at)?;
    let name = format!("entry-{index}");
    if entry["tier"] == 1 {
        return normal(&name, entry, (direction, peers, verdict)).map_err(at);
    }
    let selector = match text(entry, "peer").map_err(at)? {
        "all" => json!({}),
        _ => json!({"matchLabels": {label(entry).map_err(at)?: ""}}),
    };
    let action = match verdict {
        "allow" => "Accept",
        "deny" => "Deny",
        "pass" => "Pass",
        other => return Err(at(format!("verdict: expected allow, deny or pass, found \"{other}\""))),
    };
    let mut rule = json!({
        "action": action,
        peers: [{"pods": {"namespaceSelector": {}, "podSelector": selector}}],
    });
    if let Some(port) = entry.get("port") {
        let transport = text(port, "proto").map_err(at)?.to_ascii_lowercase();
        rule["protocols"] = json!([{ transport: {"destinationPort": {"number": port["port"]}} }]);
    }
    let tier = if entry["tier"] == 0 { "Admin" } else { "Baseline" };
    let subject = json!({"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {SUBJECT: ""}}}});
    Ok(json!({
        "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {"tier": tier, "priority": entry["priority"], "subject": subject, direction: [rule]},
    }))
}

/// An entry of the tier of namespaced policies, which have no priorities and pass nothing on.
fn normal(
    name: &str,
    entry: &Value,
    (direction, peers, verdict): (&str, &str, &str),
) -> Result<Value, String> {
    let list = match verdict {
        "allow" => direction.to_owned(),
        "deny" => format!("{direction}Deny"),
        other => return Err(format!("verdict: expected allow or deny in tier 1, found \"{other}\"")),
    };
    let selector = match text(entry, "peer")? {
        "all" => json!({}),
        _ => json!({"matchLabels": {label(entry)?: ""}}),
    };
    let mut element = json!({format!("{peers}Endpoints"): [selector]});
    if let Some(port) = entry.get("port") {
        let number = port["port"].as_u64().ok_or("port.port: expected a number")?.to_string();
        element["toPorts"] = json!([{"ports": [{"port": number, "protocol": port["proto"]}]}]);
    }
    Ok(json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy", "metadata": {"name": name},
        "spec": {
            "endpointSelector": {"matchLabels": {SUBJECT: ""}}, list: [element],
            "enableDefaultDeny": {"ingress": false, "egress": false},
        },
    }))
}
