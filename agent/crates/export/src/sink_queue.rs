//! The queue between the pipeline and a sink's thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::EncodedRecord;
use crate::backlog::{Backlog, Capacity, Taken};

/// How long the sink's thread is content to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    /// Until there is anything, or this long where something is due then.
    UntilAny(Option<Duration>),
    /// Until the queue fills up, or this long: a wakeup per batch and not per record.
    Linger(Duration),
}

#[derive(Debug)]
pub(crate) struct SinkQueue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    wants_any: bool,
}

impl SinkQueue {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let state = State { backlog: Backlog::new(capacity), wants_any: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Queues what fits and says how many did not.
    pub(crate) fn push(&self, records: &[EncodedRecord]) -> u64 {
        let mut state = self.lock();
        let lost = records.iter().filter(|record| !state.backlog.push(record)).count();
        let wake = state.backlog.is_filling() || (state.wants_any && !state.backlog.is_empty());
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        lost as u64
    }

    /// Waits and takes everything. None when the queue is closed and empty.
    pub(crate) fn take(&self, spare: VecDeque<EncodedRecord>, patience: Patience) -> Option<Taken> {
        let mut state = self.lock();
        match patience {
            Patience::UntilAny(longest) => {
                let has_nothing = |state: &mut State| state.backlog.is_empty() && !state.backlog.is_closed();
                state.wants_any = true;
                state = match longest {
                    None => self.wake.wait_while(state, has_nothing).unwrap_or_else(PoisonError::into_inner),
                    Some(longest) => {
                        let waited = self.wake.wait_timeout_while(state, longest, has_nothing);
                        waited.unwrap_or_else(PoisonError::into_inner).0
                    }
                };
                state.wants_any = false;
            }
            Patience::Linger(longest) => {
                (state, _) = self
                    .wake
                    .wait_timeout_while(state, longest, |state| {
                        !state.backlog.is_filling() && !state.backlog.is_closed()
                    })
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
        if state.backlog.is_closed() && state.backlog.is_empty() {
            return None;
        }
        Some(state.backlog.take(spare))
    }

    /// Waits for the closing of the queue, at most this long; says whether it is closed.
    pub(crate) fn closed_within(&self, longest: Duration) -> bool {
        let (state, _) = self
            .wake
            .wait_timeout_while(self.lock(), longest, |state| !state.backlog.is_closed())
            .unwrap_or_else(PoisonError::into_inner);
        state.backlog.is_closed()
    }

    /// Refuses everything from here on; what is queued can still be taken.
    pub(crate) fn close(&self) {
        self.lock().backlog.close();
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
