//! Who is at the other end of a connection.

use std::net::SocketAddr;

use watchfire_model::ApiCaller;

/// Who is at the other end of a connection. Every request carries it among its extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// A process of this node.
    Unix {
        /// Its user; none where the kernel does not tell.
        uid: Option<u32>,
        /// Its process id, where the kernel tells.
        pid: Option<i32>,
        /// Whether it is of root or of the agent's user.
        is_permitted: bool,
    },
    /// A client over TLS, who has to show a token.
    Tcp(SocketAddr),
}

impl Peer {
    pub(crate) fn caller(&self) -> ApiCaller {
        match self {
            Self::Unix { uid, pid, .. } => ApiCaller { uid: *uid, pid: *pid, ..ApiCaller::default() },
            Self::Tcp(address) => ApiCaller { address: Some(*address), ..ApiCaller::default() },
        }
    }
}
