//! Who tells the agent who is who.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// Something that is looked for, is not wanted, or is at a given place.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(try_from = "String", bound(deserialize = "T: TryFrom<String, Error = String>"))]
pub(crate) enum AutoOr<T> {
    #[default]
    Auto,
    None,
    At(T),
}

impl<T: TryFrom<String, Error = String>> TryFrom<String> for AutoOr<T> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            _ => text.try_into().map(Self::At),
        }
    }
}

impl<T: TryFrom<String, Error = String>> FromStr for AutoOr<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

/// Path of a file or socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place(pub(crate) PathBuf);

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self(text.into()));
        }
        Err(format!("found `{text}`, expected auto, none or an absolute path"))
    }
}

/// URL of a kubelet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Url(pub(crate) String);

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Self(text));
        }
        Err(format!("found `{text}`, expected auto, none or a URL that begins with https:// or http://"))
    }
}

/// The cluster that the node is of.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct KubernetesConfig {
    pub(crate) api: AutoOr<Place>,
    pub(crate) kubelet: AutoOr<Url>,
    pub(crate) kubelet_insecure_tls: bool,
}

/// What is done with records that are told before it is known who they are about.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct EnrichmentConfig {
    pub(crate) wait_milliseconds: WaitMilliseconds,
}

/// How long such a record waits at most; 0 for not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct WaitMilliseconds(u64);

impl WaitMilliseconds {
    const MAX: u64 = 10_000;

    pub(crate) const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Default for WaitMilliseconds {
    fn default() -> Self {
        Self(500)
    }
}

impl TryFrom<u64> for WaitMilliseconds {
    type Error = String;

    fn try_from(milliseconds: u64) -> Result<Self, String> {
        match milliseconds {
            0..=Self::MAX => Ok(Self(milliseconds)),
            _ => Err(format!("found {milliseconds}, expected a whole number from 0 to {}", Self::MAX)),
        }
    }
}

impl FromStr for WaitMilliseconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u64>().map_err(|error| error.to_string())?.try_into()
    }
}
