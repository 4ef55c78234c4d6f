//! What several subcommands show.

use std::io::{self, Write as _};

use anyhow::Result;
use serde_json::{Value, json};
use watchfire_model::{Direction, PolicyRef, Protocol, RuleRef, SideVerdict, Verdict};
use watchfire_policy::Match;

use super::state::{Party, State};

/// Writes to standard output at once.
pub(super) fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

pub(super) fn write_json(value: &Value) -> Result<()> {
    write(&format!("{value:#}\n"))
}

/// The place of a rule in its object: `spec.ingress[0]`, and `specs[1].egress[0]` of several.
pub(super) fn rule_path(rule: &RuleRef) -> String {
    let whole = RuleRef { peer: None, port: None, ..rule.clone() };
    whole.path()
}

/// As [`rule_path`], down to the entry that names the peer: `spec.ingress[0].from[1]`.
pub(super) fn peer_path(rule: &RuleRef) -> String {
    match rule.peer {
        Some(peer) => format!("{}.{}[{peer}]", rule_path(rule), rule.detail.peers_field),
        None => rule_path(rule),
    }
}

/// The entry that names the port: `spec.ingress[0].ports[1]`.
pub(super) fn port_path(rule: &RuleRef) -> Option<String> {
    let port = rule.port?;
    let below = if rule.detail.ports_field == "icmps" { "fields" } else { "ports" };
    let entry = rule.detail.port_entry.map(|entry| format!(".{below}[{entry}]")).unwrap_or_default();
    Some(format!("{}.{}[{port}]{entry}", rule_path(rule), rule.detail.ports_field))
}

/// A policy with where it was read, if that is known.
pub(super) fn placed(state: &State, policy: &PolicyRef) -> String {
    match state.place(policy) {
        Some(place) => format!("{policy} ({place})"),
        None => policy.to_string(),
    }
}

pub(super) fn policy_json(state: &State, policy: &PolicyRef) -> Value {
    json!({ "kind": policy.kind, "namespace": policy.namespace, "name": policy.name, "place": state.place(policy) })
}

pub(super) fn rule_json(state: &State, rule: &RuleRef) -> Value {
    json!({
        "policy": policy_json(state, &rule.policy),
        "path": rule_path(rule),
        "peer": rule.peer.map(|_| peer_path(rule)),
        "port": port_path(rule),
        "needs_l7": rule.detail.needs_l7,
        "needs_auth": rule.detail.needs_auth,
        "unresolved_service": rule.detail.unresolved_service,
    })
}

/// What one direction says, in a word.
pub(super) const fn side_name(side: &SideVerdict) -> &'static str {
    match side {
        SideVerdict::Allow { .. } => "allowed",
        SideVerdict::DenyRule { .. } => "denied by a rule",
        SideVerdict::DenyDefault { .. } => "denied by default",
        SideVerdict::NotCovered => "not covered",
        SideVerdict::Exempt { .. } => "exempt",
        SideVerdict::Unknown { .. } => "unknown",
    }
}

pub(super) const fn side(verdict: &Verdict, direction: Direction) -> &SideVerdict {
    match direction {
        Direction::Egress => &verdict.egress,
        Direction::Ingress => &verdict.ingress,
    }
}

pub(super) const fn match_name(found: Match) -> &'static str {
    match found {
        Match::Yes => "yes",
        Match::No => "no",
        Match::Unknown(_) => "unknown",
    }
}

/// `TCP 5432`, and of ICMP the type.
pub(super) fn port_text(protocol: Protocol, port: u16, icmp_type: Option<u8>) -> String {
    match (protocol, icmp_type) {
        (Protocol::Tcp | Protocol::Udp | Protocol::Sctp, _) => format!("{protocol} {port}"),
        (_, Some(icmp_type)) => format!("{protocol} type {icmp_type}"),
        _ => protocol.to_string(),
    }
}

/// Who stands at an end, with the address where that says more.
pub(super) fn party_text(party: &Party) -> String {
    use watchfire_model::Peer;
    match &party.peer {
        Peer::Pod(pod) => pod.title(),
        Peer::Node { name } => format!("node {name} ({})", party.ip),
        Peer::World => format!("world {}", party.ip),
        Peer::Unresolved(_) => format!("unresolved {}", party.ip),
    }
}

/// Rows under headings, each column as wide as its widest entry.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(headings);
    for row in rows {
        text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}
