//! How long is waited for what.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// First pause after a failure; it doubles with each further one.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest pause after a failure.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long a watch must last for the pauses to begin anew from the shortest.
pub const WATCH_SETTLED: Duration = Duration::from_secs(10);
/// How often a kind that the API does not have is asked for again.
pub const ABSENT_INTERVAL: Duration = Duration::from_secs(30);
/// Longest wait for the beginning of an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest silence within a list.
pub const LIST_SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a watch is asked to last at least, seconds; at most twice that, so that not all end at once.
pub const WATCH_S: u32 = 300;
/// Longest silence of a watch: it should have ended by then. That a connection is dead is told by TCP much earlier, and that
/// nothing happens to a kind is no reason to begin anew.
pub const WATCH_SILENCE_MAX: Duration = Duration::from_secs(2 * WATCH_S as u64 + 30);
/// How often kubelet is asked while its answer is needed.
pub const KUBELET_INTERVAL: Duration = Duration::from_secs(10);
/// How long the API must have been out of reach for kubelet to be asked in its stead.
pub const KUBELET_AFTER: Duration = Duration::from_secs(15);

/// The times above, which tests shorten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// [`BACKOFF_FIRST`]
    pub backoff_first: Duration,
    /// [`BACKOFF_MAX`]
    pub backoff_max: Duration,
    /// [`WATCH_SETTLED`]
    pub watch_settled: Duration,
    /// [`ABSENT_INTERVAL`]
    pub absent_interval: Duration,
    /// [`ANSWER_TIMEOUT`]
    pub answer_timeout: Duration,
    /// [`LIST_SILENCE_MAX`]
    pub list_silence_max: Duration,
    /// [`WATCH_SILENCE_MAX`]
    pub watch_silence_max: Duration,
    /// [`WATCH_S`]
    pub watch_s: u32,
    /// [`KUBELET_INTERVAL`]
    pub kubelet_interval: Duration,
    /// [`KUBELET_AFTER`]
    pub kubelet_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            backoff_first: BACKOFF_FIRST,
            backoff_max: BACKOFF_MAX,
            watch_settled: WATCH_SETTLED,
            absent_interval: ABSENT_INTERVAL,
            answer_timeout: ANSWER_TIMEOUT,
            list_silence_max: LIST_SILENCE_MAX,
            watch_silence_max: WATCH_SILENCE_MAX,
            watch_s: WATCH_S,
            kubelet_interval: KUBELET_INTERVAL,
            kubelet_after: KUBELET_AFTER,
        }
    }
}

/// Pauses that double up to a longest.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new(timing: &Timing) -> Self {
        Self { first: timing.backoff_first, max: timing.backoff_max, next: timing.backoff_first }
    }

    /// The next pause, jittered.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.max);
        self.next = pause.saturating_mul(2);
        jittered(pause)
    }

    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between a half and the whole of a time: the agents of all nodes lose the API server at the same moment and must not
/// come back at the same.
pub(crate) fn jittered(time: Duration) -> Duration {
    time / 2 + (time / 2).mul_f64(random())
}

/// From 0 to 1. The keys of hash tables are random enough for this.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(&Timing::default());
        for whole in [1, 2, 4, 8, 16, 30, 30] {
            let (pause, whole) = (backoff.pause(), Duration::from_secs(whole));
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= BACKOFF_FIRST);
    }
}
