//! The keys of what is told of flows.

use serde::Deserialize;
use watchfire_sensor::Flows;

/// What is told of flows besides TCP connections.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct FlowsConfig {
    datagrams: bool,
    payloads: bool,
    drops: bool,
}

impl Default for FlowsConfig {
    fn default() -> Self {
        let Flows { datagrams, payloads, drops } = Flows::ALL;
        Self { datagrams, payloads, drops }
    }
}

impl FlowsConfig {
    /// As the sensor takes it.
    pub(crate) const fn flows(&self) -> Flows {
        Flows { datagrams: self.datagrams, payloads: self.payloads, drops: self.drops }
    }
}
