//! An API over a ledger of a few records, asked without a network.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use watchfire_api::limits::ACCESSES_MAX;
use watchfire_api::{Build, Peer, Setup, router};
use watchfire_export::{
    Answer, EncodedRecord, Health, LedgerSink, Metrics, ObserveHub, QUESTIONS_MAX, Question, RecordType,
};
use watchfire_ledger::{LedgerConfig, Retention, SegmentLimits};
use watchfire_model::ApiAccessRecord;

/// Records in the ledger, at seconds of their own.
pub(crate) const RECORDS: usize = 250;
const RECORDS_AT_ONCE: usize = 50;

pub(crate) struct Api {
    pub(crate) setup: Setup,
    pub(crate) router: Router,
    pub(crate) hub: Arc<ObserveHub>,
    pub(crate) metrics: Metrics,
    pub(crate) accesses: mpsc::Receiver<ApiAccessRecord>,
    ledger: Option<(LedgerSink, TempDir)>,
}

pub(crate) fn local() -> Peer {
    Peer::Unix { uid: Some(0), pid: Some(7), is_permitted: true }
}

/// Every third is a flow, one a finding, the rest tell of files and processes.
pub(crate) fn record(n: usize) -> Value {
    let time = format!("2026-01-02T03:{:02}:{:02}.000000000Z", n / 60, n % 60);
    let exec_id = format!("3f2a91bc-{}-5", 100 + n);
    let process = json!({ "exec_id": exec_id, "pid": 100 + n, "binary": "/bin/sh" });
    let base = json!({ "time": time, "node": "n1", "n": n, "process": process });
    let more = match n {
        10 => json!({ "type": "finding", "kind": "policy-violation", "severity": "high" }),
        _ if n.is_multiple_of(3) => json!({ "type": "flow", "verdict": { "outcome": "denied" } }),
        _ if n % 3 == 1 => json!({ "type": "file", "operation": "open", "path": "/etc/shadow" }),
        _ => json!({ "type": "process", "action": "exec", "parent": { "exec_id": "3f2a91bc-102-5" } }),
    };
    let mut record = base;
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

pub(crate) fn encoded(record: &Value) -> EncodedRecord {
    let record_type = serde_json::from_value::<RecordType>(record["type"].clone()).unwrap();
    EncodedRecord { record_type, line: format!("{record}\n").into(), number: None }
}

impl Api {
    /// With a ledger, unless `records` is none.
    pub(crate) async fn new(records: Option<usize>) -> Self {
        Self::with_segments(records, SegmentLimits::default().bytes_max).await
    }

    /// The same with segments of so many bytes.
    pub(crate) async fn with_segments(records: Option<usize>, bytes_max: u64) -> Self {
        let metrics = Metrics::new("0.1.0", "abc");
        let ledger = records.map(|records| {
            let dir = tempfile::tempdir().unwrap();
            let mut config = LedgerConfig::new(dir.path().to_owned(), "n1", "0.1.0");
            config.segment.bytes_max = bytes_max;
            config.retention = Retention { age_max: None, free_bytes_min: None, ..config.retention };
            let sink = LedgerSink::start(config, metrics.sink("ledger")).unwrap();
            let mut records: Vec<EncodedRecord> = (0..records).map(|n| encoded(&record(n))).collect();
            // Frame by frame, so that small segments are filled.
            for records in records.chunks_mut(RECORDS_AT_ONCE) {
                let before = sink.facts().counters.written();
                sink.send(records);
                while sink.facts().counters.written() < before + records.len() as u64 {
                    std::thread::park_timeout(Duration::from_millis(5));
                }
            }
            (sink, dir)
        });
        let facts = ledger.as_ref().map(|(sink, _)| sink.facts().clone());
        let hub = Arc::new(ObserveHub::new(metrics.sink("observe")));
        let (asked, questions) = mpsc::channel(QUESTIONS_MAX);
        tokio::spawn(answer(questions));
        let (audit, accesses) = mpsc::channel(ACCESSES_MAX);
        let build = Build { version: "0.1.0", commit: "abc", node: Arc::from("n1"), cluster: None };
        let health = Arc::new(Health::new());
        let setup = Setup::new(build, facts, Arc::clone(&hub), asked, audit, metrics.clone(), health);
        Self { router: router(setup.clone()), setup, hub, metrics, accesses, ledger }
    }

    /// Where its ledger is.
    pub(crate) fn dir(&self) -> &Path {
        self.ledger.as_ref().unwrap().1.path()
    }

    pub(crate) fn append(&self, records: &[Value]) {
        _ = self.record(records);
    }

    fn record(&self, records: &[Value]) -> Vec<EncodedRecord> {
        let (sink, _) = self.ledger.as_ref().unwrap();
        let mut records: Vec<EncodedRecord> = records.iter().map(encoded).collect();
        sink.send(&mut records);
        records
    }

    /// As the pipeline does: into the ledger, and to whoever follows.
    pub(crate) fn publish(&self, records: &[Value]) {
        self.hub.publish(&self.record(records));
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Asks as a process of this node, and reads the answer to its end.
    pub(crate) async fn ask(&self, path: &str, accept: &str) -> (StatusCode, String) {
        let request = Request::get(path).header("accept", accept).extension(local());
        let response = self.send(request.body(Body::empty()).unwrap()).await;
        let status = response.status();
        (status, text(response).await)
    }

    pub(crate) async fn json(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = self.ask(path, "application/json").await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn answer(mut questions: mpsc::Receiver<Question>) {
    while let Some(Question { answer, .. }) = questions.recv().await {
        let lines = vec![
            json!({ "kind": "WatchfireState", "dialect": "k8s", "cilium": {} }),
            json!({ "kind": "NetworkPolicy", "metadata": { "namespace": "shop", "name": "db" } }),
        ];
        let lines: Answer = Box::new(lines.into_iter());
        _ = answer.send(lines);
    }
}
