//! The reader's part of the account, kept in the kernel.

use agent_common::{Ledger as Entry, LedgerEntry};
use aya::maps::{Array, MapData, MapError};
use watchfire_model::{KindCounters, RecordKind};

use crate::objects::Objects;
use crate::sensor::StartError;
use crate::wire_maps::LedgerPod;

/// The map, and what is in it.
pub(crate) struct Ledger {
    map: Array<MapData, LedgerPod>,
    entry: Entry,
}

impl Ledger {
    /// Reads what an agent before this one wrote; zeroes where there was none.
    pub(crate) fn open(objects: &mut Objects) -> Result<Self, StartError> {
        let map: Array<_, LedgerPod> = objects.get("LEDGER")?;
        let entry = map.get(&0, 0).map_err(|source| StartError::Map("LEDGER", source))?.0;
        Ok(Self { map, entry })
    }

    /// When it was written, CLOCK_BOOTTIME in nanoseconds; 0 for never.
    pub(crate) const fn written_ns(&self) -> u64 {
        self.entry.written_ns
    }

    /// Records up to this time are told from other rings.
    pub(crate) const fn since_ns(&self) -> u64 {
        self.entry.since_ns
    }

    pub(super) const fn links(&self) -> usize {
        self.entry.links as usize
    }

    /// By kind, in wire order.
    pub(crate) const fn kinds(&self) -> &[LedgerEntry] {
        &self.entry.kinds
    }

    /// Whether the agent that wrote it last was killed.
    pub(crate) const fn was_killed(&self) -> bool {
        self.entry.written_ns > 0 && self.entry.ended == 0
    }

    /// Says whether the next entry is the last of an agent that ends in order.
    pub(crate) const fn set_ended(&mut self, ended: bool) {
        self.entry.ended = ended as u32;
    }

    /// Says what stays as it is.
    pub(crate) const fn begin(&mut self, since_ns: u64, links: usize) {
        self.entry.since_ns = since_ns;
        self.entry.links = links as u32;
    }

    /// Writes it whole, in one system call, so that no end of this process leaves a part of it. `told` is what was told of
    /// dropped and suppressed records.
    pub(crate) fn write(
        &mut self,
        now_ns: u64,
        totals: &[(RecordKind, KindCounters)],
        told: &[(u64, u64)],
    ) -> Result<(), MapError> {
        self.entry.written_ns = now_ns;
        for (entry, ((_, total), told)) in self.entry.kinds.iter_mut().zip(totals.iter().zip(told)) {
            *entry = LedgerEntry {
                received: total.received,
                lost_at_restart: total.lost_at_restart,
                dropped_told: told.0,
                suppressed_told: told.1,
            };
        }
        self.map.set(0, LedgerPod(self.entry), 0)
    }
}
