//! Records as they come, as server-sent events (HTML Living Standard, 9.2).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use watchfire_export::{
    ApiMetrics, ApiRefusal, CLIENTS_MAX, EncodedRecord, LedgerFacts, LiveRecords, RecordType,
};
use watchfire_ledger::{Families, Family, Filter};

use crate::answers::RecordCount;
use crate::event_id::EventId;
use crate::limits::{CHUNKS_WAITING_MAX, KEEPALIVE_SECONDS, WRITTEN_HOLD_MS_MAX, WRITTEN_LOOK_MS};
use crate::missed::{self, Missed};
use crate::parameters::Parameters;
use crate::problem::{Problem, ProblemKind};
use crate::setup::Setup;

/// Media type of events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// The header in which a client says which event it had last.
const LAST_EVENT_ID: &str = "last-event-id";

/// Events: `record` with a record, `lost` with how many did not fit because the client is slow, and `gap` where the ledger has
/// no longer what a client missed. With a ledger records have ids, from which a client can go on.
pub(crate) async fn follow(
    setup: &Setup,
    families: Families,
    parameters: Parameters,
    headers: &HeaderMap,
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
    let from = last_event(headers, parameters.event_id)?;
    let missing = match &from {
        Some((id, of)) => Some(missed::check(setup, id, of)?),
        None => None,
    };
    let is_of = |kind: &RecordType| families.contains(Family::of_type(kind.as_str()));
    let types = RecordType::ALL.into_iter().filter(is_of).collect();
    let Some(live) = setup.0.hub.live(Some(types)) else {
        setup.metrics().refused(ApiRefusal::Followers);
        let detail = format!("{CLIENTS_MAX} clients follow already, or the agent is shutting down");
        return Err(Problem::new(ProblemKind::Busy, detail));
    };
    let (sender, pieces) = mpsc::channel(CHUNKS_WAITING_MAX);
    let records = RecordCount::default();
    let missed = match missing {
        Some(facts) => {
            // Read now that new records wait: each is either among them, or has a number up to this.
            missed::written(&facts, facts.numbered()).await?;
            Some(Arc::new(Missed {
                setup: setup.clone(),
                dir: facts.dir,
                families,
                filter: parameters.filter.clone(),
                records: records.clone(),
                sender: sender.clone(),
            }))
        }
        None => None,
    };
    let follower = Follower {
        live,
        ledger: setup.0.ledger.clone(),
        filter: parameters.filter,
        sender,
        records: records.clone(),
        metrics: setup.metrics().clone(),
        missed,
    };
    tokio::spawn(follower.run(from.map(|(id, _)| id)));
    let headers = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")];
    let mut response = (headers, Body::new(Events(pieces))).into_response();
    response.extensions_mut().insert(records);
    Ok(response)
}

/// The event that a client had last, and what says so. A browser repeats the query when it connects again: the header is newer.
fn last_event(
    headers: &HeaderMap,
    by_parameter: Option<EventId>,
) -> Result<Option<(EventId, &'static str)>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(by_parameter.map(|id| (id, "cursor")));
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let detail = "the header Last-Event-ID is no id of an event of this API";
    id.map(|id| Some((id, "Last-Event-ID"))).ok_or_else(|| Problem::new(ProblemKind::BadParameter, detail))
}

struct Follower {
    live: LiveRecords,
    ledger: Option<LedgerFacts>,
    filter: Filter,
    sender: mpsc::Sender<Bytes>,
    records: RecordCount,
    metrics: ApiMetrics,
    /// Where the client goes on, and so has to miss nothing.
    missed: Option<Arc<Missed>>,
}

impl Follower {
    async fn run(mut self, from: Option<EventId>) {
        let metrics = self.metrics.clone();
        let _here = Here::new(&metrics);
        // So that the client knows at once that it follows.
        if self.sender.send(Bytes::from_static(b": following\n\n")).await.is_err() {
            return;
        }
        // Records up to this number were told out of the ledger.
        let mut told = 0;
        if let Some(from) = from {
            let Some(through) = self.catch_up(from).await else { return };
            told = through;
        }
        loop {
            let next = tokio::select! {
                next = timeout(Duration::from_secs(KEEPALIVE_SECONDS), self.live.next()) => next,
                () = self.sender.closed() => return,
            };
            let mut text = Vec::new();
            let mut last = None;
            let mut lost = 0;
            match next {
                Err(_) => text.extend_from_slice(b": still here\n\n"),
                Ok(None) => return,
                Ok(Some((records, dropped))) => {
                    lost = dropped;
                    self.hold(&records).await;
                    let written = self.written();
                    for record in
                        records.iter().filter(|record| record.number.is_none_or(|number| number > told))
                    {
                        last = last.max(record.number);
                        let line = record.line.strip_suffix(b"\n").unwrap_or(&record.line);
                        if self.wants(line) {
                            self.records.add(1);
                            let number = record.number.filter(|number| *number <= written);
                            missed::record(
                                &mut text,
                                line,
                                number.and_then(|number| self.id(number)).as_ref(),
                            );
                        }
                    }
                }
            }
            // Who goes on where it was gets what did not fit out of the ledger.
            let again =
                last.filter(|_| lost > 0 && self.missed.is_some()).and_then(|last| self.id(last.max(told)));
            if lost > 0 && again.is_none() {
                self.metrics.lost(lost);
                text.extend_from_slice(format!("event: lost\ndata: {{\"lost\":{lost}}}\n\n").as_bytes());
            }
            if !text.is_empty() && self.sender.send(text.into()).await.is_err() {
                return;
            }
            if let Some(from) = again {
                let Some(through) = self.catch_up(from).await else { return };
                told = through;
            }
        }
    }

    /// Tells what is behind the id out of the ledger, up to what is numbered now; says up to which number.
    async fn catch_up(&mut self, from: EventId) -> Option<u64> {
        let (missed, facts) = (self.missed.clone()?, self.ledger.as_ref()?);
        let through = facts.numbered().max(from.through());
        // What cannot be written now ends the stream: the client comes again.
        missed::written(facts, through).await.ok()?;
        missed.tell(from, through).await.map(|id| id.after)
    }

    /// Waits a little until records are written: only then the numbers that they were given are theirs for good.
    async fn hold(&self, records: &VecDeque<EncodedRecord>) {
        let Some(last) = records.iter().filter_map(|record| record.number).max() else { return };
        let is_written = async {
            while self.written() < last && self.ledger.as_ref().is_some_and(|ledger| !ledger.is_failing()) {
                sleep(Duration::from_millis(WRITTEN_LOOK_MS)).await;
            }
        };
        _ = timeout(Duration::from_millis(WRITTEN_HOLD_MS_MAX), is_written).await;
    }

    fn written(&self) -> u64 {
        let opened = self.ledger.as_ref().and_then(LedgerFacts::opened);
        opened.map_or(0, |opened| opened.stats.last_record.get())
    }

    fn id(&self, number: u64) -> Option<EventId> {
        let opened = self.ledger.as_ref().and_then(LedgerFacts::opened)?;
        Some(EventId::new(opened.id, number))
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
