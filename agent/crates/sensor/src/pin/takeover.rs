//! Programs of another build or with other settings: what is in their rings is told, then they go.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use agent_common::WIRE_VERSION;
use watchfire_model::Observation;

use super::adopt::name_agent;
use super::place::{PinError, remove};
use super::{LINKS, Ledger, Unsettled, warn_of_kill};
use crate::account::Account;
use crate::decode::Context;
use crate::filter_maps::FilterMaps;
use crate::gaps::Gaps;
use crate::host::boot_ns;
use crate::kernel::{RINGS, with_source};
use crate::objects::Objects;
use crate::plan::wire_version;
use crate::reader::Reader;
use crate::sensor::StartError;

/// What an agent before this one left.
pub(crate) struct Old {
    path: PathBuf,
}

impl Old {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Tells its programs whose own work is not told.
    pub(crate) fn set_agent(&self) {
        if let Err(error) = name_agent(&mut Objects::Pinned(self.path.clone())) {
            tracing::warn!(folder = %self.path.display(), "older programs tell of this agent: {}", with_source(&error));
        }
    }

    /// Detaches its programs, hands on what is in its rings up to `until_ns`, and removes it.
    pub(crate) fn take_over(
        &self,
        until_ns: u64,
        context: Context,
        filters: &Arc<Mutex<FilterMaps>>,
        batches: &SyncSender<Vec<Observation>>,
    ) -> Result<(), PinError> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let links = self.path.join(LINKS);
        if links.exists() {
            fs::remove_dir_all(&links).map_err(|source| PinError::Folder { path: links, source })?;
        }
        if wire_version(name) == Some(WIRE_VERSION) {
            match self.reader(until_ns, context, filters, batches) {
                Ok(reader) => {
                    let taken = reader.finish_old();
                    tracing::info!(folder = %self.path.display(), records = taken, "took over from older programs");
                }
                Err(error) => tracing::error!(
                    folder = %self.path.display(),
                    "records of older programs are lost: {}",
                    with_source(&error)
                ),
            }
        } else {
            tracing::warn!(
                folder = %self.path.display(),
                "records of older programs are lost: they are of another version"
            );
        }
        remove(&self.path)
    }

    fn reader(
        &self,
        until_ns: u64,
        context: Context,
        filters: &Arc<Mutex<FilterMaps>>,
        batches: &SyncSender<Vec<Observation>>,
    ) -> Result<Reader, StartError> {
        let mut objects = Objects::Pinned(self.path.clone());
        let rings = RINGS.iter().map(|name| objects.get(name)).collect::<Result<_, _>>()?;
        let ledger = Ledger::open(&mut objects)?;
        warn_of_kill(&ledger);
        let account = Arc::new(Account::new(objects.get("COUNTS")?, Vec::new(), &ledger));
        let gaps = Gaps::of_ledger(objects.get("LOSSES")?, objects.get("LOSSES_TOLD")?, &ledger);
        let unsettled = Unsettled::new(ledger.written_ns(), boot_ns());
        let since_ns = ledger.since_ns();
        let mut reader = Reader::new(rings, gaps, Arc::clone(filters), account, context, batches.clone());
        reader.keep_in(ledger);
        reader.settle(unsettled);
        reader.tell_between(since_ns, until_ns);
        Ok(reader)
    }
}
