//! A sink's own thread, and the bounded queue before it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use crate::sink_queue::{Pushed, SinkQueue};
use crate::{EncodedRecord, SinkCounters};

/// A thread that takes records out of a queue, whose end can be waited for.
#[derive(Debug)]
pub(crate) struct SinkThread {
    queue: Arc<SinkQueue>,
    counters: SinkCounters,
    offered: Counter,
    done: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl SinkThread {
    /// Starts a thread, named after the sink, that works until the queue is closed.
    pub(crate) fn start(
        queue: Arc<SinkQueue>,
        counters: SinkCounters,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (ended, done) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("sink-{}", counters.name())).spawn(move || {
            // Dropped at the end, by a panic as well.
            let _ended: mpsc::Sender<()> = ended;
            work();
        })?;
        let offered = counters.offered();
        Ok(Self { queue, counters, offered, done, thread: Some(thread) })
    }

    /// Queues records; never waits. What does not fit is dropped and counted.
    pub(crate) fn send(&self, records: &[EncodedRecord]) -> Pushed {
        self.offered.inc_by(records.len() as u64);
        let pushed = self.queue.push(records);
        if pushed.lost > 0 {
            self.counters.dropped.inc_by(pushed.lost);
        }
        pushed
    }

    /// Lets the thread do what is queued, and end. Says whether that was done in time; if not, it is left to itself.
    pub(crate) fn stop(mut self, within: Duration) -> bool {
        self.queue.close();
        let in_time = self.done.recv_timeout(within) != Err(RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take_if(|_| in_time)
            && thread.join().is_err()
        {
            tracing::error!(sink = self.counters.name(), "the thread of a sink panicked");
        }
        in_time
    }
}

impl Drop for SinkThread {
    fn drop(&mut self) {
        self.queue.close();
    }
}
