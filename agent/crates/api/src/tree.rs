//! A process, those below it, and what all of them did.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use watchfire_ledger::{Forest, LedgerError, Search, SearchQuery, TreeStart, gather};
use watchfire_model::ExecId;

use crate::answers::RecordCount;
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::search::{ledger_dir, say_damaged, search};
use crate::setup::Setup;

pub(crate) async fn tree(
    setup: &Setup,
    exec_id: ExecId,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let dir = ledger_dir(setup)?;
    let logs = Arc::clone(&setup.0.logs);
    let start = TreeStart::ExecId(exec_id.to_string());
    let (forest, damaged) = search(setup, move |stop| {
        let mut damaged = BTreeSet::new();
        let forest = gather(&start, |families, filter, take| {
            let query = SearchQuery { filter: filter.clone(), ..parameters.query(families) };
            let mut search = Search::open_with(&dir, query, &logs, &stop)?;
            for found in search.by_ref() {
                let found = found?;
                take(found.time, serde_json::from_slice(&found.line).unwrap_or(Value::Null));
            }
            damaged.extend(search.explanation().damaged.iter().cloned());
            Ok::<(), LedgerError>(())
        })?;
        Ok((forest, damaged.into_iter().collect::<Vec<_>>()))
    })
    .await?;
    say_damaged(&damaged);
    if forest.roots.is_empty() && !damaged.is_empty() {
        return Err(Problem::new(ProblemKind::Ledger, damaged.join("; ")));
    }
    if forest.roots.is_empty() {
        return Err(Problem::new(ProblemKind::NotFound, format!("the ledger has no process {exec_id}")));
    }
    let records = forest.processes.values().map(|process| process.records.len() as u64).sum();
    let mut response = Json(shown(forest, damaged)).into_response();
    response.extensions_mut().insert(RecordCount::of(records));
    Ok(response)
}

fn shown(forest: Forest, damaged: Vec<String>) -> Value {
    let processes = forest.processes.into_iter().map(|(exec_id, process)| {
        let records: Vec<Value> = process.records.into_iter().map(|(_, record)| record).collect();
        json!({
            "exec_id": exec_id,
            "parent": process.parent,
            "children": process.children,
            "process": process.view,
            "records": records,
            "more_records": process.more,
        })
    });
    let processes: Vec<Value> = processes.collect();
    let mut shown = json!({ "roots": forest.roots, "processes": processes, "is_cut": forest.is_cut });
    if !damaged.is_empty() {
        shown["damaged"] = damaged.into();
    }
    shown
}
