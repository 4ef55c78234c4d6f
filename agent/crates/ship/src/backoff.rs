//! How long to wait after a failure: longer each time, up to a cap, and never at the same moment as everyone else.

use std::time::Duration;

const FIRST_MS: u64 = 1_000;
const CAP_MS: u64 = 300_000;

/// Failures in a row.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// Something succeeded.
    pub(crate) const fn reset(&mut self) {
        self.0 = 0;
    }

    /// How long to wait after another failure: a random time from the upper half of the step.
    pub(crate) fn next(&mut self) -> Duration {
        let step = FIRST_MS.saturating_mul(1 << self.0.min(20)).min(CAP_MS);
        self.0 = self.0.saturating_add(1);
        Duration::from_millis(rand::random_range(step / 2..=step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_the_cap_and_begins_anew() {
        let mut backoff = Backoff::default();
        for step in [1_000, 2_000, 4_000, 8_000] {
            let wait = backoff.next().as_millis();
            assert!((step / 2..=step).contains(&wait), "{wait} of {step}");
        }
        for _ in 0..100 {
            assert!(backoff.next() <= Duration::from_millis(CAP_MS));
        }
        assert!(backoff.next() >= Duration::from_millis(CAP_MS / 2));
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(FIRST_MS));
    }
}
