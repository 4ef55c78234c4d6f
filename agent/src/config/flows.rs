//! The keys of what is told of flows.

use std::collections::BTreeSet;

use serde::Deserialize;
use watchfire_sensor::{Flows, UPDATE_INTERVAL_SECONDS_DEFAULT};

use super::lists::{Limited, Port};

/// Most ports that may be configured.
const PORTS_MAX: usize = 256;

/// Ports of protocols that open TLS at once (IANA, Service Name and Transport Protocol Port Number Registry), and of the
/// Kubernetes API, kubelet and etcd.
const TLS_PORTS_DEFAULT: [u16; 14] =
    [443, 465, 636, 853, 989, 990, 993, 995, 2379, 2380, 5671, 6443, 8443, 10250];

/// What is told of flows.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct FlowsConfig {
    update_interval_seconds: UpdateSeconds,
    datagrams: bool,
    payloads: bool,
    drops: bool,
    tls_ports: Limited<Port, PORTS_MAX>,
}

impl Default for FlowsConfig {
    fn default() -> Self {
        let Flows { datagrams, payloads, drops } = Flows::ALL;
        let ports: Result<Vec<_>, _> = TLS_PORTS_DEFAULT.into_iter().map(Port::try_from).collect();
        let tls_ports = ports.and_then(Limited::try_from).expect("the defaults are valid");
        let update_interval_seconds = UpdateSeconds(UPDATE_INTERVAL_SECONDS_DEFAULT);
        Self { update_interval_seconds, datagrams, payloads, drops, tls_ports }
    }
}

impl FlowsConfig {
    /// As the sensor takes it.
    pub(crate) const fn flows(&self) -> Flows {
        Flows { datagrams: self.datagrams, payloads: self.payloads, drops: self.drops }
    }

    /// Between two updates of a flow, seconds.
    pub(crate) const fn update_interval_seconds(&self) -> u32 {
        self.update_interval_seconds.0
    }

    /// Server ports at which a client is expected to open TLS.
    pub(crate) fn tls_ports(&self) -> BTreeSet<u16> {
        self.tls_ports.iter().map(|port| port.get()).collect()
    }
}

/// How often flows that go on are told of; 0 for never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u32")]
struct UpdateSeconds(u32);

impl UpdateSeconds {
    const MAX: u32 = 86_400;
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
