//! One kind: listed, watched, and listed again where the thread is lost.

mod absent;
mod failed;
mod list;
mod watch;

use std::time::Instant;

use tokio::time::sleep;

use crate::api::{Api, Failure};
use crate::batch::{Batches, Closed};
use crate::discovery::Arrivals;
use crate::resource::{Age, Resource};
use crate::state::State;
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
    /// The failure that stands in the log since the last list.
    warned: Option<String>,
    /// Failures since the last answer that was one.
    failures: u32,
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
            warned: None,
            failures: 0,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(&self.timing);
        loop {
            let begun = Instant::now();
            let ended = self.round().await;
            if begun.elapsed() >= self.timing.watch_settled {
                backoff.reset();
            }
            let is_again_at_once = match ended {
                // A watch that ends at once, again and again, must not become a loop without a pause.
                Ok(()) => Ok(begun.elapsed() >= self.timing.watch_settled),
                Err(Ended::Closed) => Err(Closed),
                Err(Ended::Failed { verb, failure: Failure::NotFound(_) }) => self.not_found(verb).await,
                // Access rules are looked at before the kind is: what nobody has installed may be forbidden.
                Err(Ended::Failed { failure: Failure::Forbidden(_), .. })
                    if self.arrivals.is_absent(self.resource.kind).await =>
                {
                    self.absent().await.map(|()| true)
                }
                Err(Ended::Failed { verb, failure }) => {
                    self.failed(verb, &failure);
                    Ok(false)
                }
            };
            match is_again_at_once {
                Err(Closed) => return,
                Ok(true) => {}
                Ok(false) => sleep(backoff.pause()).await,
            }
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
}
