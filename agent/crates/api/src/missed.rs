//! What a client that follows missed, out of the ledger, before it goes on with new records.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use watchfire_export::LedgerFacts;
use watchfire_ledger::{Families, Filter, LedgerError, Numbers, Search, SearchQuery};

use crate::answers::RecordCount;
use crate::cursor::Cursor;
use crate::event_id::EventId;
use crate::limits::{CHUNK_BYTES, WRITTEN_LOOK_MS, WRITTEN_SECONDS_MAX};
use crate::problem::{Problem, ProblemKind};
use crate::search::{Stop, ledger_dir, say_damaged, turn};
use crate::setup::Setup;

/// Tells what was missed.
pub(crate) struct Missed {
    pub(crate) setup: Setup,
    pub(crate) dir: PathBuf,
    pub(crate) families: Families,
    pub(crate) filter: Filter,
    pub(crate) records: RecordCount,
    pub(crate) sender: mpsc::Sender<Bytes>,
}

/// The ledger that an id has to be of.
pub(crate) fn check(setup: &Setup, id: &EventId, of: &'static str) -> Result<LedgerFacts, Problem> {
    ledger_dir(setup)?;
    let bad = |why: String| Problem::new(ProblemKind::BadParameter, why).of(of);
    let facts = setup.0.ledger.as_ref().filter(|facts| facts.opened().is_some());
    let Some((facts, opened)) = facts.and_then(|facts| Some((facts, facts.opened()?))) else {
        return Err(bad("there is no ledger to go on from".to_owned()));
    };
    if !id.is_of(opened.id) {
        return Err(bad("it is an event of another ledger; follow without it, from now on".to_owned()));
    }
    let last = facts.numbered();
    if id.through() > last {
        return Err(bad(format!("it is behind the last record, which is number {last}")));
    }
    Ok(facts.clone())
}

/// Waits until the records up to a number are written.
pub(crate) async fn written(facts: &LedgerFacts, number: u64) -> Result<(), Problem> {
    let is_written = || facts.opened().is_some_and(|opened| opened.stats.last_record.get() >= number);
    let waited = async {
        while !is_written() {
            sleep(Duration::from_millis(WRITTEN_LOOK_MS)).await;
        }
    };
    timeout(Duration::from_secs(WRITTEN_SECONDS_MAX), waited).await.map_err(|_| {
        let detail = format!("the newest records were not written within {WRITTEN_SECONDS_MAX} s");
        Problem::new(ProblemKind::Busy, detail)
    })
}

impl Missed {
    /// Tells records behind the id up to a number, and what of them is gone. Says how far the client is then; none if it
    /// went away, or if the ledger cannot be read, which ends the stream: the client goes on from the last id that it has.
    pub(crate) async fn tell(self: &Arc<Self>, from: EventId, through: u64) -> Option<EventId> {
        let place = turn(&self.setup.0.streams).await.ok()?;
        let stop = Stop::default();
        let flag = stop.flag();
        let this = Arc::clone(self);
        let told = tokio::task::spawn_blocking(move || {
            let _place = place;
            // What a client was in the middle of comes first: it was told in another order than what is behind it.
            let mut from = from;
            if let Some((earlier, _)) = from.missed {
                from = this.tell_range(&from, earlier, &flag)?;
            }
            this.tell_range(&from, through, &flag)
        });
        let told = told.await;
        drop(stop);
        match told {
            Ok(Ok(id)) => Some(id),
            Ok(Err(LedgerError::Stopped)) | Err(_) => None,
            Ok(Err(error)) => {
                tracing::warn!(error = error.in_full(), "what a client of the API missed cannot be read");
                None
            }
        }
    }

    fn tell_range(
        &self,
        from: &EventId,
        through: u64,
        stop: &Arc<AtomicBool>,
    ) -> Result<EventId, LedgerError> {
        let behind = from.missed.map(|(_, cursor)| cursor);
        let query = SearchQuery {
            families: self.families,
            filter: self.filter.clone(),
            since: behind.map(|cursor| cursor.time),
            numbers: Numbers { after: from.after, through },
            ..SearchQuery::default()
        };
        let mut search = Search::open_with(&self.dir, query, &self.setup.0.logs, stop)?;
        let mut text = Vec::new();
        let oldest = search.explanation().oldest.unwrap_or(through + 1);
        if behind.is_none() && oldest > from.after + 1 {
            let gone = oldest.min(through + 1) - 1 - from.after;
            gap(&mut text, &json!({ "reason": "retention", "records": gone }));
        }
        for found in search.by_ref() {
            let found = found?;
            let cursor = Cursor { time: found.time, seq: found.seq };
            if behind.is_some_and(|behind| cursor <= behind) {
                continue;
            }
            self.records.add(1);
            record(&mut text, &found.line, Some(&from.within(through, cursor)));
            if text.len() >= CHUNK_BYTES {
                self.send(&mut text)?;
            }
        }
        let explanation = search.explanation();
        if explanation.tables_removed > 0 {
            gap(&mut text, &json!({ "reason": "retention", "tables": explanation.tables_removed }));
        }
        if !explanation.damaged.is_empty() {
            say_damaged(&explanation.damaged);
            gap(&mut text, &json!({ "reason": "damage", "damaged": explanation.damaged }));
        }
        let id = from.behind(through);
        // An id alone is no event, and is remembered all the same.
        text.extend_from_slice(format!("id: {id}\n\n").as_bytes());
        self.send(&mut text)?;
        Ok(id)
    }

    fn send(&self, text: &mut Vec<u8>) -> Result<(), LedgerError> {
        let piece = Bytes::from(std::mem::take(text));
        self.sender.blocking_send(piece).map_err(|_| LedgerError::Stopped)
    }
}

/// Writes the event of a record.
pub(crate) fn record(text: &mut Vec<u8>, line: &[u8], id: Option<&EventId>) {
    if let Some(id) = id {
        text.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    text.extend_from_slice(b"event: record\ndata: ");
    text.extend_from_slice(line);
    text.extend_from_slice(b"\n\n");
}

fn gap(text: &mut Vec<u8>, what: &Value) {
    text.extend_from_slice(format!("event: gap\ndata: {what}\n\n").as_bytes());
}
