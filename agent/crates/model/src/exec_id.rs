//! The reuse-proof identity of a process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names one process of one boot of one kernel: boot, process id and start time together.
///
/// The start time counts clock ticks (`USER_HZ`, 100 per second on every Linux architecture) since boot, as field
/// 22 of `/proc/PID/stat` does (proc_pid_stat(5)), because that is the finest unit which both the kernel records and
/// procfs tell: a process taken in from /proc at start and the same process in a later kernel record compare equal.
/// A process id can come back within one tick only if the whole pid space is used up in 10 ms, or if who may choose ids
/// chooses it (`set_tid` of clone3(2), `/proc/sys/kernel/ns_last_pid`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExecId {
    /// First 32 bits of `/proc/sys/kernel/random/boot_id`.
    pub boot: u32,
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// Start of the process in clock ticks since boot.
    pub start_ticks: u64,
}

impl ExecId {
    /// Nanoseconds in a clock tick of `USER_HZ`.
    pub const NS_PER_TICK: u64 = 10_000_000;

    /// The identity of a process that started `start_boottime_ns` nanoseconds after boot.
    #[must_use]
    pub const fn from_ns(boot: u32, pid: u32, start_boottime_ns: u64) -> Self {
        Self { boot, pid, start_ticks: start_boottime_ns / Self::NS_PER_TICK }
    }
}

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}-{}", self.boot, self.pid, self.start_ticks)
    }
}

/// A text that is not `boot-pid-ticks`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseExecIdError;

impl fmt::Display for ParseExecIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an exec_id of the form BOOT-PID-TICKS, e.g. 3f2a91bc-1234-567890")
    }
}

impl std::error::Error for ParseExecIdError {}

impl FromStr for ExecId {
    type Err = ParseExecIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(ParseExecIdError);
        let (boot, pid, ticks) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(ParseExecIdError);
        }
        Ok(Self {
            boot: u32::from_str_radix(boot, 16).map_err(|_| ParseExecIdError)?,
            pid: pid.parse().map_err(|_| ParseExecIdError)?,
            start_ticks: ticks.parse().map_err(|_| ParseExecIdError)?,
        })
    }
}

impl Serialize for ExecId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExecId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id = ExecId::from_ns(0x3f2a_91bc, 1234, 5_678_909_999_999);
        assert_eq!(id.to_string(), "3f2a91bc-1234-567890");
        assert_eq!("3f2a91bc-1234-567890".parse(), Ok(id));
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in ["", "1-2", "1-2-3-4", "zz-1-2", "1--2", "1-2-99999999999999999999"] {
            assert_eq!(text.parse::<ExecId>(), Err(ParseExecIdError), "{text}");
        }
    }
}
