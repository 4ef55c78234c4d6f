//! `fromEntities` and `toEntities` (pkg/policy/api/entity.go).

use std::net::IpAddr;

use watchfire_model::UnknownReason;

use super::labels::{is_api_server, is_own_node, world_label};
use crate::Match;
use crate::connection::Party;
use crate::side::Context;

/// A class of peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entity {
    All,
    World,
    WorldIpv4,
    WorldIpv6,
    Host,
    RemoteNode,
    KubeApiServer,
    /// The node's, Envoy's, health checks' and everything else of the cluster.
    Cluster,
    /// Something that no peer is known to be: `init`, `ingress`, `health`, `unmanaged`. Nothing tells such peers from others.
    Special,
    None,
}

impl Entity {
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "world" => Self::World,
            "world-ipv4" => Self::WorldIpv4,
            "world-ipv6" => Self::WorldIpv6,
            "host" => Self::Host,
            "remote-node" => Self::RemoteNode,
            "kube-apiserver" => Self::KubeApiServer,
            "cluster" | "cluster-mesh" => Self::Cluster,
            "init" | "ingress" | "health" | "unmanaged" => Self::Special,
            "none" => Self::None,
            _ => return None,
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::World => "world",
            Self::WorldIpv4 => "world-ipv4",
            Self::WorldIpv6 => "world-ipv6",
            Self::Host => "host",
            Self::RemoteNode => "remote-node",
            Self::KubeApiServer => "kube-apiserver",
            Self::Cluster => "cluster",
            Self::Special => "init, ingress, health or unmanaged",
            Self::None => "none",
        }
    }

    /// Whether the peer is one of them. External API servers are of the cluster and of the world.
    pub(crate) fn matches(self, context: &Context<'_>) -> Match {
        let address = context.side.peer_ip;
        let peer = context.side.peer;
        let world = |label: &str| Match::from(world_label(address, context) == label);
        match (self, peer) {
            (Self::All, _) => Match::Yes,
            (Self::None, _) => Match::No,
            (_, Party::Unresolved) => Match::Unknown(UnknownReason::PeerUnresolved),
            (Self::World, Party::World) | (Self::Cluster, Party::Pod(_) | Party::Node(_)) => Match::Yes,
            (Self::WorldIpv4, Party::World) if matches!(address, IpAddr::V4(_)) => world("world-ipv4"),
            (Self::WorldIpv6, Party::World) if matches!(address, IpAddr::V6(_)) => world("world-ipv6"),
            (Self::Host, Party::Node(name)) => is_own_node(name, context),
            (Self::RemoteNode, Party::Node(name)) => !is_own_node(name, context),
            (Self::KubeApiServer, Party::Node(_) | Party::World) | (Self::Cluster, Party::World) => {
                is_api_server(context)
            }
            _ => Match::No,
        }
    }
}
