//! What of the ledger is in an object store: whoever ships segments says so here, and retention heeds it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::LedgerError;
use crate::files;
use crate::identity::LedgerId;
use crate::stats::Count;

/// Says how far the ledger is shipped, and to where.
pub const SHIP_FILE: &str = "ship.json";

/// Most segments whose shipping was given up that are remembered one by one.
const GIVEN_UP_MAX: usize = 4096;

/// Segments are shipped in order: all that were there up to a number are in the store.
#[derive(Debug)]
pub struct Shipment {
    path: PathBuf,
    state: Mutex<State>,
    /// Records that retention took before they were shipped.
    pub removed_records: Count,
    /// Those of them that no loss record tells of yet.
    untold: Mutex<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct State {
    ledger: LedgerId,
    destination: String,
    /// The last segment that is in the store; 0 before the first.
    through: u64,
    /// Segments up to there that are not, or not as a whole.
    given_up: Vec<u64>,
}

impl Shipment {
    /// Reads how far it is, or begins anew: what was shipped elsewhere, or of another ledger, is not in this store.
    pub(crate) fn open(dir: &Path, ledger: LedgerId, destination: &str) -> Result<Self, LedgerError> {
        let path = dir.join(SHIP_FILE);
        let new = State { ledger, destination: destination.to_owned(), through: 0, given_up: Vec::new() };
        let state = match files::read_if_there(&path)? {
            None => new,
            Some(bytes) => match serde_json::from_slice::<State>(&bytes) {
                Ok(state) if state.ledger == ledger && state.destination == destination => state,
                Ok(State { destination: before, .. }) => {
                    tracing::warn!(before, destination, "the ledger is shipped to another place from now on");
                    new
                }
                // Shipping again does no harm.
                Err(error) => {
                    let file = path.display();
                    tracing::error!(%file, %error, "it is not known how far the ledger is shipped; all of it is compared again");
                    new
                }
            },
        };
        let (removed_records, untold) = (Count::default(), Mutex::new(0));
        Ok(Self { path, state: Mutex::new(state), removed_records, untold })
    }

    /// The last segment that is in the store, or was given up; 0 before the first.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.lock().through
    }

    /// Whether the segment is in the store as a whole.
    #[must_use]
    pub fn is_shipped(&self, segment: u64) -> bool {
        let state = self.lock();
        segment <= state.through && !state.given_up.contains(&segment)
    }

    /// The segment is in the store, or cannot get there. Returns once that outlasts everything.
    pub fn acknowledge(&self, segment: u64, is_whole: bool) -> Result<(), LedgerError> {
        let mut next = self.lock().clone();
        next.through = next.through.max(segment);
        if !is_whole && !next.given_up.contains(&segment) {
            next.given_up.push(segment);
            let excess = next.given_up.len().saturating_sub(GIVEN_UP_MAX);
            next.given_up.drain(..excess);
        }
        let mut bytes = serde_json::to_vec_pretty(&next).expect("it has string keys only");
        bytes.push(b'\n');
        files::replace(&self.path, &bytes)?;
        *self.lock() = next;
        Ok(())
    }

    /// Retention took records of a segment; where they are not shipped, that is a loss.
    pub(crate) fn removed(&self, segment: u64, records: u64) {
        if records == 0 || self.is_shipped(segment) {
            return;
        }
        self.removed_records.add(records);
        *self.untold.lock().unwrap_or_else(PoisonError::into_inner) += records;
        tracing::error!(segment, records, "records went from the ledger before they were shipped");
    }

    /// Records that retention took unshipped since this was last asked.
    #[must_use]
    pub fn take_untold(&self) -> u64 {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: LedgerId = LedgerId([7; 16]);

    #[test]
    fn what_is_acknowledged_outlasts_a_restart_and_counts_for_its_place_alone() {
        let dir = tempfile::tempdir().unwrap();
        let open = |destination| Shipment::open(dir.path(), ID, destination).unwrap();
        let shipment = open("s3://a");
        assert!(!shipment.is_shipped(1));
        shipment.acknowledge(3, true).unwrap();
        shipment.acknowledge(4, false).unwrap();
        let shipment = open("s3://a");
        let shipped = [1, 3, 4, 5].map(|segment| shipment.is_shipped(segment));
        assert_eq!((shipment.through(), shipped), (4, [true, true, false, false]));
        assert_eq!(open("s3://b").through(), 0);
        assert_eq!(Shipment::open(dir.path(), LedgerId([8; 16]), "s3://a").unwrap().through(), 0);
        std::fs::write(dir.path().join(SHIP_FILE), "{").unwrap();
        assert_eq!(open("s3://a").through(), 0);
    }

    #[test]
    fn what_goes_unshipped_is_counted_and_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let shipment = Shipment::open(dir.path(), ID, "s3://a").unwrap();
        shipment.acknowledge(2, true).unwrap();
        for segment in 1..=4 {
            shipment.removed(segment, 10);
        }
        shipment.removed(4, 0);
        assert_eq!(shipment.removed_records.get(), 20);
        assert_eq!((shipment.take_untold(), shipment.take_untold()), (20, 0));
    }
}
