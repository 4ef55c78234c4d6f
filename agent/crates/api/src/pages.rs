//! Records page by page.

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use watchfire_ledger::{Families, Search};

use crate::answers::RecordCount;
use crate::cursor::Cursor;
use crate::limits::{PAGE_BYTES_MAX, PAGE_RECORDS_DEFAULT};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::search::{ledger_dir, say_damaged, search};
use crate::setup::Setup;

/// A page: the records as they stand in the ledger, and where the next page begins.
struct Page {
    body: Vec<u8>,
    records: u64,
}

/// `{"records":[…],"next":"…"}`, or `"next":null` behind the last record; with `"damaged":[…]` where records are left out
/// since files of the ledger are damaged.
pub(crate) async fn page(
    setup: &Setup,
    families: Families,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let dir = ledger_dir(setup)?;
    let logs = Arc::clone(&setup.0.logs);
    let page = search(setup, move |stop| {
        let mut search = Search::open_with(&dir, parameters.query(families), &logs, &stop)?;
        let limit = parameters.limit.unwrap_or(PAGE_RECORDS_DEFAULT);
        let mut page = Page { body: b"{\"records\":[".to_vec(), records: 0 };
        let mut last = None;
        let mut next = None;
        for found in search.by_ref() {
            let found = found?;
            if !parameters.is_new(found.time, found.seq) {
                continue;
            }
            if page.records >= limit as u64 || page.body.len() >= PAGE_BYTES_MAX {
                next = last;
                break;
            }
            if page.records > 0 {
                page.body.push(b',');
            }
            if found.line.starts_with(b"{") {
                page.body.extend_from_slice(&found.line);
            } else {
                // No record of this agent's; as it stands it would break the page.
                let line = String::from_utf8_lossy(&found.line);
                page.body.extend_from_slice(serde_json::json!({ "line": line }).to_string().as_bytes());
            }
            page.records += 1;
            last = Some(Cursor { time: found.time, seq: found.seq });
        }
        page.body.extend_from_slice(b"],\"next\":");
        let next = next.map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
        page.body.extend_from_slice(next.as_bytes());
        let damaged = &search.explanation().damaged;
        if !damaged.is_empty() {
            say_damaged(damaged);
            page.body.extend_from_slice(b",\"damaged\":");
            page.body.extend_from_slice(serde_json::json!(damaged).to_string().as_bytes());
        }
        page.body.extend_from_slice(b"}\n");
        Ok(page)
    })
    .await?;
    let mut response = ([(header::CONTENT_TYPE, "application/json")], page.body).into_response();
    response.extensions_mut().insert(RecordCount::of(page.records));
    Ok(response)
}
