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

/// Longest text form.
const TEXT_BYTES_MAX: usize = "ffffffff-4294967295-18446744073709551615".len();

impl ExecId {
    /// The text form, which is on every record and so written without the formatting of the standard library: from its end.
    fn text(self, buffer: &mut [u8; TEXT_BYTES_MAX]) -> &str {
        let mut at = TEXT_BYTES_MAX;
        let mut put = |byte: u8| {
            at -= 1;
            buffer[at] = byte;
        };
        for mut number in [self.start_ticks, self.pid.into()] {
            loop {
                put(b'0' + (number % 10) as u8);
                number /= 10;
                if number == 0 {
                    break;
                }
            }
            put(b'-');
        }
        for digit in 0..8 {
            put(b"0123456789abcdef"[(self.boot >> (4 * digit) & 0xf) as usize]);
        }
        str::from_utf8(&buffer[at..]).expect("digits and hyphens are ASCII")
    }
}

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; TEXT_BYTES_MAX]))
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
        serializer.serialize_str(self.text(&mut [0; TEXT_BYTES_MAX]))
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
        for (id, text) in [
            (ExecId { boot: 0, pid: 0, start_ticks: 0 }, "00000000-0-0"),
            (
                ExecId { boot: u32::MAX, pid: u32::MAX, start_ticks: u64::MAX },
                "ffffffff-4294967295-18446744073709551615",
            ),
        ] {
            assert_eq!((id.to_string().as_str(), text.parse()), (text, Ok(id)));
        }
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in ["", "1-2", "1-2-3-4", "zz-1-2", "1--2", "1-2-99999999999999999999"] {
            assert_eq!(text.parse::<ExecId>(), Err(ParseExecIdError), "{text}");
        }
    }
}
