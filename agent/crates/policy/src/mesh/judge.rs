//! What all policies of the mesh say of a connection.

use std::sync::Arc;

use super::{
    Authorization, AuthorizationAction, MeshConnection, MeshPolicy, MeshUnknown, MeshVerdict, MtlsMode,
    PeerAuthentication, ROOT_NAMESPACE, Transport,
};

/// All policies of the mesh.
#[derive(Clone, Debug)]
pub struct MeshSet {
    root: String,
    authentication: Vec<Arc<PeerAuthentication>>,
    authorization: Vec<Arc<Authorization>>,
}

impl MeshSet {
    /// Of policies in the order of their age, oldest first: of several of one scope about mutual TLS the oldest counts.
    #[must_use]
    pub fn new(policies: impl IntoIterator<Item = MeshPolicy>) -> Self {
        let mut set =
            Self { root: ROOT_NAMESPACE.to_owned(), authentication: Vec::new(), authorization: Vec::new() };
        for policy in policies {
            match policy {
                MeshPolicy::Authentication(policy) => set.authentication.push(policy),
                MeshPolicy::Authorization(policy) => set.authorization.push(policy),
            }
        }
        set
    }

    /// What they say. Only the side of the pod that answers has a say.
    #[must_use]
    pub fn judge(&self, connection: &MeshConnection<'_>) -> MeshVerdict {
        if let (MtlsMode::Strict, Some(policy)) = self.mode(connection) {
            match connection.transport {
                Transport::Plaintext => {
                    return MeshVerdict::DenyPlaintext { policy: Arc::clone(&policy.reference) };
                }
                Transport::Unknown => return MeshVerdict::Unknown { reason: MeshUnknown::Mtls },
                Transport::Mutual(_) | Transport::MutualUnknown => {}
            }
        }
        self.authorize(connection)
    }

    /// The mode that holds for the port, and the policy that says so: the pod's own, its namespace's, the mesh's.
    fn mode(&self, connection: &MeshConnection<'_>) -> (MtlsMode, Option<&PeerAuthentication>) {
        let pod = connection.server;
        let namespace = &*pod.identity.namespace;
        let of_pod = |policy: &&Arc<PeerAuthentication>| {
            policy.scope.selector.is_some() && policy.scope.covers(pod, &self.root)
        };
        let of_all = |namespace: &str, policy: &&Arc<PeerAuthentication>| {
            policy.scope.selector.is_none() && policy.scope.namespace == namespace
        };
        let levels = [
            self.authentication.iter().find(of_pod),
            self.authentication.iter().find(|policy| of_all(namespace, policy)),
            self.authentication.iter().find(|policy| of_all(&self.root, policy)),
        ];
        for policy in levels.into_iter().flatten() {
            let of_port = connection.port.and_then(|port| policy.ports.get(&port));
            for mode in [of_port, Some(&policy.mode)].into_iter().flatten() {
                if *mode != MtlsMode::Unset {
                    return (*mode, Some(policy));
                }
            }
        }
        (MtlsMode::Permissive, None)
    }

    fn authorize(&self, connection: &MeshConnection<'_>) -> MeshVerdict {
        let applies = |policy: &&Arc<Authorization>| {
            !policy.is_dry_run && !policy.is_targeted && policy.scope.covers(connection.server, &self.root)
        };
        let of =
            |action| self.authorization.iter().filter(applies).filter(move |policy| policy.action == action);
        if of(AuthorizationAction::Custom).any(|policy| policy.rules.matches(connection) != Ok(None)) {
            return MeshVerdict::Unknown { reason: MeshUnknown::External };
        }
        let mut undecided = None;
        for policy in of(AuthorizationAction::Deny) {
            match policy.rules.matches(connection) {
                Ok(Some(rule)) => {
                    return MeshVerdict::DenyRule { policy: Arc::clone(&policy.reference), rule };
                }
                Ok(None) => {}
                Err(reason) => undecided = undecided.or(Some(reason)),
            }
        }
        if let Some(reason) = undecided {
            return MeshVerdict::Unknown { reason };
        }
        let mut allowing = Vec::new();
        for policy in of(AuthorizationAction::Allow) {
            match policy.rules.matches(connection) {
                Ok(Some(rule)) => return MeshVerdict::Allow { policy: Arc::clone(&policy.reference), rule },
                Ok(None) => {}
                Err(reason) => undecided = undecided.or(Some(reason)),
            }
            allowing.push(Arc::clone(&policy.reference));
        }
        match (undecided, allowing.is_empty()) {
            (Some(reason), _) => MeshVerdict::Unknown { reason },
            (None, true) => MeshVerdict::NotCovered,
            (None, false) => MeshVerdict::DenyDefault { policies: allowing },
        }
    }
}
