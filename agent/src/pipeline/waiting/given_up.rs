//! What has been waited for in vain: it is not waited for again for a while.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use watchfire_model::PodUid;

/// For how long.
const GIVEN_UP_FOR: Duration = Duration::from_secs(60);
/// Most that is remembered; the earliest is forgotten first, and waited for again.
const GIVEN_UP_MAX: usize = 16_384;

/// Something that is not known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Unknown {
    Cgroup(u64),
    Pod(PodUid),
    /// The container of a cgroup.
    Container(u64),
    Address(IpAddr),
}

/// What has been waited for in vain.
#[derive(Default, Debug)]
pub(super) struct GivenUp {
    since: HashMap<Unknown, Instant>,
    order: VecDeque<(Instant, Unknown)>,
}

impl GivenUp {
    pub(super) fn insert(&mut self, unknown: Unknown, now: Instant) {
        while self.order.len() >= GIVEN_UP_MAX
            || self.order.front().is_some_and(|(since, _)| is_over(*since, now))
        {
            let Some((since, first)) = self.order.pop_front() else { break };
            if self.since.get(&first) == Some(&since) {
                self.since.remove(&first);
            }
        }
        self.since.insert(unknown, now);
        self.order.push_back((now, unknown));
    }

    pub(super) fn contains(&self, unknown: &Unknown, now: Instant) -> bool {
        self.since.get(unknown).is_some_and(|since| !is_over(*since, now))
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= GIVEN_UP_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_ends() {
        let mut given_up = GivenUp::default();
        let now = Instant::now();
        for id in 0..=GIVEN_UP_MAX as u64 {
            given_up.insert(Unknown::Cgroup(id), now);
        }
        assert!(!given_up.contains(&Unknown::Cgroup(0), now));
        assert!(given_up.contains(&Unknown::Cgroup(1), now));
        let later = now + GIVEN_UP_FOR;
        assert!(!given_up.contains(&Unknown::Cgroup(1), later));
        given_up.insert(Unknown::Cgroup(1), later);
        assert_eq!((given_up.since.len(), given_up.order.len()), (1, 1));
    }
}
