//! Everything that is alike in one finding, with exact counts.

use std::collections::HashMap;

use watchfire_model::{
    Finding, FindingExample, FindingKind, FindingState, Party, PolicyFacts, Severity, WallTime,
};

use crate::key::Key;

/// Longest time between two records of a finding that goes on, nanoseconds, unless the interval itself is longer.
pub const SPACING_NS_MAX: u64 = 3_600_000_000_000;
/// Most findings of one kind about one source at a time, so that a scan by one does not leave the others without room.
pub const ROLL_UPS_OF_SOURCE_MAX: usize = 256;

/// A moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    /// Nanoseconds of CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// The same by the wall clock.
    pub wall: WallTime,
}

/// What a finding says of all that it stands for.
pub(crate) struct Described {
    pub(crate) severity: Severity,
    pub(crate) title: String,
    pub(crate) reason: String,
    pub(crate) policy: Option<Box<PolicyFacts>>,
    pub(crate) example: Option<Box<FindingExample>>,
}

#[derive(Debug)]
struct RollUp {
    finding: Finding,
    /// What of the count was told.
    told: u64,
    /// Not told again before this, nanoseconds of CLOCK_BOOTTIME.
    due_ns: u64,
    /// From one record to the next.
    spacing_ns: u64,
    last_ns: u64,
}

/// Findings that go on.
#[derive(Debug)]
pub(crate) struct RollUps {
    open: HashMap<Key, RollUp>,
    of_source: HashMap<(FindingKind, Option<Party>), usize>,
    interval_ns: u64,
    quiet_ns: u64,
    max: usize,
    overflowed: u64,
}

impl RollUps {
    pub(crate) fn new(interval_ns: u64, quiet_ns: u64, max: usize) -> Self {
        Self { open: HashMap::new(), of_source: HashMap::new(), interval_ns, quiet_ns, max, overflowed: 0 }
    }

    /// Counts one more. Answers the finding if it is the first, for which `describe` is asked.
    pub(crate) fn add(
        &mut self,
        key: Key,
        at: At,
        has_failed: bool,
        describe: impl FnOnce() -> Described,
    ) -> Option<Finding> {
        if let Some(roll_up) = self.open.get_mut(&key) {
            roll_up.count(at, has_failed);
            return None;
        }
        let source = (key.kind, key.source.clone());
        let of_source = self.of_source.get(&source).copied().unwrap_or_default();
        if self.open.len() >= self.max || of_source >= ROLL_UPS_OF_SOURCE_MAX {
            self.overflowed += 1;
            let key = Key::overflow(key.kind);
            if let Some(roll_up) = self.open.get_mut(&key) {
                roll_up.count(at, has_failed);
                return None;
            }
            let described = overflowing(key.kind);
            return Some(self.begin(key, at, has_failed, described, true));
        }
        self.of_source.insert(source, of_source + 1);
        let described = describe();
        Some(self.begin(key, at, has_failed, described, false))
    }

    fn begin(&mut self, key: Key, at: At, has_failed: bool, described: Described, overflow: bool) -> Finding {
        let Described { severity, title, reason, policy, example } = described;
        let finding = Finding {
            id: key.id(),
            kind: key.kind,
            severity,
            state: FindingState::New,
            title,
            reason,
            source: key.source.clone(),
            destination: key.destination.clone(),
            protocol: key.protocol,
            port: key.port,
            policy,
            count: 1,
            count_new: 1,
            failed: u64::from(has_failed),
            bytes: None,
            first: at.wall,
            last: at.wall,
            example,
            overflow,
        };
        let due_ns = at.boot_ns.saturating_add(self.interval_ns);
        let roll_up = RollUp {
            finding: finding.clone(),
            told: 1,
            due_ns,
            spacing_ns: self.interval_ns,
            last_ns: at.boot_ns,
        };
        self.open.insert(key, roll_up);
        finding
    }

    /// A flow that was counted has ended.
    pub(crate) fn add_bytes(&mut self, key: &Key, bytes: u64) {
        if let Some(RollUp { finding, .. }) = self.open.get_mut(key) {
            finding.bytes = Some(finding.bytes.unwrap_or_default().saturating_add(bytes));
        }
    }

    /// What has to be told because time has passed, the older first.
    pub(crate) fn expire(&mut self, now_ns: u64) -> Vec<Finding> {
        let (interval_ns, quiet_ns) = (self.interval_ns, self.quiet_ns);
        let mut told = Vec::new();
        let mut ended = Vec::new();
        for (key, roll_up) in &mut self.open {
            if roll_up.last_ns.saturating_add(quiet_ns) <= now_ns {
                ended.push(key.clone());
            } else if roll_up.finding.count > roll_up.told && roll_up.due_ns <= now_ns {
                roll_up.spacing_ns =
                    roll_up.spacing_ns.saturating_mul(2).min(SPACING_NS_MAX.max(interval_ns));
                roll_up.due_ns = now_ns.saturating_add(roll_up.spacing_ns);
                told.push(roll_up.tell(FindingState::Ongoing));
            }
        }
        told.extend(ended.into_iter().filter_map(|key| self.end(&key)));
        in_order(told)
    }

    /// The last record of everything.
    pub(crate) fn finish(&mut self) -> Vec<Finding> {
        self.of_source.clear();
        let all = self.open.drain();
        in_order(all.map(|(_, mut roll_up)| roll_up.tell(FindingState::Ended)).collect())
    }

    fn end(&mut self, key: &Key) -> Option<Finding> {
        let mut roll_up = self.open.remove(key)?;
        let source = (key.kind, key.source.clone());
        if !roll_up.finding.overflow
            && let Some(of_source) = self.of_source.get_mut(&source)
        {
            *of_source -= 1;
            if *of_source == 0 {
                self.of_source.remove(&source);
            }
        }
        Some(roll_up.tell(FindingState::Ended))
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// How much was counted in findings that stand for what had no room.
    pub(crate) const fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

impl RollUp {
    fn count(&mut self, at: At, has_failed: bool) {
        self.finding.count += 1;
        self.finding.failed += u64::from(has_failed);
        self.finding.first = self.finding.first.min(at.wall);
        self.finding.last = self.finding.last.max(at.wall);
        self.last_ns = self.last_ns.max(at.boot_ns);
    }

    fn tell(&mut self, state: FindingState) -> Finding {
        let count_new = self.finding.count - self.told;
        self.told = self.finding.count;
        Finding { state, count_new, ..self.finding.clone() }
    }
}

fn overflowing(kind: FindingKind) -> Described {
    Described {
        severity: Severity::Medium,
        title: format!("more findings of kind {kind} than there is room for"),
        reason: "the table of findings is full, or one source has too many of them".to_owned(),
        policy: None,
        example: None,
    }
}

fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_unstable_by(|a, b| (a.first, &a.id).cmp(&(b.first, &b.id)));
    findings
}
