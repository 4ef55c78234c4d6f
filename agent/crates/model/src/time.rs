//! Wall-clock times on records.

use serde::{Serialize, Serializer};

/// A moment as nanoseconds since the Unix epoch; RFC 3339 with nanoseconds, in UTC, when serialised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WallTime(pub i64);

impl std::fmt::Display for WallTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(timestamp) => write!(f, "{timestamp:.9}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Turns kernel times into wall-clock times: the wall time of boot, read once and again when the clock is stepped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timebase {
    /// CLOCK_REALTIME minus CLOCK_BOOTTIME, nanoseconds.
    pub boot_epoch_ns: i64,
}

impl Timebase {
    /// The wall-clock time of a CLOCK_BOOTTIME reading.
    #[must_use]
    pub const fn wall(self, boot_ns: u64) -> WallTime {
        WallTime(self.boot_epoch_ns.saturating_add_unsigned(boot_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_are_rfc_3339() {
        let base = Timebase { boot_epoch_ns: 1_700_000_000_000_000_000 };
        assert_eq!(base.wall(1_500_000_007).to_string(), "2023-11-14T22:13:21.500000007Z");
    }
}
