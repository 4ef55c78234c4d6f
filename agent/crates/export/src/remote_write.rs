//! Remote write: the metrics sent to a Prometheus-compatible server, for hosts that nobody scrapes.
//!
//! Facts: "Prometheus Remote-Write 1.0 specification" (prometheus.io/docs/specs/prw/remote_write_spec). A look at the metrics is
//! cut into requests, which wait in a bounded queue; the oldest go first. What the server cannot take for now is tried again
//! with a growing pause, what it refuses is given up. All of it is counted.

mod auth;
mod authorities;
mod client;
mod queue;
mod samples;
mod wire;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Uri;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::Metrics;

pub use self::auth::RemoteWriteAuth;
use self::client::{Answer, Client};
use self::queue::{Queue, Waiting};

/// Samples in one request.
pub const REMOTE_WRITE_REQUEST_SAMPLES_MAX: usize = 2000;
/// Compressed bytes of requests that wait; beyond, the oldest are dropped.
pub const REMOTE_WRITE_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Pauses after a failure: the first, which doubles each time, and the longest.
pub const REMOTE_WRITE_PAUSE_SECONDS: (u64, u64) = (1, 60);
/// How long a request may take.
pub const REMOTE_WRITE_REQUEST_SECONDS_MAX: u64 = 30;
/// How long is tried to send what is left at the end.
const LAST_TRY_SECONDS_MAX: u64 = 2;

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// The URL has another scheme than http and https, or no host.
    #[error("remote write to {url}: expected a URL as https://host/path")]
    Url {
        /// The URL.
        url: Uri,
    },
    /// No certificates of authorities are to be had.
    #[error("remote write to {url}: {why}")]
    Authorities {
        /// The URL.
        url: Uri,
        /// Why, with the file where one is named.
        why: String,
    },
}

/// Where metrics are sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteWriteConfig {
    /// The server's endpoint, e.g. `https://prometheus.example/api/v1/write`.
    pub url: Uri,
    /// How often the metrics are looked at.
    pub interval: Duration,
    /// How to say who sends.
    pub auth: Option<RemoteWriteAuth>,
    /// Certificates of the authorities that the server's may be signed by, PEM; those that this host trusts where none is named.
    /// Read again after failures.
    pub ca_file: Option<PathBuf>,
    /// Label `instance` of every series.
    pub instance: String,
    /// Label `job` of every series.
    pub job: String,
}

/// Sends the metrics of an agent.
#[derive(Debug)]
pub struct RemoteWrite {
    config: RemoteWriteConfig,
    client: Client,
    metrics: Metrics,
    queue: Queue,
    failing: bool,
}

impl RemoteWrite {
    /// Checks the configuration and connects to nobody yet. `version` is the agent's.
    pub fn new(config: RemoteWriteConfig, version: &str, metrics: Metrics) -> Result<Self, RemoteWriteError> {
        let client = Client::new(config.url.clone(), version, config.auth.clone(), config.ca_file.clone())?;
        let queue = Queue::new(REMOTE_WRITE_QUEUE_BYTES_MAX, metrics.remote_write().clone());
        Ok(Self { config, client, metrics, queue, failing: false })
    }

    /// Sends until `shutdown` completes, and then once more.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        let first = Instant::now() + self.config.interval;
        let mut looks = interval_at(first, self.config.interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut pause = Duration::from_secs(REMOTE_WRITE_PAUSE_SECONDS.0);
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = looks.tick() => self.look(),
                answer = send_next(&self.client, &self.queue, not_before) => {
                    match answer {
                        Answer::Taken => pause = Duration::from_secs(REMOTE_WRITE_PAUSE_SECONDS.0),
                        Answer::Refused(_) => {}
                        Answer::Later { after, .. } => {
                            not_before = Instant::now() + after.unwrap_or(pause);
                            pause = (pause * 2).min(Duration::from_secs(REMOTE_WRITE_PAUSE_SECONDS.1));
                            self.client.renew();
                        }
                    }
                    self.note(&answer);
                }
            }
        }
        self.look();
        let rest = async {
            while !self.queue.is_empty() {
                let answer = send_next(&self.client, &self.queue, Instant::now()).await;
                self.note(&answer);
                if matches!(answer, Answer::Later { .. }) {
                    break;
                }
            }
        };
        // What is then left is lost with the process, and was never counted as sent.
        _ = timeout(Duration::from_secs(LAST_TRY_SECONDS_MAX), rest).await;
    }

    /// Queues everything that the metrics show now.
    fn look(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let text = self.metrics.render_plain();
        let outer = [("job", self.config.job.as_str()), ("instance", self.config.instance.as_str())];
        let series = samples::series(&text, &outer, at_ms);
        for part in wire::requests(series, REMOTE_WRITE_REQUEST_SAMPLES_MAX) {
            self.queue.push(part);
        }
    }

    fn note(&mut self, answer: &Answer) {
        match answer {
            Answer::Taken => {
                self.queue.sent();
                if self.failing {
                    self.failing = false;
                    tracing::info!(url = %self.config.url, "remote write goes on");
                }
            }
            Answer::Refused(why) => {
                self.queue.refused();
                tracing::warn!(url = %self.config.url, why, "remote write was refused; these samples are given up");
            }
            Answer::Later { why, .. } => {
                self.queue.failed();
                if !self.failing {
                    self.failing = true;
                    tracing::warn!(url = %self.config.url, why, "remote write fails; it is tried again");
                }
            }
        }
    }
}

/// Sends the oldest request; waits for one where there is none, which then never ends.
async fn send_next(client: &Client, queue: &Queue, not_before: Instant) -> Answer {
    let Some(Waiting { body, .. }) = queue.first() else { return std::future::pending().await };
    tokio::time::sleep_until(not_before).await;
    client.send(body.clone()).await
}
