//! The bounded first-in first-out queue in front of every consumer.

use std::collections::VecDeque;
use std::mem;

use crate::EncodedRecord;

/// How much a queue holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Capacity {
    /// Records.
    pub(crate) records_max: usize,
    /// Bytes of their lines together.
    pub(crate) bytes_max: usize,
}

/// What a consumer takes out at once.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Everything that was queued, oldest first.
    pub(crate) records: VecDeque<EncodedRecord>,
    /// Records refused since the last take. All of them came after `records`.
    pub(crate) lost: u64,
}

/// A queue that refuses what does not fit. The newest record is the one refused, so that what is queued
/// stays without a gap and the gap has one exact place: behind everything queued.
#[derive(Debug)]
pub(crate) struct Backlog {
    capacity: Capacity,
    taken: Taken,
    bytes: usize,
    closed: bool,
}

impl Backlog {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { capacity, taken: Taken::default(), bytes: 0, closed: false }
    }

    /// Queues the record, or counts it as lost; says which.
    pub(crate) fn push(&mut self, record: &EncodedRecord) -> bool {
        let bytes = self.bytes + record.line.len();
        // A consumer is told of a gap at its place, so nothing may be queued behind an untold one.
        let fits = self.taken.lost == 0
            && self.taken.records.len() < self.capacity.records_max
            && bytes <= self.capacity.bytes_max;
        if self.closed || !fits {
            self.taken.lost += 1;
            return false;
        }
        self.bytes = bytes;
        self.taken.records.push_back(record.clone());
        true
    }

    /// Takes everything out; `spare` becomes the new, empty queue.
    pub(crate) fn take(&mut self, spare: VecDeque<EncodedRecord>) -> Taken {
        debug_assert!(spare.is_empty());
        self.bytes = 0;
        mem::replace(&mut self.taken, Taken { records: spare, lost: 0 })
    }

    /// Records that are queued.
    pub(crate) fn len(&self) -> usize {
        self.taken.records.len()
    }

    /// Whether a take would bring nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.records.is_empty() && self.taken.lost == 0
    }

    /// Whether a consumer that lingers to batch should take now: a quarter of the room is used.
    pub(crate) fn is_filling(&self) -> bool {
        self.taken.records.len() >= self.capacity.records_max.div_ceil(4)
            || self.bytes >= self.capacity.bytes_max.div_ceil(4)
    }

    /// Refuses everything from here on.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::RecordType;

    fn record(bytes: usize) -> EncodedRecord {
        EncodedRecord { record_type: RecordType::Flow, line: Bytes::from(vec![b'x'; bytes]), number: None }
    }

    #[test]
    fn bounded_by_records_and_by_bytes() {
        for (records_max, bytes_max, sizes, accepted) in
            [(2, 100, &[10, 10, 10][..], 2), (10, 25, &[10, 10, 10], 2), (10, 5, &[10], 0)]
        {
            let mut backlog = Backlog::new(Capacity { records_max, bytes_max });
            let taken_in = sizes.iter().filter(|size| backlog.push(&record(**size))).count();
            assert_eq!(taken_in, accepted);
            let taken = backlog.take(VecDeque::new());
            assert_eq!(taken.records.len() + taken.lost as usize, sizes.len());
        }
    }

    #[test]
    fn room_is_back_after_a_take_and_gone_after_close() {
        let mut backlog = Backlog::new(Capacity { records_max: 1, bytes_max: 100 });
        assert!(backlog.push(&record(1)));
        assert!(!backlog.push(&record(1)));
        assert_eq!(backlog.take(VecDeque::new()).lost, 1);
        assert!(backlog.is_empty());
        assert!(backlog.push(&record(1)));
        backlog.close();
        assert!(!backlog.push(&record(1)));
    }

    #[test]
    fn nothing_queues_behind_an_untold_gap() {
        let mut backlog = Backlog::new(Capacity { records_max: 10, bytes_max: 10 });
        assert!(backlog.push(&record(8)));
        assert!(!backlog.push(&record(8)));
        assert!(!backlog.push(&record(1)), "it would fit, but the gap is before it");
        assert_eq!(backlog.take(VecDeque::new()).lost, 2);
    }
}
