//! How the agent stands, and what it judges by.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use watchfire_export::{Answer, Ask, Latest, LedgerFacts, StateOf, ask};
use watchfire_ledger::{Count, Stats};

use crate::answers::RecordCount;
use crate::parameters::now;
use crate::problem::{Problem, ProblemKind};
use crate::setup::Setup;

/// Version, node, probes, losses, ledger, policies and sources.
pub(crate) fn status(setup: &Setup) -> Response {
    let inner = &setup.0;
    let Latest { probes, records, judging, sources } = inner.metrics.latest();
    let lost: u64 = records.iter().map(|(_, counters)| counters.dropped).sum();
    let suppressed: u64 = records.iter().map(|(_, counters)| counters.suppressed).sum();
    let kinds: Map<String, Value> =
        records.iter().map(|(kind, counters)| (kind.as_str().to_owned(), json!(counters))).collect();
    let text = |result: Result<(), String>| result.map_or_else(Value::from, |()| Value::Null);
    Json(json!({
        "time": now(),
        "version": inner.build.version,
        "commit": inner.build.commit,
        "node": inner.build.node,
        "cluster": inner.build.cluster,
        "not_alive": text(inner.health.alive()),
        "not_ready": text(inner.health.ready()),
        "probes": probes,
        "lost": lost,
        "suppressed": suppressed,
        "records": kinds,
        "ledger": inner.ledger.as_ref().map(ledger),
        "policy": {
            "epoch": judging.epoch,
            "dialect": judging.dialect,
            "dialect_why": judging.dialect_why,
        },
        "sources": sources,
    }))
    .into_response()
}

fn ledger(facts: &LedgerFacts) -> Value {
    let LedgerFacts { dir, counters, .. } = facts;
    let opened = facts.opened();
    let (public_key, stats) = (opened.map(|opened| &opened.public_key), opened.map(|opened| &opened.stats));
    let count = |of: fn(&Stats) -> &Count| stats.map_or(0, |stats| of(stats).get());
    let head = stats.map(|stats| stats.head());
    let damaged = count(|stats| &stats.damaged);
    let health = match (facts.is_failing(), damaged, counters.dropped()) {
        _ if opened.is_none() => "not open yet",
        (true, ..) => "cannot be written",
        (false, 1.., _) => "damage was found",
        (false, 0, 1..) => "lacks records",
        (false, 0, 0) => "good",
    };
    json!({
        "dir": dir,
        "head": head.map(|head| json!({ "frame": head.sequence, "hash": head.hash })),
        "public_key": public_key.map(ToString::to_string),
        "health": health,
        "written": counters.written(),
        "dropped": counters.dropped(),
        "errors": counters.errors(),
        "damaged": damaged,
        "seal_failures": count(|stats| &stats.seal_failures),
        "stored_bytes": count(|stats| &stats.stored_bytes),
        "segments": count(|stats| &stats.segments),
        "held_segments": count(|stats| &stats.held),
        "unsealed_files": count(|stats| &stats.unsealed_files),
        "removed_records": count(|stats| &stats.removed_records),
    })
}

/// The policies in force, and whose reading of them is followed.
pub(crate) async fn policies(setup: &Setup) -> Result<Response, Problem> {
    let asked = ask(Some(&setup.0.questions), Ask::State(StateOf::Policies)).await;
    let mut answer: Answer = asked.map_err(|why| Problem::new(ProblemKind::Busy, why))?;
    let head = answer.next().unwrap_or(Value::Null);
    let policies: Vec<Value> = answer.collect();
    let records = policies.len() as u64;
    let mut response = Json(json!({
        "epoch": setup.0.metrics.latest().judging.epoch,
        "dialect": head["dialect"],
        "cilium": head["cilium"],
        "policies": policies,
    }))
    .into_response();
    response.extensions_mut().insert(RecordCount::of(records));
    Ok(response)
}
