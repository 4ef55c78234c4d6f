//! Values with a form of their own, the same in file, environment and flags.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use watchfire_conntrack::NetworkNamespace;
use watchfire_sensor::{RING_BYTES_DEFAULT, RING_BYTES_RANGE};

/// Where the event log goes: `-`, `none` or a path.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) enum Output {
    Stdout,
    Nowhere,
    File(PathBuf),
}

impl From<String> for Output {
    fn from(text: String) -> Self {
        match text.as_str() {
            "-" => Self::Stdout,
            "none" => Self::Nowhere,
            _ => Self::File(PathBuf::from(text)),
        }
    }
}

impl FromStr for Output {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

/// Whose connection tracking tells the backends of services: `host`, `none` or the path of a network namespace.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ConntrackOf(Option<NetworkNamespace>);

impl ConntrackOf {
    pub(crate) const fn namespace(&self) -> Option<&NetworkNamespace> {
        self.0.as_ref()
    }
}

impl Default for ConntrackOf {
    fn default() -> Self {
        Self(Some(NetworkNamespace::Host))
    }
}

impl TryFrom<String> for ConntrackOf {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "host" => Ok(Self::default()),
            "none" => Ok(Self(None)),
            path if path.starts_with('/') => Ok(Self(Some(NetworkNamespace::At(text.into())))),
            _ => Err(format!("found `{text}`, expected host, none or an absolute path")),
        }
    }
}

impl FromStr for ConntrackOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

/// Form of the agent's own log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Size of the ring between kernel and agent, bytes. The kernel wants a power of two of whole pages
/// (kernel/bpf/ringbuf.c, `ringbuf_map_alloc`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct RingBytes(u32);

impl RingBytes {
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl Default for RingBytes {
    fn default() -> Self {
        Self(RING_BYTES_DEFAULT)
    }
}

impl TryFrom<u32> for RingBytes {
    type Error = String;

    fn try_from(bytes: u32) -> Result<Self, String> {
        let (min, max) = RING_BYTES_RANGE;
        if bytes.is_power_of_two() && (min..=max).contains(&bytes) {
            return Ok(Self(bytes));
        }
        Err(format!("found {bytes}, expected a power of two from {min} to {max}"))
    }
}

impl FromStr for RingBytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u32>().map_err(|error| error.to_string())?.try_into()
    }
}

/// Longest time to drain at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct DrainSeconds(u64);

impl DrainSeconds {
    const MAX: u64 = 3600;

    pub(crate) const fn get(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl Default for DrainSeconds {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u64> for DrainSeconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, String> {
        match seconds {
            1..=Self::MAX => Ok(Self(seconds)),
            _ => Err(format!("found {seconds}, expected a whole number from 1 to {}", Self::MAX)),
        }
    }
}

impl FromStr for DrainSeconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u64>().map_err(|error| error.to_string())?.try_into()
    }
}

/// A value that can be turned off: `none` where a flag or variable is meant to undo what the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NoneOr<T>(pub(crate) Option<T>);

impl<T: FromStr> FromStr for NoneOr<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}
