//! No more bytes a second than are allowed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out the time at which bytes may go.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl Throttle {
    /// 0 bytes a second: no limit.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(Instant::now()) }
    }

    /// Waits until that many bytes may go.
    pub(crate) async fn pass(&self, bytes: u64) {
        if self.bytes_per_second == 0 {
            return;
        }
        let micros = u128::from(bytes) * 1_000_000 / u128::from(self.bytes_per_second);
        let takes = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let at = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*free_at).max(Instant::now());
            *free_at = at + takes;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_go_at_the_rate_and_no_faster() {
        let begun = Instant::now();
        let throttle = Throttle::new(1_000);
        for _ in 0..5 {
            throttle.pass(500).await;
        }
        // The clock is the test's own: the fifth goes after the four before it had their time.
        assert_eq!(begun.elapsed().as_secs(), 2);
        Throttle::new(0).pass(u64::MAX).await;
        assert_eq!(begun.elapsed().as_secs(), 2);
    }
}
