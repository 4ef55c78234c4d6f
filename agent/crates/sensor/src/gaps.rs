//! What was lost since the last look, and whose it was.

use std::collections::HashMap;

use agent_common::{Kind, Loss, LossKey};
use aya::maps::{MapData, MapError};
use watchfire_model::{Body, Gap, KindCounters, Observation, RecordKind};

use crate::decode::record_kind;
use crate::host::boot_ns;
use crate::pin::Ledger;
use crate::wire_maps::{LossKeyPod, LossPod};

/// A map of losses.
type Losses = aya::maps::HashMap<MapData, LossKeyPod, LossPod>;

/// The kernel's map of losses, and what has been told of it.
pub(crate) struct Gaps {
    map: Losses,
    /// Where what was told is kept for the next agent; none where the maps end with this one.
    kept: Option<Losses>,
    told: HashMap<LossKey, Loss>,
    /// Dropped and suppressed records of each kind that were told.
    sums: Vec<(u64, u64)>,
    looked_ns: u64,
}

impl Gaps {
    /// Nothing has been told, and nothing is kept.
    pub(crate) fn new(map: Losses) -> Self {
        let sums = vec![(0, 0); RecordKind::ALL.len()];
        Self { map, kept: None, told: HashMap::new(), sums, looked_ns: boot_ns() }
    }

    /// Goes on where an agent before this one ended, and keeps what is told for the next.
    pub(crate) fn of_ledger(map: Losses, kept: Losses, ledger: &Ledger) -> Self {
        let sums = ledger.kinds().iter().map(|entry| (entry.dropped_told, entry.suppressed_told)).collect();
        let told = read(&kept).collect();
        let looked_ns = if ledger.written_ns() == 0 { boot_ns() } else { ledger.written_ns() };
        Self { map, kept: Some(kept), told, sums, looked_ns }
    }

    /// Dropped and suppressed records of each kind that were told.
    pub(crate) fn sums(&self) -> &[(u64, u64)] {
        &self.sums
    }

    /// Keeps what was told, when it has been handed on.
    pub(crate) fn keep(&mut self) -> Result<(), MapError> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        let before: HashMap<LossKey, Loss> = read(kept).collect();
        for (key, loss) in self.told.iter().filter(|(key, loss)| before.get(key) != Some(loss)) {
            kept.insert(LossKeyPod(*key), LossPod(*loss), 0)?;
        }
        for key in before.keys().filter(|key| !self.told.contains_key(key)) {
            kept.remove(&LossKeyPod(*key))?;
        }
        Ok(())
    }

    /// One observation for each cgroup that lost something, and one for what cannot be told apart any more, so that the
    /// sums of all observations are the kernel's totals.
    pub(crate) fn look(&mut self, totals: &[(RecordKind, KindCounters)]) -> Vec<Observation> {
        let unchanged = |((_, total), sum): (&(RecordKind, KindCounters), &(u64, u64))| {
            (total.dropped, total.suppressed) == *sum
        };
        let since_ns = self.looked_ns;
        self.looked_ns = boot_ns();
        if totals.iter().zip(&self.sums).all(unchanged) {
            return Vec::new();
        }
        let losses: Vec<_> = read(&self.map).collect();
        let mut gaps = Vec::new();
        for (key, loss) in losses {
            let told = self.told.insert(key, loss).unwrap_or_default();
            // An entry that made room for others and came back counts from zero again.
            let news = |now: u64, told: u64| if now >= told { now - told } else { now };
            let Some(kind) = record_kind(Kind(key.kind as u16)) else { continue };
            let (total, sum) = (totals[kind as usize].1, &mut self.sums[kind as usize]);
            // The entry is read after the totals and may be ahead of them: the rest is told the next time.
            let lost = news(loss.dropped, told.dropped).min(total.dropped - sum.0);
            let suppressed = news(loss.suppressed, told.suppressed).min(total.suppressed - sum.1);
            if let Some(entry) = self.told.get_mut(&key) {
                entry.dropped -= news(loss.dropped, told.dropped) - lost;
                entry.suppressed -= news(loss.suppressed, told.suppressed) - suppressed;
            }
            (sum.0, sum.1) = (sum.0 + lost, sum.1 + suppressed);
            if lost + suppressed > 0 {
                gaps.push(Gap {
                    kind,
                    cgroup_id: Some(key.cgroup_id),
                    lost,
                    suppressed,
                    first_boot_ns: loss.first_ns.max(told.last_ns),
                    last_boot_ns: loss.last_ns,
                    counters: total,
                });
            }
        }
        for ((kind, total), sum) in totals.iter().zip(&mut self.sums) {
            let (lost, suppressed) = (total.dropped - sum.0, total.suppressed - sum.1);
            *sum = (total.dropped, total.suppressed);
            if lost + suppressed > 0 {
                gaps.push(Gap {
                    kind: *kind,
                    cgroup_id: None,
                    lost,
                    suppressed,
                    first_boot_ns: since_ns,
                    last_boot_ns: self.looked_ns,
                    counters: *total,
                });
            }
        }
        let live: std::collections::HashSet<LossKey> = read(&self.map).map(|(key, _)| key).collect();
        self.told.retain(|key, _| live.contains(key));
        gaps.into_iter().map(|gap| Observation { boot_ns: gap.last_boot_ns, body: Body::Gap(gap) }).collect()
    }
}

fn read(map: &Losses) -> impl Iterator<Item = (LossKey, Loss)> {
    map.iter().filter_map(Result::ok).map(|(key, loss)| (key.0, loss.0))
}
