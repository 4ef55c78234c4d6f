//! What is judged: a connection and the two ends of it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Labels, Namespace, Peer, Pod, Protocol};

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// Who it is.
    pub peer: &'a Peer,
    /// The address it used, after destination translation of Services.
    pub ip: IpAddr,
}

/// A connection, from the end that opened it to the end that answered.
///
/// Replies and related ICMP errors are part of the connection and are not judged on their own.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// Protocol.
    pub protocol: Protocol,
    /// The end that opened it.
    pub client: Endpoint<'a>,
    /// The end that answered.
    pub server: Endpoint<'a>,
    /// Port at the server, after destination translation of Services; 0 where the protocol has none.
    pub server_port: u16,
    /// Type of the first message of ICMP; none where it is not known or the protocol is another.
    pub icmp_type: Option<u8>,
    /// Whether who opened it was inferred and not seen. Such a connection is never said to be denied.
    pub direction_guessed: bool,
}

/// What policies need to know of the cluster beyond the two ends. Whatever is not known makes the rules that ask for it
/// undecidable, never false.
pub trait World {
    /// Labels of a namespace; none where they are not known.
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels>;

    /// Labels of a node; none where they are not known.
    fn node_labels(&self, _node: &str) -> Option<&Labels> {
        None
    }

    /// Every name by which pods of this node found an address, as DNS answered them; none where that is not known.
    fn names(&self, _address: IpAddr) -> Option<&[Arc<str>]> {
        None
    }

    /// All services of the cluster; none where they are not known.
    fn services(&self) -> Option<&[Service]> {
        None
    }

    /// The addresses of the API server, those of the EndpointSlices of `default/kubernetes`; none where not known.
    fn api_server(&self) -> Option<&[IpAddr]> {
        None
    }
}

/// A service, as far as policies name it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Service {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Labels of the pods behind it; empty where its endpoints are kept by hand.
    pub selector: Labels,
    /// Addresses of its endpoints.
    pub backends: Vec<IpAddr>,
}

impl World for BTreeMap<String, Labels> {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.get(namespace)
    }
}

impl World for HashMap<String, Labels> {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.get(namespace)
    }
}

impl World for HashMap<String, Namespace> {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.get(namespace).map(|namespace| &namespace.labels)
    }
}

/// A peer in the roles that policies know. Host-network pods are nodes here: the API leaves them undefined, and every
/// data plane that cannot tell them from their node treats them so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Party<'a> {
    Pod(&'a Pod),
    Node(Option<&'a str>),
    World,
    Unresolved,
}

impl<'a> From<&'a Peer> for Party<'a> {
    fn from(peer: &'a Peer) -> Self {
        match peer {
            Peer::Pod(pod) if pod.identity.host_network => {
                Self::Node(pod.node.as_deref().map(String::as_str))
            }
            Peer::Pod(pod) => Self::Pod(pod),
            Peer::Node { name } => Self::Node(Some(name)),
            Peer::World => Self::World,
            Peer::Unresolved(_) => Self::Unresolved,
        }
    }
}
