//! What the API answers from.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use watchfire_export::{ApiMetrics, Health, LedgerFacts, Metrics, ObserveHub, Question};
use watchfire_ledger::LogIndex;
use watchfire_model::ApiAccessRecord;

use crate::limits::{SEARCHES_MAX, STREAMS_MAX};
use crate::tcp::Gate;

/// What runs.
#[derive(Clone, Debug)]
pub struct Build {
    /// Version of the agent.
    pub version: &'static str,
    /// Commit that it was built of.
    pub commit: &'static str,
    /// Name of the node.
    pub node: Arc<str>,
    /// Name of the cluster, where one is configured.
    pub cluster: Option<Arc<str>>,
}

/// Everything that answers are made of.
#[derive(Clone, Debug)]
pub struct Setup(pub(crate) Arc<Inner>, Option<Arc<Gate>>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) build: Build,
    pub(crate) ledger: Option<LedgerFacts>,
    pub(crate) hub: Arc<ObserveHub>,
    pub(crate) questions: mpsc::Sender<Question>,
    pub(crate) accesses: mpsc::Sender<ApiAccessRecord>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Arc<Health>,
    /// What searches know of log files.
    pub(crate) logs: Arc<LogIndex>,
    pub(crate) searches: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
}

impl Setup {
    /// Puts it together. Audit records go to `accesses`.
    #[must_use]
    pub fn new(
        build: Build,
        ledger: Option<LedgerFacts>,
        hub: Arc<ObserveHub>,
        questions: mpsc::Sender<Question>,
        accesses: mpsc::Sender<ApiAccessRecord>,
        metrics: Metrics,
        health: Arc<Health>,
    ) -> Self {
        Self(
            Arc::new(Inner {
                build,
                ledger,
                hub,
                questions,
                accesses,
                metrics,
                health,
                logs: Arc::default(),
                searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
                streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            }),
            None,
        )
    }

    /// The same for clients who have to show a token.
    pub(crate) fn with_gate(&self, gate: Arc<Gate>) -> Self {
        Self(Arc::clone(&self.0), Some(gate))
    }

    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.1.as_deref()
    }

    pub(crate) fn metrics(&self) -> &ApiMetrics {
        self.0.metrics.api()
    }
}
