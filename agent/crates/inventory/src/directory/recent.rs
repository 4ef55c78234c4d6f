//! Pods whose identity changed lately.

use std::collections::VecDeque;

use watchfire_model::PodUid;

/// Most changes that are remembered.
const CHANGES_MAX: usize = 1024;
/// How long they are, nanoseconds: as long as anybody asks for.
const KEPT_NS: u64 = 120_000_000_000;

/// When which pods changed, oldest first.
#[derive(Default, Debug)]
pub(crate) struct Recent(VecDeque<(u64, PodUid)>);

impl Recent {
    /// A pod that was known is another to policies since then.
    pub(crate) fn put(&mut self, pod: PodUid, at_ns: u64) {
        while self.0.front().is_some_and(|(when, _)| when.saturating_add(KEPT_NS) < at_ns) {
            self.0.pop_front();
        }
        if self.0.len() >= CHANGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((at_ns, pod));
    }

    /// Whether a pod changed within `window_ns` before or after a time.
    pub(crate) fn has(&self, pod: PodUid, at_ns: u64, window_ns: u64) -> bool {
        let near = self.0.iter().rev().take_while(|(when, _)| when.saturating_add(window_ns) >= at_ns);
        near.into_iter().any(|(when, known)| *known == pod && *when <= at_ns.saturating_add(window_ns))
    }
}
