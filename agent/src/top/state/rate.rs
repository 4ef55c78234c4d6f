//! How often something happens.

/// Seconds over which a rate is taken.
const WINDOW_S: i64 = 10;

/// Happenings in each of the last seconds.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Rate {
    seconds: [(i64, u32); WINDOW_S as usize],
}

impl Rate {
    /// Counts something that happened at a wall-clock time; what is older than the window is not counted.
    pub(crate) fn count(&mut self, time_ns: i64) {
        let second = time_ns.div_euclid(1_000_000_000);
        let slot = &mut self.seconds[second.rem_euclid(WINDOW_S) as usize];
        if second > slot.0 {
            *slot = (second, 0);
        }
        if second == slot.0 {
            slot.1 = slot.1.saturating_add(1);
        }
    }

    /// Happenings a second over the window that ends now.
    pub(crate) fn per_second(&self, now_ns: i64) -> f64 {
        let now = now_ns.div_euclid(1_000_000_000);
        let recent = self.seconds.iter().filter(|(second, _)| (now - WINDOW_S..=now).contains(second));
        let count: u64 = recent.map(|&(_, count)| u64::from(count)).sum();
        count as f64 / WINDOW_S as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets() {
        let at = |second: i64| second * 1_000_000_000;
        let mut rate = Rate::default();
        for _ in 0..20 {
            rate.count(at(100));
        }
        rate.count(at(105));
        assert_eq!(rate.per_second(at(105)), 2.1);
        assert_eq!(rate.per_second(at(112)), 0.1);
        assert_eq!(rate.per_second(at(200)), 0.0);
        // The slot of second 110 is that of 100; what comes late for 100 is left out.
        rate.count(at(110));
        rate.count(at(100));
        assert_eq!(rate.per_second(at(110)), 0.2);
    }
}
