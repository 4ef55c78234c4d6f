//! What the mesh's own policies say of a flow.

use std::net::SocketAddr;
use std::sync::Arc;

use watchfire_inventory::Ends;
use watchfire_model::{Flow, MeshView, MeshWord, Outcome, Peer, PolicyRef, Protocol};
use watchfire_policy::mesh::{MeshConnection, MeshIdentity, MeshSet, MeshUnknown, MeshVerdict, Transport};

use super::open_flows::Hello;

/// Port at which ztunnels and sidecars take the tunnels of a mesh (HBONE).
const TUNNEL_PORT: u16 = 15_008;
/// How a protocol begins that sidecars offer within mutual TLS (istio pilot/pkg/networking/util, `ALPNInMesh`).
const ALPN_OF_MESH: &str = "istio";
/// Trust domain of a mesh that has not been given another.
const TRUST_DOMAIN: &str = "cluster.local";
/// Account of a pod that names none.
const SERVICE_ACCOUNT: &str = "default";

/// What the mesh says, by whether the client showed who it is: that is seen after the flow began.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MeshViews {
    plaintext: Option<Arc<MeshView>>,
    mutual: Option<Arc<MeshView>>,
    unknown: Option<Arc<MeshView>>,
    /// Whether it is a tunnel, which only those open that show who they are.
    is_tunnel: bool,
}

/// What the mesh says of connections to a pod; none where it says nothing, whatever the client showed.
pub(super) fn views(set: &MeshSet, flow: &Flow, ends: &Ends, server: SocketAddr) -> Option<MeshViews> {
    let Peer::Pod(pod) = &ends.server else { return None };
    if flow.protocol != Protocol::Tcp || pod.identity.host_network {
        return None;
    }
    let is_tunnel = server.port() == TUNNEL_PORT;
    let view = |transport| {
        let connection = MeshConnection {
            server: pod,
            transport,
            source: flow.client.ip(),
            destination: server.ip(),
            port: (!is_tunnel).then_some(server.port()),
        };
        view(set.judge(&connection)).map(Arc::new)
    };
    let views = MeshViews {
        plaintext: view(Transport::Plaintext),
        mutual: match &ends.client {
            Peer::Pod(client) => view(Transport::Mutual(MeshIdentity {
                trust_domain: TRUST_DOMAIN,
                namespace: &client.identity.namespace,
                service_account: client.identity.service_account.as_deref().unwrap_or(SERVICE_ACCOUNT),
            })),
            // Somebody of the mesh, but who is not known.
            Peer::Node { .. } | Peer::World | Peer::Unresolved(_) => view(Transport::MutualUnknown),
        },
        unknown: view(Transport::Unknown),
        is_tunnel,
    };
    let says_something = [&views.plaintext, &views.mutual, &views.unknown].into_iter().any(Option::is_some);
    says_something.then_some(views)
}

impl MeshViews {
    /// What it says, by what was seen of the flow. Of a port for TLS it may have been found out that the client sent
    /// something else.
    pub(crate) fn seen(&self, hello: &Hello, is_plaintext: bool) -> Option<MeshView> {
        let view = if self.is_tunnel || is_of_mesh(hello) {
            &self.mutual
        } else if is_plaintext {
            &self.plaintext
        } else {
            &self.unknown
        };
        view.as_deref().cloned()
    }
}

fn is_of_mesh(hello: &Hello) -> bool {
    let Hello::Seen(view) = hello else { return false };
    view.alpn.iter().any(|protocol| protocol.starts_with(ALPN_OF_MESH))
}

fn view(verdict: MeshVerdict) -> Option<MeshView> {
    let view = |outcome, verdict, policies: Vec<Arc<PolicyRef>>| MeshView {
        outcome,
        verdict,
        policies,
        rule: None,
        reason: None,
    };
    Some(match verdict {
        MeshVerdict::NotCovered => return None,
        MeshVerdict::Allow { policy, rule } => {
            MeshView { rule: Some(rule), ..view(Outcome::Allowed, MeshWord::Allow, vec![policy]) }
        }
        MeshVerdict::DenyRule { policy, rule } => {
            MeshView { rule: Some(rule), ..view(Outcome::Denied, MeshWord::DenyRule, vec![policy]) }
        }
        MeshVerdict::DenyDefault { policies } => view(Outcome::Denied, MeshWord::DenyDefault, policies),
        MeshVerdict::DenyPlaintext { policy } => view(Outcome::Denied, MeshWord::DenyPlaintext, vec![policy]),
        MeshVerdict::Unknown { reason } => {
            let reason = match reason {
                MeshUnknown::Mtls => "not known whether the client showed who it is",
                MeshUnknown::Identity => "not known as whom the client showed itself",
                MeshUnknown::Port => "port within the tunnel not known",
                MeshUnknown::L7 => "a rule turns on what is said over the connection",
                MeshUnknown::External => "something outside decides",
            };
            MeshView { reason: Some(reason), ..view(Outcome::Unknown, MeshWord::Unknown, Vec::new()) }
        }
    })
}
