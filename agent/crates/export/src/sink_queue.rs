//! The queue between the pipeline and a sink's thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// The last number that was given to a record.
    numbered: AtomicU64,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    wants_any: bool,
    /// The number of the next record, where records are numbered.
    next_number: Option<u64>,
}

/// What became of records that were pushed: the first of them are queued, the others did not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pushed {
    pub(crate) queued: usize,
    pub(crate) lost: u64,
    /// Number of the first, where they are numbered.
    pub(crate) first_number: Option<u64>,
}

impl SinkQueue {
    pub(crate) fn new(capacity: Capacity) -> Self {
        let state = State { backlog: Backlog::new(capacity), wants_any: false, next_number: None };
        Self { state: Mutex::new(state), wake: Condvar::new(), numbered: AtomicU64::new(0) }
    }

    /// Numbers records from here on: the first that is taken next has this one.
    pub(crate) fn number_from(&self, number: u64) {
        let mut state = self.lock();
        let next = number + state.backlog.len() as u64;
        state.next_number = Some(next);
        self.numbered.store(next - 1, Ordering::Relaxed);
    }

    /// The last number that a record was given.
    pub(crate) fn numbered(&self) -> u64 {
        self.numbered.load(Ordering::Relaxed)
    }

    /// Queues what fits. What does not is behind all that does.
    pub(crate) fn push(&self, records: &[EncodedRecord]) -> Pushed {
        let mut state = self.lock();
        let lost = records.iter().filter(|record| !state.backlog.push(record)).count();
        let queued = records.len() - lost;
        let first_number = state.next_number;
        self.give(&mut state, queued as u64);
        let wake = state.backlog.is_filling() || (state.wants_any && !state.backlog.is_empty());
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Pushed { queued, lost: lost as u64, first_number }
    }

    fn give(&self, state: &mut State, numbers: u64) {
        if let Some(next) = &mut state.next_number {
            *next += numbers;
            self.numbered.store(*next - 1, Ordering::Relaxed);
        }
    }

    /// Waits and takes everything. None when the queue is closed and empty.
    pub(crate) fn take(&self, spare: VecDeque<EncodedRecord>, patience: Patience) -> Option<Taken> {
        self.take_with(spare, patience, |_| 0)
    }

    /// The same for whoever puts something of its own behind what is taken: as many numbers go to that.
    pub(crate) fn take_with(
        &self,
        spare: VecDeque<EncodedRecord>,
        patience: Patience,
        own: impl FnOnce(&Taken) -> u64,
    ) -> Option<Taken> {
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
        let taken = state.backlog.take(spare);
        let own = own(&taken);
        self.give(&mut state, own);
        Some(taken)
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
