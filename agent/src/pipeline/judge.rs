//! Who stands at the ends of a flow, and what policy says about it.

use std::net::SocketAddr;
use std::sync::Arc;

use watchfire_inventory::{Ends, Resolver};
use watchfire_model::{BackendView, Flow, Peer, Side, Verdict};
use watchfire_policy::{Connection, Endpoint};

use super::Stages;
use super::open_flows::{Judged, Led};
use super::services::{BACKENDS_JUDGED_MAX, UNRESOLVED};
use crate::knowledge::Knowledge;

impl Stages {
    /// Who stands at the ends, and what policy says about it, both as known now.
    pub(super) fn judge(&mut self, flow: &Flow) -> Judged {
        let (ends, led) = self.ends(flow);
        let to = |peer: &Peer, server: SocketAddr| {
            let connection = Connection {
                protocol: flow.protocol,
                client: Endpoint { peer: &ends.client, ip: flow.client.ip() },
                server: Endpoint { peer, ip: server.ip() },
                server_port: server.port(),
                icmp_type: flow.icmp.map(|icmp| icmp.icmp_type),
                direction_guessed: flow.direction_guessed,
            };
            self.knowledge.policies().judge(&self.knowledge, &connection)
        };
        let verdict = match &led {
            None => to(&ends.server, flow.server),
            Some(Led { backend: BackendView { address: Some(backend), .. }, .. }) => {
                to(&ends.server, *backend)
            }
            // Any of them.
            Some(Led { service, .. }) => {
                let backends = service.as_ref().map_or(&[][..], |service| &service.backends);
                let judged = backends.iter().filter(|_| backends.len() <= BACKENDS_JUDGED_MAX);
                let verdicts = judged
                    .map(|backend| to(&self.resolver().address(backend.ip(), flow.opened_boot_ns), *backend));
                Verdict::common(verdicts).unwrap_or_else(|| to(&ends.server, flow.server))
            }
        };
        Judged { ends, verdict, names: self.names_of(flow), led }
    }

    /// Names of the end that is not the observed one, as known now.
    pub(super) fn names_of(&self, flow: &Flow) -> Vec<Arc<str>> {
        let remote = match flow.side {
            Side::Client => flow.server,
            Side::Server => flow.client,
        };
        self.names.of(remote.ip(), self.latest_boot_ns)
    }

    /// Who stands at the ends, as known now. Where the server's address is a service's, the backend that it led to is the
    /// server.
    pub(super) fn ends(&mut self, flow: &Flow) -> (Ends, Option<Led>) {
        let cgroup_id = if flow.cgroup_id == 0 {
            self.owner(flow).map_or(0, |owner| owner.cgroup_id)
        } else {
            flow.cgroup_id
        };
        let cgroup = self.host.cgroup(cgroup_id);
        let mut ends = self.resolver().ends(flow, cgroup.as_deref());
        let led = self.services.led(&self.knowledge.directory, flow, &ends.server);
        if let Some(led) = &led {
            let backend = led.backend.address;
            ends.server = backend
                .map_or(UNRESOLVED, |backend| self.resolver().address(backend.ip(), flow.opened_boot_ns));
        }
        (ends, led)
    }

    pub(super) fn resolver(&self) -> Resolver<'_> {
        let Knowledge { directory, node, .. } = &self.knowledge;
        Resolver { directory, host: self.host.net(), node }
    }
}
