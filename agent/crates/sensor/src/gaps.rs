//! What was lost since the last look, and whose it was.

use std::collections::HashMap;

use agent_common::{Kind, Loss, LossKey};
use aya::maps::MapData;
use watchfire_model::{Body, Gap, KindCounters, Observation, RecordKind};

use crate::decode::record_kind;
use crate::host::boot_ns;
use crate::wire_maps::{LossKeyPod, LossPod};

/// The kernel's map of losses, and what has been told of it.
pub(crate) struct Gaps {
    map: aya::maps::HashMap<MapData, LossKeyPod, LossPod>,
    told: HashMap<LossKey, Loss>,
    /// Dropped and suppressed records of each kind that were told.
    sums: Vec<(u64, u64)>,
    looked_ns: u64,
}

impl Gaps {
    pub(crate) fn new(
        map: aya::maps::HashMap<MapData, LossKeyPod, LossPod>,
        totals: &[(RecordKind, KindCounters)],
    ) -> Self {
        let mut gaps = Self { map, told: HashMap::new(), sums: Vec::new(), looked_ns: boot_ns() };
        // What an agent before this one counted, it told.
        gaps.sums = totals.iter().map(|(_, total)| (total.dropped, total.suppressed)).collect();
        gaps.told = gaps.read().collect();
        gaps
    }

    fn read(&self) -> impl Iterator<Item = (LossKey, Loss)> {
        self.map.iter().filter_map(Result::ok).map(|(key, loss)| (key.0, loss.0))
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
        let losses: Vec<_> = self.read().collect();
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
        let live: std::collections::HashSet<LossKey> = self.read().map(|(key, _)| key).collect();
        self.told.retain(|key, _| live.contains(key));
        gaps.into_iter().map(|gap| Observation { boot_ns: gap.last_boot_ns, body: Body::Gap(gap) }).collect()
    }
}
