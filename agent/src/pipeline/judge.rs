//! Who stands at the ends of a flow, and what policy says about it.

use std::net::SocketAddr;
use std::sync::Arc;

use watchfire_inventory::{Ends, Resolver};
use watchfire_model::{BackendView, Flow, Origin, Peer, Side, SideVerdict, UnknownReason, Verdict};
use watchfire_policy::{Connection, Endpoint, VerdictCache};

use super::open_flows::{Judged, Led, Opener, Said};
use super::services::{BACKENDS_JUDGED_MAX, UNRESOLVED};
use super::{Names, Stages, mesh};
use crate::knowledge::{Epoch, Knowledge};
use crate::pipeline::HostView;
use crate::pipeline::mesh::MeshViews;

/// Verdicts that were given by the policies in force.
#[derive(Default, Debug)]
pub(super) struct Memory {
    cache: VerdictCache,
    facts: u64,
}

impl Memory {
    pub(super) const fn cache(&self) -> &VerdictCache {
        &self.cache
    }

    /// The memory, where the policies are those in force: it follows them, and those before are asked for seldom.
    fn of(&mut self, epoch: &Epoch, current: u64) -> Option<&mut VerdictCache> {
        if epoch.number != current {
            return None;
        }
        if self.facts != epoch.facts {
            self.cache.forget();
            self.facts = epoch.facts;
        }
        Some(&mut self.cache)
    }
}

/// What is needed to judge.
pub(super) struct Judge<'a> {
    pub(super) knowledge: &'a Knowledge,
    pub(super) host: &'a HostView,
    pub(super) names: &'a Names,
    pub(super) memory: &'a mut Memory,
}

impl Judge<'_> {
    /// What policies say about a flow between these ends.
    pub(super) fn verdict(
        &mut self,
        epoch: &Epoch,
        flow: &Flow,
        ends: &Ends,
        led: Option<&Led>,
    ) -> Arc<Verdict> {
        match led {
            None => self.to(epoch, flow, ends, &ends.server, flow.server),
            Some(Led { backend: BackendView { address: Some(backend), .. }, .. }) => {
                self.to(epoch, flow, ends, &ends.server, *backend)
            }
            // Any of them.
            Some(Led { service, .. }) => {
                let backends = service.as_ref().map_or(&[][..], |service| &service.backends);
                let judged = backends.iter().filter(|_| backends.len() <= BACKENDS_JUDGED_MAX);
                let verdicts = judged.map(|backend| {
                    let peer = self.resolver().address(backend.ip(), flow.opened_boot_ns);
                    Verdict::clone(&self.to(epoch, flow, ends, &peer, *backend))
                });
                let common = Verdict::common(verdicts);
                common.map_or_else(|| self.to(epoch, flow, ends, &ends.server, flow.server), Arc::new)
            }
        }
    }

    fn to(
        &mut self,
        epoch: &Epoch,
        flow: &Flow,
        ends: &Ends,
        peer: &Peer,
        server: SocketAddr,
    ) -> Arc<Verdict> {
        if !epoch.is_whole {
            let unknown = || SideVerdict::Unknown { reason: UnknownReason::PoliciesUnknown };
            return Arc::new(Verdict::combine(unknown(), unknown()));
        }
        let connection = Connection {
            protocol: flow.protocol,
            client: Endpoint { peer: &ends.client, ip: flow.client.ip() },
            server: Endpoint { peer, ip: server.ip() },
            server_port: server.port(),
            icmp_type: flow.icmp.map(|icmp| icmp.icmp_type),
            direction_guessed: flow.direction_guessed,
        };
        let world = self.knowledge.world(self.names);
        match self.memory.of(epoch, self.knowledge.epoch().number) {
            Some(cache) => epoch.set.judge_with(cache, &world, &connection),
            None => Arc::new(epoch.set.judge(&world, &connection)),
        }
    }

    const fn resolver(&self) -> Resolver<'_> {
        let Knowledge { directory, node, .. } = self.knowledge;
        Resolver { directory, host: self.host.net(), node }
    }
}

/// What the mesh's policies say about a flow between these ends; nothing where it is not known which of several pods it led
/// to.
pub(super) fn mesh_views(epoch: &Epoch, flow: &Flow, ends: &Ends, led: Option<&Led>) -> Option<MeshViews> {
    let server = led.map_or(Some(flow.server), |led| led.backend.address).filter(|_| epoch.is_whole)?;
    mesh::views(epoch.mesh.as_deref()?, flow, ends, server)
}

impl Stages {
    /// Who stands at the ends as known now, and what the policies say about it that were in force when it began.
    pub(super) fn judge(&mut self, flow: &Flow) -> Said {
        let (ends, led) = self.ends(flow);
        let epoch = match flow.origin {
            Origin::Observed => self.knowledge.epoch_at(flow.opened_boot_ns),
            // Of what was in force before the agent nothing is known.
            Origin::BeforeStart => Arc::clone(self.knowledge.epoch()),
        };
        let verdict = self.judge_by().verdict(&epoch, flow, &ends, led.as_ref());
        let mesh = mesh_views(&epoch, flow, &ends, led.as_ref());
        Said {
            epoch: epoch.number,
            dialect: epoch.dialect,
            opener: Opener::of(flow),
            is_stale: self.knowledge.is_stale(flow.opened_boot_ns, &ends),
            judged: Arc::new(Judged { verdict, mesh, names: self.names_of(flow), ends, led }),
            now: None,
        }
    }

    pub(super) const fn judge_by(&mut self) -> Judge<'_> {
        let Self { knowledge, host, names, memory, .. } = self;
        Judge { knowledge, host, names, memory }
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
