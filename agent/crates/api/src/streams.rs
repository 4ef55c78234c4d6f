//! Everything that matches, as one JSON object a line (NDJSON), as fast as the client reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use watchfire_ledger::{Families, Search};

use crate::answers::RecordCount;
use crate::limits::{CHUNK_BYTES, CHUNKS_WAITING_MAX};
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::search::{Stop, ledger_dir, turn};
use crate::setup::Setup;

/// Media type of a stream.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// A stream of records. A search that fails before its first record is a problem; later, the connection is cut, so that the
/// client does not take the records for all of them. So it is behind the last record that can be read, where a part of the
/// ledger is damaged.
pub(crate) async fn stream(
    setup: &Setup,
    families: Families,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let dir = ledger_dir(setup)?;
    let logs = Arc::clone(&setup.0.logs);
    let place = turn(&setup.0.streams).await?;
    let (sender, mut pieces) = mpsc::channel::<Result<Bytes, String>>(CHUNKS_WAITING_MAX);
    let stop = Stop::default();
    let flag = stop.flag();
    let records = RecordCount::default();
    let count = records.clone();
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let searched = Search::open_with(&dir, parameters.query(families), &logs, &flag)
            .map_err(|error| error.in_full())
            .and_then(|search| send(search, &parameters, &count, &sender));
        if let Err(error) = searched {
            tracing::warn!(error, "a search for the API failed");
            // Nobody may be there any more.
            _ = sender.blocking_send(Err(error));
        }
    });
    let first = match pieces.recv().await {
        Some(Err(error)) => return Err(Problem::new(ProblemKind::Ledger, error)),
        Some(Ok(piece)) => Some(piece),
        None => None,
    };
    let body = Body::new(Pieces { first, rest: pieces, _stop: stop });
    let mut response = ([(header::CONTENT_TYPE, NDJSON)], body).into_response();
    response.extensions_mut().insert(records);
    Ok(response)
}

fn send(
    mut search: Search,
    parameters: &Parameters,
    count: &RecordCount,
    sender: &mpsc::Sender<Result<Bytes, String>>,
) -> Result<(), String> {
    let mut left = parameters.limit.unwrap_or(usize::MAX);
    let mut piece = Vec::new();
    let mut records = 0;
    for found in search.by_ref() {
        let found = found.map_err(|error| error.in_full())?;
        if left == 0 {
            break;
        }
        if !parameters.is_new(found.time, found.seq) {
            continue;
        }
        left -= 1;
        records += 1;
        piece.extend_from_slice(&found.line);
        piece.push(b'\n');
        if piece.len() >= CHUNK_BYTES {
            count.add(std::mem::take(&mut records));
            if sender.blocking_send(Ok(std::mem::take(&mut piece).into())).is_err() {
                return Ok(());
            }
        }
    }
    count.add(records);
    if !piece.is_empty() {
        _ = sender.blocking_send(Ok(piece.into()));
    }
    let damaged = &search.explanation().damaged;
    if damaged.is_empty() { Ok(()) } else { Err(damaged.join("; ")) }
}

/// The content of a stream.
struct Pieces {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Result<Bytes, String>>,
    _stop: Stop,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let piece = ready!(self.rest.poll_recv(context));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(io::Error::other)))
    }
}
