//! The keys of connections.

use serde::Deserialize;
use watchfire_sensor::UPDATE_INTERVAL_SECONDS_DEFAULT;

/// What is told of connections.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct FlowsConfig {
    pub(crate) update_interval_seconds: UpdateSeconds,
}

/// How often connections that go on are told of; 0 for never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct UpdateSeconds(u32);

impl UpdateSeconds {
    const MAX: u32 = 86_400;

    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl Default for UpdateSeconds {
    fn default() -> Self {
        Self(UPDATE_INTERVAL_SECONDS_DEFAULT)
    }
}

impl TryFrom<u32> for UpdateSeconds {
    type Error = String;

    fn try_from(seconds: u32) -> Result<Self, String> {
        match seconds {
            0..=Self::MAX => Ok(Self(seconds)),
            _ => Err(format!("found {seconds}, expected a whole number from 0 to {}", Self::MAX)),
        }
    }
}
