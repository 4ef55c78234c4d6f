//! Every way out of the agent: metrics, health, the event log, and live records for whoever watches.
//!
//! A record is encoded once and its bytes are shared. Each way out has a bounded queue of its own: a slow one loses
//! its own records, counted, and holds up neither the others nor the pipeline.
#![forbid(unsafe_code)]

mod backlog;
mod encode;
mod flow_filter;
mod health;
mod http;
mod jsonl;
mod ledger;
mod metrics;
mod observe;
mod outputs;
mod remote_write;
mod sink_queue;
mod sink_thread;

pub use encode::{EncodedRecord, Encoder, RecordType};
pub use flow_filter::{Ends, FlowField, FlowFilter, FlowTerm, FlowTermError};
pub use health::{Condition, HEARTBEAT_AGE_SECONDS_MAX, Health};
pub use http::{HTTP_CONNECTION_SECONDS_MAX, HTTP_CONNECTIONS_MAX, HttpError, HttpServer};
pub use jsonl::{
    Destination, FILE_BYTES_MIN, FILES_MAX, JsonLinesSink, LogFileConfig, SINK_QUEUE_BYTES_MAX,
    SINK_QUEUE_RECORDS_MAX, SinkError,
};
pub use ledger::{LEDGER_GATHER_MS, LEDGER_OPEN_RETRY_SECONDS, LedgerFacts, LedgerSink, Opened};
pub use metrics::{
    ApiMetrics, ApiRefusal, CounterHandle, FindingTotals, GaugeHandle, JudgingTotals, Latest, Metrics,
    MetricsOptions, NAME_SILENT_SECONDS_MAX, NAMESPACE_LABELS_MAX, POLICY_LABELS_MAX, PORT_LABELS_MAX,
    PayloadTotals, PolicyObjects, ProbeInfo, ProbeState, ProgramStatistics, SERIES_MAX_DEFAULT, ShipTotals,
    SinkCounters, SourceState,
};
pub use observe::{
    ANSWER_SECONDS_MAX, Answer, Ask, CLIENT_LINE_BYTES_MAX, CLIENT_QUEUE_BYTES_MAX, CLIENT_QUEUE_RECORDS_MAX,
    CLIENTS_MAX, LiveRecords, ObserveError, ObserveHub, ObserveRequest, ObserveServer, ObservedLines,
    OwnedSocket, QUESTIONS_MAX, Question, RECENT_BYTES_MAX, RECENT_RECORDS_MAX, REQUEST_BYTES_MAX,
    REQUEST_SECONDS_MAX, SocketError, StateOf, WHO_BYTES_MAX, ask, observe, state, who,
};
pub use outputs::Outputs;
pub use remote_write::{
    REMOTE_WRITE_PAUSE_SECONDS, REMOTE_WRITE_QUEUE_BYTES_MAX, REMOTE_WRITE_REQUEST_SAMPLES_MAX,
    REMOTE_WRITE_REQUEST_SECONDS_MAX, RemoteWrite, RemoteWriteAuth, RemoteWriteConfig, RemoteWriteError,
};
