//! The wall clock, by which records are told, and which is set now and then. What is known of whom is kept by the time since
//! boot, which nobody sets.

use std::time::{Duration, Instant};

use watchfire_inventory::Moment;
use watchfire_model::Timebase;

/// How often it is followed as it drifts.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(60);
/// A clock that is so much off was set, nanoseconds: in the time between it drifts by a few hundredths of a second at most.
const JUMP_NS: u64 = 100_000_000;

/// The wall clock.
#[derive(Debug)]
pub(super) struct Clock {
    timebase: Timebase,
    followed: Instant,
    jumps: u64,
}

impl Clock {
    pub(super) fn new(timebase: Timebase) -> Self {
        Self { timebase, followed: Instant::now(), jumps: 0 }
    }

    /// By what times are told.
    pub(super) const fn timebase(&self) -> Timebase {
        self.timebase
    }

    /// Takes in how the clocks stand. A clock that was set is followed at once, so that no record has the old time for
    /// longer than it takes to look again; objects that were made before have the time that they were given then. To be
    /// called about every second.
    pub(super) fn look(&mut self, read: Timebase, now: Instant) {
        let was_set = read.boot_epoch_ns.abs_diff(self.timebase.boot_epoch_ns) >= JUMP_NS;
        if was_set {
            self.jumps += 1;
            tracing::warn!("the wall clock was set: records are told by it from now on");
        }
        if was_set || now.saturating_duration_since(self.followed) >= FOLLOW_INTERVAL {
            (self.timebase, self.followed) = (read, now);
        }
    }

    /// How often it was set.
    pub(super) const fn jumps(&self) -> u64 {
        self.jumps
    }
}

/// Now, by the clock that the kernel tells records by.
pub(crate) fn moment(timebase: Timebase) -> Moment {
    Moment { boot_ns: watchfire_sensor::boot_ns(), timebase }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn booted(unix_ns: i64) -> Timebase {
        Timebase { boot_epoch_ns: unix_ns }
    }

    #[test]
    fn drift_is_followed_now_and_then_and_a_jump_at_once() {
        let start = Instant::now();
        let mut clock = Clock::new(booted(1000 * S));
        let drifted = booted(1000 * S + S / 100);
        clock.look(drifted, start);
        assert_eq!(clock.timebase(), booted(1000 * S));
        clock.look(drifted, start + 2 * FOLLOW_INTERVAL);
        assert_eq!((clock.timebase(), clock.jumps()), (drifted, 0));
        for (set, jumps) in [(5000 * S, 1), (10 * S, 2), (-10 * S, 3)] {
            clock.look(booted(set), start + 2 * FOLLOW_INTERVAL);
            assert_eq!((clock.timebase(), clock.jumps()), (booted(set), jumps));
        }
    }

    #[test]
    fn the_time_since_boot_does_not_depend_on_the_wall_clock() {
        let (before, ahead, behind) = (moment(booted(0)), moment(booted(S)), moment(booted(-S)));
        assert!(before.boot_ns <= ahead.boot_ns && ahead.boot_ns <= behind.boot_ns);
        assert!(behind.boot_ns - before.boot_ns < 3600 * S.cast_unsigned(), "not by what the clocks differ");
    }
}
