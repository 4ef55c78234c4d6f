//! A rate that work keeps to.

use std::time::{Duration, Instant};

/// Operations between two looks at the clock.
const STRIDE: u64 = 32;

/// When operations are due.
pub(super) struct Pace {
    begun: Instant,
    /// Between two operations; none: as fast as they go.
    interval: Option<Duration>,
}

impl Pace {
    /// So many a second; 0: as fast as they go.
    pub(super) fn each_second(rate: u64) -> Self {
        let interval = (rate > 0).then(|| Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX));
        Self { begun: Instant::now(), interval }
    }

    /// Waits until an operation is due. Fast ones are due in small groups.
    pub(super) fn wait(&self, number: u64) {
        let Some(interval) = self.interval else { return };
        if interval < Duration::from_micros(100) && !number.is_multiple_of(STRIDE) {
            return;
        }
        let due = self.begun + interval * u32::try_from(number).unwrap_or(u32::MAX);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // A sleep takes some 50 µs more than it is asked to.
            if left > Duration::from_micros(200) {
                std::thread::park_timeout(left - Duration::from_micros(100));
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
