//! What an agent that was killed had taken out of the rings and not handed on.

use watchfire_model::{Gap, KindCounters, RecordKind};

use crate::account::Account;

/// Looks at empty rings that have to agree for a kind.
const LOOKS: u32 = 5;

/// Kinds whose account does not say yet what was lost.
///
/// When the rings are empty and nothing of a kind was emitted meanwhile, what was emitted and not received was lost, less
/// what a program at that very moment has submitted and not yet counted. So of several looks the highest answer is right.
pub(crate) struct Unsettled {
    kinds: Vec<Kind>,
    first_ns: u64,
    last_ns: u64,
}

struct Kind {
    kind: RecordKind,
    looks: u32,
    lost: i64,
}

impl Unsettled {
    /// Something may have been lost between the last entry of the ledger and the start of this agent.
    pub(crate) fn new(first_ns: u64, last_ns: u64) -> Self {
        let kinds = RecordKind::ALL.iter().map(|&kind| Kind { kind, looks: 0, lost: 0 }).collect();
        Self { kinds, first_ns, last_ns }
    }

    /// Takes the totals from before and after a moment in which the rings were empty. Answers what turned out to be lost.
    pub(crate) fn look(
        &mut self,
        before: &[(RecordKind, KindCounters)],
        after: &[(RecordKind, KindCounters)],
        account: &Account,
    ) -> Vec<Gap> {
        let (first_boot_ns, last_boot_ns) = (self.first_ns, self.last_ns);
        let mut gaps = Vec::new();
        self.kinds.retain_mut(|Kind { kind, looks, lost }| {
            let (before, after) = (before[*kind as usize].1, after[*kind as usize].1);
            if (before.emitted, before.received) != (after.emitted, after.received) {
                return true;
            }
            *looks += 1;
            *lost = after.waiting().max(*lost);
            if *looks < LOOKS {
                return true;
            }
            let lost = lost.cast_unsigned();
            if lost > 0 {
                account.count_lost_at_restart(*kind, lost);
                let lost_at_restart = after.lost_at_restart + lost;
                gaps.push(Gap {
                    kind: *kind,
                    cgroup_id: None,
                    lost,
                    suppressed: 0,
                    first_boot_ns,
                    last_boot_ns,
                    counters: KindCounters { lost_at_restart, ..after },
                });
            }
            false
        });
        gaps
    }

    /// Whether every kind has been told.
    pub(crate) fn is_settled(&self) -> bool {
        self.kinds.is_empty()
    }
}
