//! What is known of flows besides what is seen.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::lists::{Limited, Port};

/// Most ports that may be configured.
const PORTS_MAX: usize = 256;

/// Ports of protocols that open TLS at once (IANA, Service Name and Transport Protocol Port Number Registry), and of the
/// Kubernetes API, kubelet and etcd.
const TLS_PORTS_DEFAULT: [u16; 14] =
    [443, 465, 636, 853, 989, 990, 993, 995, 2379, 2380, 5671, 6443, 8443, 10250];

/// Flows.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct FlowsConfig {
    tls_ports: Limited<Port, PORTS_MAX>,
}

impl Default for FlowsConfig {
    fn default() -> Self {
        let ports: Result<Vec<_>, _> = TLS_PORTS_DEFAULT.into_iter().map(Port::try_from).collect();
        Self { tls_ports: ports.and_then(Limited::try_from).expect("the defaults are valid") }
    }
}

impl FlowsConfig {
    /// Server ports at which a client is expected to open TLS.
    pub(crate) fn tls_ports(&self) -> BTreeSet<u16> {
        self.tls_ports.iter().map(|port| port.get()).collect()
    }
}
