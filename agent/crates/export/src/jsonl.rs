//! The event log as JSON lines, onto stdout or into a file, on a thread of its own.

mod line_writer;
mod log_file;
mod output;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::backlog::Capacity;
use crate::{EncodedRecord, SinkCounters};

pub use self::log_file::LogFileConfig;

use self::output::AnyOutput;
use self::worker::Worker;
use crate::sink_queue::SinkQueue;
use crate::sink_thread::SinkThread;

/// Records that wait for a sink.
pub const SINK_QUEUE_RECORDS_MAX: usize = 16_384;

/// Bytes of the records that wait for a sink.
pub const SINK_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Smallest size at which a file may rotate: below it, long command lines would not fit into a file of their own.
pub const FILE_BYTES_MIN: u64 = 64 * 1024;

/// Most files that may be kept.
pub const FILES_MAX: u32 = 1000;

/// Where JSON lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file that rotates.
    File(LogFileConfig),
}

/// Why a sink cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file cannot be opened.
    #[error("cannot open event log {path}")]
    Open {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Standard output is closed.
    #[error("standard output is closed")]
    Stdout(#[source] io::Error),
    /// A limit is outside its range.
    #[error("event log {path}: {what} is {value}, expected {expected}")]
    Limit {
        /// Path of the file.
        path: PathBuf,
        /// The limit's name.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The range.
        expected: String,
    },
    /// No thread could be started.
    #[error("cannot start the thread of a sink")]
    Thread(#[source] io::Error),
}

/// A running sink.
#[derive(Debug)]
pub struct JsonLinesSink(SinkThread);

impl JsonLinesSink {
    /// Opens the destination and starts the thread. Lines wait at most `flush_interval` before they are written; those that come
    /// after a pause do not wait.
    pub fn start(
        destination: &Destination,
        flush_interval: Duration,
        counters: SinkCounters,
    ) -> Result<Self, SinkError> {
        let capacity = Capacity { records_max: SINK_QUEUE_RECORDS_MAX, bytes_max: SINK_QUEUE_BYTES_MAX };
        Self::start_with(destination, flush_interval, counters, capacity)
    }

    fn start_with(
        destination: &Destination,
        flush_interval: Duration,
        counters: SinkCounters,
        capacity: Capacity,
    ) -> Result<Self, SinkError> {
        let output = AnyOutput::open(destination)?;
        let queue = Arc::new(SinkQueue::new(capacity));
        let worker = Worker::new(output, Arc::clone(&queue), counters.clone(), flush_interval);
        SinkThread::start(queue, counters, || worker.run()).map(Self).map_err(SinkError::Thread)
    }

    /// Queues records; never waits. What does not fit is dropped and counted.
    pub fn send(&self, records: &[EncodedRecord]) {
        self.0.send(records);
    }

    /// Writes what is queued and ends the thread. Says whether that was done in time; if not, the thread is left to
    /// itself, blocked in a write.
    #[must_use]
    pub fn stop(self, within: Duration) -> bool {
        self.0.stop(within)
    }
}
