//! Records as they come, as server-sent events (HTML Living Standard, 9.2).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use watchfire_export::{ApiMetrics, ApiRefusal, CLIENTS_MAX, LiveRecords, RecordType};
use watchfire_ledger::{Families, Family, Filter};

use crate::answers::RecordCount;
use crate::limits::{CHUNKS_WAITING_MAX, KEEPALIVE_SECONDS};
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::setup::Setup;

/// Media type of events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// Events: `record` with a record, and `lost` with how many did not fit because the client is slow.
pub(crate) fn follow(
    setup: &Setup,
    families: Families,
    parameters: &Parameters,
) -> Result<Response, Problem> {
    let bounded = [
        ("since", parameters.since.is_some()),
        ("until", parameters.until.is_some()),
        ("cursor", parameters.cursor.is_some()),
        ("limit", parameters.limit.is_some()),
    ];
    if let Some((name, _)) = bounded.into_iter().find(|(_, is_set)| *is_set) {
        let detail = "only new records are followed; what there is already comes page by page, or as NDJSON";
        return Err(Problem::new(ProblemKind::BadParameter, detail).of(name));
    }
    let is_of = |kind: &RecordType| families.contains(Family::of_type(kind.as_str()));
    let types = RecordType::ALL.into_iter().filter(is_of).collect();
    let Some(live) = setup.0.hub.live(Some(types)) else {
        setup.metrics().refused(ApiRefusal::Followers);
        let detail = format!("{CLIENTS_MAX} clients follow already, or the agent is shutting down");
        return Err(Problem::new(ProblemKind::Busy, detail));
    };
    let (sender, pieces) = mpsc::channel(CHUNKS_WAITING_MAX);
    let records = RecordCount::default();
    let follower = Follower {
        live,
        filter: parameters.filter.clone(),
        sender,
        records: records.clone(),
        metrics: setup.metrics().clone(),
    };
    tokio::spawn(follower.run());
    let headers = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")];
    let mut response = (headers, Body::new(Events(pieces))).into_response();
    response.extensions_mut().insert(records);
    Ok(response)
}

struct Follower {
    live: LiveRecords,
    filter: Filter,
    sender: mpsc::Sender<Bytes>,
    records: RecordCount,
    metrics: ApiMetrics,
}

impl Follower {
    async fn run(self) {
        let _here = Here::new(&self.metrics);
        // So that the client knows at once that it follows.
        let mut piece = Bytes::from_static(b": following\n\n");
        loop {
            if !piece.is_empty() && self.sender.send(piece).await.is_err() {
                return;
            }
            let next = tokio::select! {
                next = timeout(Duration::from_secs(KEEPALIVE_SECONDS), self.live.next()) => next,
                () = self.sender.closed() => return,
            };
            piece = match next {
                Err(_) => Bytes::from_static(b": still here\n\n"),
                Ok(None) => return,
                Ok(Some((records, lost))) => {
                    let mut text = Vec::new();
                    for record in &records {
                        let line = record.line.strip_suffix(b"\n").unwrap_or(&record.line);
                        if self.wants(line) {
                            self.records.add(1);
                            text.extend_from_slice(b"event: record\ndata: ");
                            text.extend_from_slice(line);
                            text.extend_from_slice(b"\n\n");
                        }
                    }
                    if lost > 0 {
                        self.metrics.lost(lost);
                        text.extend_from_slice(
                            format!("event: lost\ndata: {{\"lost\":{lost}}}\n\n").as_bytes(),
                        );
                    }
                    text.into()
                }
            };
        }
    }

    fn wants(&self, line: &[u8]) -> bool {
        self.filter.is_empty()
            || serde_json::from_slice::<Value>(line).is_ok_and(|record| self.filter.matches(&record))
    }
}

/// Counts a client that follows for as long as it does.
struct Here<'a>(&'a ApiMetrics);

impl<'a> Here<'a> {
    fn new(metrics: &'a ApiMetrics) -> Self {
        metrics.followers(1);
        Self(metrics)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.followers(-1);
    }
}

struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = ready!(self.0.poll_recv(context));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
