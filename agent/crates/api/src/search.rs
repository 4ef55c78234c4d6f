//! Searches in the ledger, on threads where they may wait for disks, so many at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use watchfire_ledger::LedgerError;

use crate::limits::TURN_SECONDS_MAX;
use crate::problem::{Problem, ProblemKind};
use crate::setup::Setup;

/// Where the ledger is.
pub(crate) fn ledger_dir(setup: &Setup) -> Result<PathBuf, Problem> {
    let Some(ledger) = &setup.0.ledger else {
        let detail = "records are answered out of the ledger; start the agent with ledger.dir, or --ledger";
        return Err(Problem::new(ProblemKind::NoLedger, detail));
    };
    if ledger.opened().is_none() {
        let detail = "the ledger is not open yet: its disk is full or read-only; it is tried again";
        return Err(Problem::new(ProblemKind::Busy, detail));
    }
    Ok(ledger.dir.clone())
}

/// Waits for a place among the searches.
pub(crate) async fn turn(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match timeout(Duration::from_secs(TURN_SECONDS_MAX), Arc::clone(places).acquire_owned()).await {
        Ok(place) => Ok(place.expect("the semaphore is never closed")),
        Err(_) => {
            let detail = format!("other searches were not done within {TURN_SECONDS_MAX} s");
            Err(Problem::new(ProblemKind::Busy, detail))
        }
    }
}

/// Tells a search to stop when whoever waits for it is gone.
#[derive(Default, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Searches on a thread of the blocking pool, and holds the place until that ends.
pub(crate) async fn search<T: Send + 'static>(
    setup: &Setup,
    work: impl FnOnce(Arc<AtomicBool>) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Problem> {
    let place = turn(&setup.0.searches).await?;
    let stop = Stop::default();
    let flag = stop.flag();
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        work(flag)
    })
    .await;
    match done {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(ledger_problem(&error)),
        Err(error) => Err(Problem::new(ProblemKind::Ledger, format!("the search ended early: {error}"))),
    }
}

/// What searches found damaged, for whoever reads the agent's log.
pub(crate) fn say_damaged(damaged: &[String]) {
    for what in damaged {
        tracing::warn!(what, "a search for the API left out a damaged part of the ledger");
    }
}

pub(crate) fn ledger_problem(error: &LedgerError) -> Problem {
    tracing::warn!(%error, "a search for the API failed");
    Problem::new(ProblemKind::Ledger, error.in_full())
}
