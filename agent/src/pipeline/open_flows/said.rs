//! What was said of a flow, and by which policies.

use std::hash::Hash;
use std::sync::Arc;

use watchfire_inventory::{Ends, ServicePort};
use watchfire_model::{BackendView, Dialect, Flow, Origin, Owner, Peer, Side, Verdict};

use super::super::interned::Salient;
use super::super::mesh::MeshViews;

/// Who stood at the ends of a flow when it began, and what policy said then.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Judged {
    pub(crate) ends: Ends,
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) mesh: Option<MeshViews>,
    pub(crate) led: Option<Led>,
    /// Names of the end that is not the observed one.
    pub(crate) names: Vec<Arc<str>>,
}

/// What was said of a flow, by what, and since then.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) judged: Arc<Judged>,
    pub(crate) opener: Opener,
    /// The policies that it was judged by.
    pub(crate) epoch: u64,
    pub(crate) dialect: Dialect,
    pub(crate) is_stale: bool,
    /// What policies that came into force since then say, where that ever was something else.
    pub(crate) now: Option<Arc<Now>>,
}

/// What policies of a later time say of a flow.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Now {
    pub(crate) epoch: u64,
    pub(crate) verdict: Arc<Verdict>,
    pub(crate) mesh: Option<MeshViews>,
}

/// What else is told of a flow, as far as it is kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Opener {
    pub(super) owner: Owner,
    pub(super) cgroup_id: u64,
    pub(super) netns: u32,
    pub(super) side: Side,
    pub(super) origin: Origin,
    pub(super) direction_guessed: bool,
    pub(super) is_icmp: bool,
}

impl Opener {
    pub(crate) const fn of(flow: &Flow) -> Self {
        let Flow { owner, cgroup_id, netns, side, origin, direction_guessed, icmp, .. } = *flow;
        Self { owner, cgroup_id, netns, side, origin, direction_guessed, is_icmp: icmp.is_some() }
    }
}

impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        let Self { judged, opener, epoch, dialect, is_stale, now } = self;
        (opener, epoch, dialect, is_stale, now)
            == (&other.opener, &other.epoch, &other.dialect, &other.is_stale, &other.now)
            && (Arc::ptr_eq(judged, &other.judged) || judged == &other.judged)
    }
}

impl Salient for Said {
    fn salient(&self) -> impl Hash {
        let Self { judged, opener, epoch, dialect: _, is_stale, now } = self;
        let now = now.as_ref().map(|now| (now.epoch, now.verdict.outcome));
        let owner = match opener.owner {
            Owner::Known(id) => Some(id),
            Owner::Unknown(_) => None,
        };
        (Arc::as_ptr(judged).addr(), owner, opener.cgroup_id, epoch, is_stale, now)
    }
}

impl Salient for Judged {
    fn salient(&self) -> impl Hash {
        let Self { ends: Ends { client, server }, verdict, mesh: _, led, names } = self;
        (who(client), who(server), verdict.outcome, led.as_ref().map(|led| led.backend.address), names)
    }
}

fn who(peer: &Peer) -> (&str, &str) {
    match peer {
        Peer::Pod(pod) => (&pod.identity.namespace, &pod.name),
        Peer::Node { name } => ("", name),
        Peer::World => ("", ""),
        Peer::Unresolved(why) => ("", why),
    }
}

/// Where a connection led whose server's address is not a server's own.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Led {
    /// Whose address it is, where the inventory tells.
    pub(crate) service: Option<Arc<ServicePort>>,
    /// Where it led, and how that is known.
    pub(crate) backend: BackendView,
}
