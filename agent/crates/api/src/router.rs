//! Routes, and which form of an answer is wanted.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router, middleware};
use tokio::time::timeout;
use watchfire_ledger::{Families, Family};

use crate::access;
use crate::follow::{EVENT_STREAM, follow};
use crate::limits::REQUEST_SECONDS_MAX;
use crate::openapi::openapi;
use crate::pages::page;
use crate::parameters::{PARAMETERS, Parameters, refuse_event_id};
use crate::problem::{Problem, ProblemKind};
use crate::setup::Setup;
use crate::status;
use crate::streams::{NDJSON, stream};
use crate::tree::tree;

/// Every route.
pub const ROUTES: [&str; 7] = [
    "/api/v1/events",
    "/api/v1/flows",
    "/api/v1/findings",
    "/api/v1/processes/{exec_id}/tree",
    "/api/v1/policies",
    "/api/v1/status",
    "/api/v1/openapi.json",
];

/// The API. Each request has to carry its [`crate::Peer`] among its extensions.
pub fn router(setup: Setup) -> Router {
    setup.metrics().serves(&ROUTES);
    let records =
        |families| get(move |setup, headers, query| answer_records(families, setup, headers, query));
    let handlers: [MethodRouter<Setup>; 7] = [
        records(Families::ALL),
        records(Families::of(&[Family::Flow, Family::Dns])),
        records(Families::of(&[Family::Finding])),
        get(answer_tree),
        get(answer_policies),
        get(answer_status),
        get(answer_openapi),
    ];
    let routes = ROUTES.into_iter().zip(handlers).fold(Router::new(), |router, (path, handler)| {
        router.route(path, handler.fallback(async || Problem::new(ProblemKind::Method, "use GET")))
    });
    routes
        .fallback(async || {
            let detail = format!("there is {}", ROUTES.join(", "));
            Problem::new(ProblemKind::NotFound, detail)
        })
        .layer(middleware::from_fn_with_state(setup.clone(), access::guarded))
        .with_state(setup)
}

/// What a client wants to have of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Page,
    Stream,
    Follow,
}

/// The first media type of the list that there is; their weights are not looked at.
fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let mut accepted = headers.get_all(header::ACCEPT).iter().peekable();
    if accepted.peek().is_none() {
        return Ok(Form::Page);
    }
    let types = accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    for wanted in types {
        match wanted.split(';').next().unwrap_or_default().trim() {
            "application/json" | "application/*" | "*/*" => return Ok(Form::Page),
            NDJSON => return Ok(Form::Stream),
            EVENT_STREAM => return Ok(Form::Follow),
            _ => {}
        }
    }
    let detail = format!("expected application/json, {NDJSON} or {EVENT_STREAM}");
    Err(Problem::new(ProblemKind::NotAcceptable, detail))
}

async fn answer_records(
    families: Families,
    State(setup): State<Setup>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref().unwrap_or_default(), &PARAMETERS, families)?;
    let form = if parameters.follow { Form::Follow } else { form(&headers)? };
    if form != Form::Follow {
        refuse_event_id(&parameters)?;
    }
    match form {
        Form::Page => in_time(page(&setup, families, parameters)).await,
        Form::Stream => in_time(stream(&setup, families, parameters)).await,
        Form::Follow => follow(&setup, families, parameters, &headers).await,
    }
}

async fn answer_tree(
    State(setup): State<Setup>,
    exec_id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let parameters = Parameters::read(&query, &["since", "until"], Families::ALL)?;
    // What is no text is no exec_id either.
    let Some(exec_id) = exec_id.ok().and_then(|Path(text)| text.parse().ok()) else {
        let detail = "expected an exec_id such as 3f2a91bc-4242-567890 in the path";
        return Err(Problem::new(ProblemKind::NotFound, detail));
    };
    in_time(tree(&setup, exec_id, parameters)).await
}

async fn answer_policies(State(setup): State<Setup>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    none(query)?;
    in_time(status::policies(&setup)).await
}

async fn answer_status(State(setup): State<Setup>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    none(query)?;
    Ok(status::status(&setup))
}

async fn answer_openapi(RawQuery(query): RawQuery) -> Result<Response, Problem> {
    none(query)?;
    Ok((StatusCode::OK, Json(openapi())).into_response())
}

fn none(query: Option<String>) -> Result<(), Problem> {
    Parameters::read(&query.unwrap_or_default(), &[], Families::ALL).map(drop)
}

/// Within [`REQUEST_SECONDS_MAX`]; what works on the answer is told to stop otherwise.
async fn in_time(answer: impl Future<Output = Result<Response, Problem>>) -> Result<Response, Problem> {
    timeout(Duration::from_secs(REQUEST_SECONDS_MAX), answer).await.unwrap_or_else(|_| {
        let detail = format!("it took more than {REQUEST_SECONDS_MAX} s; ask for less, by since and until");
        Err(Problem::new(ProblemKind::TooLong, detail))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_there_is_is_taken() {
        for (accept, expected) in [
            (None, Some(Form::Page)),
            (Some("*/*"), Some(Form::Page)),
            (Some("text/html, application/json;q=0.9"), Some(Form::Page)),
            (Some("application/x-ndjson"), Some(Form::Stream)),
            (Some("text/event-stream"), Some(Form::Follow)),
            (Some("text/html"), None),
            (Some(""), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(form(&headers).ok(), expected, "{accept:?}");
        }
    }
}
