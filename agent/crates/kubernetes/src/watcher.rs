//! One kind: listed, watched, and listed again where the thread is lost.

mod list;
mod watch;

use std::time::{Duration, Instant};

use tokio::time::sleep;
use watchfire_inventory::{Change, ManifestError};

use crate::api::{Api, Failure};
use crate::batch::{Batches, Closed};
use crate::discovery::Arrivals;
use crate::resource::{Age, Resource};
use crate::state::{Phase, State};
use crate::timing::{Backoff, Timing};

/// What all kinds share.
pub(crate) struct Asks {
    pub(crate) api: Api,
    pub(crate) arrivals: Arrivals,
    pub(crate) state: State,
}

/// Follows one kind for as long as somebody receives.
pub(crate) struct Watcher {
    api: Api,
    arrivals: Arrivals,
    state: State,
    timing: Timing,
    batches: Batches,
    resource: Resource,
    /// The version up to which everything was told; none where a list is needed.
    position: Option<String>,
    /// What a list must not be older than.
    age: Age,
    was_listed: bool,
    is_told_absent: bool,
}

/// Why a round ended early.
enum Ended {
    Closed,
    Failed { verb: &'static str, failure: Failure },
}

impl From<Closed> for Ended {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl Watcher {
    pub(crate) fn new(asks: Asks, timing: Timing, batches: Batches, resource: Resource) -> Self {
        let Asks { api, arrivals, state } = asks;
        Self {
            api,
            arrivals,
            state,
            timing,
            batches,
            resource,
            position: None,
            age: Age::Any,
            was_listed: false,
            is_told_absent: false,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(&self.timing);
        loop {
            let begun = Instant::now();
            let pause = match self.round().await {
                Err(Ended::Closed) => return,
                // A watch that ends at once, again and again, must not become a loop without a pause.
                Ok(()) if begun.elapsed() >= self.timing.watch_settled => {
                    backoff.reset();
                    Duration::ZERO
                }
                Ok(()) => backoff.pause(),
                Err(Ended::Failed { verb, failure: Failure::NotFound(_) }) => {
                    match self.not_found(verb).await {
                        Err(Closed) => return,
                        Ok(pause) => pause.unwrap_or_else(|| backoff.pause()),
                    }
                }
                Err(Ended::Failed { verb, failure }) => {
                    if begun.elapsed() >= self.timing.watch_settled {
                        backoff.reset();
                    }
                    self.failed(verb, &failure);
                    backoff.pause()
                }
            };
            sleep(pause).await;
        }
    }

    /// Lists if needed, then watches to the end of the watch.
    async fn round(&mut self) -> Result<(), Ended> {
        let from = match self.position.clone() {
            Some(position) => position,
            None => {
                let position = self.list().await?;
                self.age = Age::NotBefore(position.clone());
                self.position.insert(position).clone()
            }
        };
        self.watch(from).await
    }

    /// No such kind in this version of its group, or none any more. How long to wait, if not as after a failure.
    async fn not_found(&mut self, verb: &'static str) -> Result<Option<Duration>, Closed> {
        self.reached();
        (self.position, self.age) = (None, Age::Any);
        let next = self.resource.next();
        self.resource = next.unwrap_or_else(|| Resource::first(self.resource.kind));
        if verb != "list" {
            // What was watched is gone. The list tells whether the kind is.
            self.resource = Resource::first(self.resource.kind);
            return Ok(None);
        }
        if next.is_some() {
            return Ok(Some(Duration::ZERO));
        }
        let kind = self.resource.kind;
        if self.absent() != Phase::Absent {
            tracing::debug!(%kind, "the API does not have this kind");
        }
        if !self.is_told_absent {
            self.batches.push(Change::Absent(kind));
            self.batches.send().await?;
            self.is_told_absent = true;
        }
        while !self.arrivals.may_be_there(kind).await {
            self.absent();
        }
        Ok(Some(Duration::ZERO))
    }

    /// The kind is known not to be there. What was known before.
    fn absent(&self) -> Phase {
        self.state.kind(self.resource.kind, |known| {
            known.phase = Phase::Absent;
            known.objects = 0;
            known.last_contact = Some(Instant::now());
        })
    }

    fn failed(&mut self, verb: &'static str, failure: &Failure) {
        let rule = self.resource.rule_name();
        let is_expected = matches!(failure, Failure::Expired(_));
        let (phase, text) = match failure {
            Failure::Expired(_) => (Phase::Listing, format!("cannot {verb} {rule}: {failure}")),
            Failure::Forbidden(message) => (Phase::Forbidden, format!("forbidden: {verb} {rule}: {message}")),
            other => (Phase::Unreachable, format!("cannot {verb} {rule}: {other}")),
        };
        match (failure, verb) {
            (Failure::Unreachable(message), _) => {
                if self.state.unreachable() {
                    tracing::warn!(
                        "the Kubernetes API does not answer, what was known last stays: {message}"
                    );
                }
            }
            // What is asked for has expired although it was not older than what was told, or the server is behind it.
            (Failure::Expired(_) | Failure::Refused { status: 504, .. }, "list") => {
                self.reached();
                self.age = Age::Newest;
            }
            (Failure::Expired(_) | Failure::Malformed(_), _) => {
                self.reached();
                if let Some(position) = self.position.take() {
                    self.age = Age::NotBefore(position);
                }
            }
            _ => self.reached(),
        }
        let before = self.state.kind(self.resource.kind, |kind| {
            kind.phase = phase;
            if !is_expected {
                kind.errors += 1;
                kind.last_error = Some(text.clone());
            }
        });
        match failure {
            _ if before == phase || is_expected => tracing::debug!("{text}"),
            Failure::Unreachable(_) | Failure::Cut(_) => tracing::debug!("{text}"),
            _ => tracing::warn!("{text}"),
        }
    }

    fn reached(&self) {
        if self.state.reached() {
            tracing::info!("the Kubernetes API answers");
        }
    }
}

/// An object that could not be read is as if it did not exist.
fn malformed(state: &State, resource: Resource, error: &ManifestError, batches: &mut Batches) {
    if !error.key.name.is_empty() {
        batches.push(Change::Delete(resource.kind, error.key.clone()));
    }
    count_malformed(state, resource, error.to_string());
}

fn count_malformed(state: &State, resource: Resource, text: String) {
    let mut is_new = false;
    state.kind(resource.kind, |kind| {
        kind.malformed += 1;
        is_new = kind.last_error.as_ref() != Some(&text);
        kind.last_error = Some(text.clone());
    });
    if is_new {
        tracing::warn!("an object is left out: {text}");
    }
}
