//! The thread of a sink.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::SinkCounters;

use super::line_writer::{Line, LineWriter};
use super::output::AnyOutput;
use crate::sink_queue::{Patience, SinkQueue};

/// Pause before a failed write is tried again.
const RETRY_INTERVAL_MS: u64 = 1000;

pub(super) struct Worker {
    writer: LineWriter<AnyOutput>,
    queue: Arc<SinkQueue>,
    counters: SinkCounters,
    flush_interval: Duration,
    failing: bool,
    /// The sink is to end, so a failure has one more try.
    last_try: bool,
    abandoned: bool,
}

impl Worker {
    pub(super) fn new(
        output: AnyOutput,
        queue: Arc<SinkQueue>,
        counters: SinkCounters,
        flush_interval: Duration,
    ) -> Self {
        let torn = output.is_torn();
        let writer = LineWriter::new(output, torn);
        Self { writer, queue, counters, flush_interval, failing: false, last_try: false, abandoned: false }
    }

    /// Writes until the queue is closed and empty: at once what comes after a pause, then what has gathered in the meantime.
    pub(super) fn run(mut self) {
        let mut patience = Patience::UntilAny(None);
        let mut spare = VecDeque::new();
        while let Some(mut taken) = self.queue.take(spare, patience) {
            let is_pause = taken.records.is_empty() && taken.lost == 0;
            for record in taken.records.drain(..) {
                self.append(Line::Record(&record.line));
            }
            spare = taken.records;
            if taken.lost > 0 {
                // Where the gap is, for whoever reads the log later.
                let note = format!("{{\"type\":\"sink-loss\",\"lost\":{}}}\n", taken.lost);
                self.append(Line::Note(note.as_bytes()));
            }
            self.insist(LineWriter::flush);
            patience =
                if is_pause { Patience::UntilAny(None) } else { Patience::Linger(self.flush_interval) };
        }
        self.counters.dropped.inc_by(self.writer.pending_records());
    }

    fn append(&mut self, line: Line<'_>) {
        let taken = self.writer.accepts(line) && self.insist(|writer| writer.append(line));
        if !taken && matches!(line, Line::Record(_)) {
            self.counters.dropped.inc();
        }
    }

    /// Does it, if need be again and again until the sink is to end. Says whether it was done.
    fn insist(&mut self, action: impl Fn(&mut LineWriter<AnyOutput>) -> io::Result<()>) -> bool {
        while !self.abandoned {
            let result = action(&mut self.writer);
            self.counters.written.inc_by(self.writer.take_written_records());
            match result {
                Ok(()) => {
                    self.succeeded();
                    return true;
                }
                Err(error) => self.failed(&error),
            }
        }
        false
    }

    fn succeeded(&mut self) {
        if self.failing {
            self.failing = false;
            tracing::info!(sink = self.counters.name(), "sink writes again");
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.counters.errors.inc();
        if !self.failing {
            self.failing = true;
            tracing::warn!(
                sink = self.counters.name(),
                %error,
                "sink cannot write; records wait in its queue and are dropped when it is full"
            );
        }
        self.abandoned = self.last_try;
        self.last_try = self.queue.closed_within(Duration::from_millis(RETRY_INTERVAL_MS));
    }
}
