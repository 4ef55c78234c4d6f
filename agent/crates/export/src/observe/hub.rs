//! Recent records, and their distribution to whoever watches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use crate::backlog::{Backlog, Capacity, Taken};
use crate::{EncodedRecord, RecordType, SinkCounters};

use super::{ObserveRequest, Question};

/// Recent records kept for clients that ask for the last N.
pub const RECENT_RECORDS_MAX: usize = 4096;

/// Bytes of the recent records.
pub const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Records that wait for one client.
pub const CLIENT_QUEUE_RECORDS_MAX: usize = 4096;

/// Bytes of the records that wait for one client.
pub const CLIENT_QUEUE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Clients at a time.
pub const CLIENTS_MAX: usize = 16;

/// Takes records from the pipeline without ever waiting for a client.
#[derive(Debug)]
pub struct ObserveHub {
    state: Mutex<State>,
    counters: SinkCounters,
    client_capacity: Capacity,
    questions: Option<mpsc::Sender<Question>>,
}

#[derive(Debug, Default)]
struct State {
    recent: VecDeque<EncodedRecord>,
    recent_bytes: usize,
    clients: Vec<Arc<ClientQueue>>,
    closed: bool,
}

/// Why a client is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    TooManyClients,
    ShuttingDown,
}

impl ObserveHub {
    /// A hub without clients. `counters` count what is dropped, of all clients together.
    #[must_use]
    pub fn new(counters: SinkCounters) -> Self {
        let client_capacity =
            Capacity { records_max: CLIENT_QUEUE_RECORDS_MAX, bytes_max: CLIENT_QUEUE_BYTES_MAX };
        Self::with_client_capacity(counters, client_capacity)
    }

    pub(super) fn with_client_capacity(counters: SinkCounters, client_capacity: Capacity) -> Self {
        Self { state: Mutex::default(), counters, client_capacity, questions: None }
    }

    /// With somebody who answers questions.
    #[must_use]
    pub fn with_questions(mut self, questions: mpsc::Sender<Question>) -> Self {
        self.questions = Some(questions);
        self
    }

    pub(super) const fn questions(&self) -> Option<&mpsc::Sender<Question>> {
        self.questions.as_ref()
    }

    /// Keeps the records as recent ones and queues them for every client that wants them.
    pub fn publish(&self, records: &[EncodedRecord]) {
        let mut state = self.lock();
        let mut dropped = 0;
        for client in &state.clients {
            dropped += client.push(records);
        }
        for record in records {
            state.remember(record);
        }
        drop(state);
        if dropped > 0 {
            self.counters.dropped.inc_by(dropped);
        }
    }

    /// The last records that the request asks for, and, if it follows, a queue that goes on exactly behind them.
    pub(super) fn subscribe(
        &self,
        request: &ObserveRequest,
    ) -> Result<(Vec<EncodedRecord>, Option<Arc<ClientQueue>>), Refusal> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::ShuttingDown);
        }
        let wanted = state.recent.iter().rev().filter(|record| request.wants(record.record_type));
        // A filter may pass over any number of them, and reads the lines: not while the pipeline waits for this lock.
        let candidates_max = if request.flows.is_some() { usize::MAX } else { request.last };
        let candidates: Vec<_> = wanted.take(candidates_max).cloned().collect();
        let queue = if request.follow {
            if state.clients.len() >= CLIENTS_MAX {
                return Err(Refusal::TooManyClients);
            }
            let queue = Arc::new(ClientQueue::new(request.clone(), self.client_capacity));
            state.clients.push(Arc::clone(&queue));
            Some(queue)
        } else {
            None
        };
        drop(state);
        let admitted = candidates.into_iter().filter(|record| request.admits(record));
        let mut last: Vec<_> = admitted.take(request.last).collect();
        last.reverse();
        Ok((last, queue))
    }

    /// Records of these types as they come, for a client of another server; none where there are [`CLIENTS_MAX`] clients
    /// already, or the agent ends.
    #[must_use]
    pub fn live(self: &Arc<Self>, types: Option<Vec<RecordType>>) -> Option<LiveRecords> {
        let request = ObserveRequest { types, follow: true, ..ObserveRequest::default() };
        let (_, queue) = self.subscribe(&request).ok()?;
        queue.map(|queue| LiveRecords { hub: Arc::clone(self), queue })
    }

    pub(super) fn unsubscribe(&self, queue: &Arc<ClientQueue>) {
        self.lock().clients.retain(|client| !Arc::ptr_eq(client, queue));
    }

    pub(super) fn counters(&self) -> &SinkCounters {
        &self.counters
    }

    /// Ends every client's stream behind what is queued for it, and lets no new ones in.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for client in &state.clients {
            client.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, record: &EncodedRecord) {
        self.recent_bytes += record.line.len();
        self.recent.push_back(record.clone());
        while self.recent.len() > RECENT_RECORDS_MAX || self.recent_bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.line.len();
        }
    }
}

/// Live records of one client; its place is free again when this is dropped.
#[derive(Debug)]
pub struct LiveRecords {
    hub: Arc<ObserveHub>,
    queue: Arc<ClientQueue>,
}

impl LiveRecords {
    /// Waits for records. With them comes how many were dropped behind them, because the client was slower than they came.
    /// None when the agent ends.
    pub async fn next(&self) -> Option<(VecDeque<EncodedRecord>, u64)> {
        let Taken { records, lost } = self.queue.take(VecDeque::new()).await?;
        Some((records, lost))
    }
}

impl Drop for LiveRecords {
    fn drop(&mut self) {
        self.hub.unsubscribe(&self.queue);
    }
}

/// The queue of one client.
#[derive(Debug)]
pub(super) struct ClientQueue {
    request: ObserveRequest,
    backlog: Mutex<Backlog>,
    wake: Notify,
}

impl ClientQueue {
    fn new(request: ObserveRequest, capacity: Capacity) -> Self {
        Self { request, backlog: Mutex::new(Backlog::new(capacity)), wake: Notify::new() }
    }

    /// Queues records of the types that the client wants and says how many did not fit. Its filter has its turn later:
    /// the pipeline does not wait for lines to be read.
    fn push(&self, records: &[EncodedRecord]) -> u64 {
        let mut backlog = self.lock();
        let was_empty = backlog.is_empty();
        let wanted = records.iter().filter(|record| self.request.wants(record.record_type));
        let lost = wanted.filter(|record| !backlog.push(record)).count();
        let wake = was_empty && !backlog.is_empty();
        drop(backlog);
        if wake {
            self.wake.notify_one();
        }
        lost as u64
    }

    /// Leaves of what was taken what the client's filter lets through.
    pub(super) fn admit(&self, records: &mut VecDeque<EncodedRecord>) {
        records.retain(|record| self.request.admits(record));
    }

    /// Waits for something to tell. None when the hub has closed and everything was told.
    pub(super) async fn take(&self, spare: VecDeque<EncodedRecord>) -> Option<Taken> {
        loop {
            {
                let mut backlog = self.lock();
                if !backlog.is_empty() {
                    return Some(backlog.take(spare));
                }
                if backlog.is_closed() {
                    return None;
                }
            }
            // A wakeup between the look above and here is kept as a permit.
            self.wake.notified().await;
        }
    }

    fn close(&self) {
        self.lock().close();
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
