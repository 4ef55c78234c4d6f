//! Requests that wait to be sent.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::metrics::RemoteWriteCounters;

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Compressed.
    pub(super) body: Bytes,
    /// Samples in it.
    pub(super) samples: u64,
}

/// First in, first out; the oldest are dropped where there is no room.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    bytes_max: usize,
    counters: RemoteWriteCounters,
}

impl Queue {
    pub(super) fn new(bytes_max: usize, counters: RemoteWriteCounters) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, bytes_max, counters }
    }

    pub(super) fn push(&mut self, request: Waiting) {
        self.bytes += request.body.len();
        self.waiting.push_back(request);
        while self.bytes > self.bytes_max {
            let dropped = self.pop();
            self.counters.dropped.inc_by(dropped);
        }
        self.show();
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The first was taken.
    pub(super) fn sent(&mut self) {
        let samples = self.pop();
        self.counters.sent.inc_by(samples);
        self.show();
    }

    /// The first was refused.
    pub(super) fn refused(&mut self) {
        let samples = self.pop();
        self.counters.refused.inc_by(samples);
        self.show();
    }

    /// The first could not be sent, and stays.
    pub(super) fn failed(&self) {
        self.counters.errors.inc();
    }

    fn pop(&mut self) -> u64 {
        let Some(Waiting { body, samples }) = self.waiting.pop_front() else { return 0 };
        self.bytes -= body.len();
        samples
    }

    fn show(&self) {
        self.counters.queued_bytes.set(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metrics;

    #[test]
    fn the_oldest_goes_where_there_is_no_room_and_all_is_counted() {
        let metrics = Metrics::new("1", "2");
        let mut queue = Queue::new(10, metrics.remote_write().clone());
        let request = |n: u8| Waiting { body: Bytes::from(vec![n; 4]), samples: 1 << n };
        (0..4).for_each(|n| queue.push(request(n)));
        queue.failed();
        assert_eq!(queue.first().unwrap().body[0], 2);
        queue.sent();
        queue.refused();
        assert!(queue.is_empty() && queue.bytes == 0);
        let text = metrics.render();
        for line in [
            "watchfire_remote_write_samples_total{outcome=\"dropped\"} 3",
            "watchfire_remote_write_samples_total{outcome=\"sent\"} 4",
            "watchfire_remote_write_samples_total{outcome=\"refused\"} 8",
            "watchfire_remote_write_errors_total 1",
            "watchfire_remote_write_queued_bytes 0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}");
        }
        queue.push(Waiting { body: Bytes::from(vec![0; 11]), samples: 1 });
        assert!(queue.is_empty(), "what is too large by itself never goes");
    }
}
