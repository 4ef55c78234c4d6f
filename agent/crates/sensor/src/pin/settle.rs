//! What an agent that was killed had taken out of the rings and not handed on.

use watchfire_model::{Gap, KindCounters, RecordKind};

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

    /// Takes the totals from before and after a moment in which the rings were empty. Answers what turned out to be lost,
    /// and has it counted.
    pub(crate) fn look(
        &mut self,
        before: &[(RecordKind, KindCounters)],
        after: &[(RecordKind, KindCounters)],
        mut count: impl FnMut(RecordKind, u64),
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
                count(*kind, lost);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(emitted: u64, received: u64) -> Vec<(RecordKind, KindCounters)> {
        let counters = KindCounters { emitted, received, ..KindCounters::default() };
        RecordKind::ALL.iter().map(|&kind| (kind, counters)).collect()
    }

    #[test]
    fn what_is_lost_is_the_highest_answer_of_looks_at_rest() {
        let mut unsettled = Unsettled::new(10, 20);
        let mut counted = Vec::new();
        // One that is not counted yet, then it is; and one between whose ends something was emitted.
        let looks = [(7, 5, 7, 5), (8, 5, 8, 5), (8, 5, 9, 5), (9, 6, 9, 6), (9, 6, 9, 6), (9, 6, 9, 6)];
        let mut gaps = Vec::new();
        for (emitted, received, emitted_after, received_after) in looks {
            assert!(gaps.is_empty() && !unsettled.is_settled());
            let (before, after) = (totals(emitted, received), totals(emitted_after, received_after));
            gaps = unsettled.look(&before, &after, |kind, lost| counted.push((kind, lost)));
        }
        assert!(unsettled.is_settled());
        assert_eq!(counted, RecordKind::ALL.map(|kind| (kind, 3)));
        assert!(gaps.iter().all(|gap| gap.lost == 3
            && gap.counters.waiting() == 0
            && (gap.first_boot_ns, gap.last_boot_ns) == (10, 20)));
    }

    #[test]
    fn nothing_lost_is_no_gap() {
        let mut unsettled = Unsettled::new(10, 20);
        for _ in 0..LOOKS {
            assert!(unsettled.look(&totals(4, 4), &totals(4, 4), |_, _| unreachable!()).is_empty());
        }
        assert!(unsettled.is_settled());
    }
}
