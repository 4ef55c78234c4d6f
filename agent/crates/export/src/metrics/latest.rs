//! What was last told to the metrics, as values: for whoever shows the agent's state in another form.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use watchfire_model::{KindCounters, RecordKind};

use super::{JudgingTotals, ProbeInfo, SourceState};

/// The agent's state.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Latest {
    /// Which hook each probe has.
    pub probes: Vec<ProbeState>,
    /// Totals of each kind of kernel record.
    pub records: Vec<(RecordKind, KindCounters)>,
    /// How flows are judged.
    pub judging: JudgingTotals,
    /// Sources of the inventory.
    pub sources: Vec<SourceState>,
}

/// Which hook a probe has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ProbeState {
    /// Probe name.
    pub probe: String,
    /// The hook; none where the kernel refused every rung.
    pub hook: Option<String>,
    /// Position in the attach ladder, 1 is best; 0 where none.
    pub rung: u8,
}

impl From<&ProbeInfo<'_>> for ProbeState {
    fn from(info: &ProbeInfo<'_>) -> Self {
        Self { probe: info.probe.to_owned(), hook: info.hook.map(str::to_owned), rung: info.rung }
    }
}

#[derive(Default, Debug)]
pub(super) struct Board(Mutex<Latest>);

impl Board {
    pub(super) fn lock(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_records(&self, kind: RecordKind, totals: KindCounters) {
        let mut latest = self.lock();
        match latest.records.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = totals,
            None => latest.records.push((kind, totals)),
        }
    }
}
