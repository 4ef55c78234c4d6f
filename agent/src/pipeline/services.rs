//! Where connections to services lead.

use std::sync::Arc;

use watchfire_conntrack::{Conntrack, ConntrackCounters, Tuple};
use watchfire_inventory::{Directory, ServicePort};
use watchfire_model::{BackendView, Flow, Peer, Protocol, Side};

use super::open_flows::Led;

/// Most backends that are judged where it is not known which it is. With more the verdict is unknown.
pub(super) const BACKENDS_JUDGED_MAX: usize = 256;

/// Said of the server where it is not known which of several it is.
pub(super) const UNRESOLVED: Peer = Peer::Unresolved("backend not resolved");

/// By whom backends are told.
#[derive(Debug)]
pub(crate) struct Services {
    conntrack: Option<Conntrack>,
}

impl Services {
    /// `conntrack` is asked first, where there is one.
    pub(crate) const fn new(conntrack: Option<Conntrack>) -> Self {
        Self { conntrack }
    }

    /// Where a flow led, if the server's address is a service's, or a cluster address that nobody is known to have.
    /// Of what servers see the kernel has already put the backend's address in place of the service's.
    pub(super) fn led(&mut self, directory: &Directory, flow: &Flow, server: &Peer) -> Option<Led> {
        if flow.side == Side::Server
            || !matches!(flow.protocol, Protocol::Tcp | Protocol::Udp | Protocol::Sctp)
        {
            return None;
        }
        match directory.service(flow.server, flow.protocol) {
            Some(service) => {
                let backend = self.translated(flow).unwrap_or_else(|| only_endpoint(service));
                Some(Led { service: Some(Arc::clone(service)), backend })
            }
            // A service that the inventory lacks.
            None if matches!(server, Peer::Unresolved(_)) && directory.in_cluster(flow.server.ip()) => {
                self.translated(flow).map(|backend| Led { service: None, backend })
            }
            None => None,
        }
    }

    fn translated(&mut self, flow: &Flow) -> Option<BackendView> {
        let Flow { protocol, client, server, .. } = *flow;
        let tuple = Tuple { protocol, source: client, destination: server };
        let address = self.conntrack.as_mut()?.backend(&tuple)?;
        Some(BackendView { address: Some(address), by: BackendView::CONNTRACK })
    }

    /// What was asked of connection tracking so far.
    pub(super) fn counters(&self) -> ConntrackCounters {
        self.conntrack.as_ref().map(Conntrack::counters).unwrap_or_default()
    }
}

fn only_endpoint(service: &ServicePort) -> BackendView {
    match service.backends[..] {
        [only] => BackendView { address: Some(only), by: BackendView::ENDPOINTS },
        _ => BackendView { address: None, by: BackendView::UNRESOLVED },
    }
}
