//! Wall-clock times on records.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// A text that is no RFC 3339 time, or one that nanoseconds in 64 bits cannot tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseWallTimeError;

impl std::fmt::Display for ParseWallTimeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected an RFC 3339 time such as 2026-01-02T03:04:05Z")
    }
}

impl std::error::Error for ParseWallTimeError {}

impl FromStr for WallTime {
    type Err = ParseWallTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| ParseWallTimeError)?;
        i64::try_from(timestamp.as_nanosecond()).map(Self).map_err(|_| ParseWallTimeError)
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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

    #[test]
    fn wall_times_are_read_back_with_any_offset() {
        let time = WallTime(1_700_000_001_500_000_007);
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("2023-11-14T23:13:21.500000007+01:00".parse(), Ok(time));
        for text in ["", "yesterday", "2023-11-14T22:13:21", "9999-01-01T00:00:00Z"] {
            assert_eq!(text.parse::<WallTime>(), Err(ParseWallTimeError), "{text}");
        }
    }
}
