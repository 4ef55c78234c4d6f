//! Connections that nobody has seen: from every kind of pod to every port that others declare.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Labels, Peer, Pod};

use super::state::{Party, State, Talk};

/// Most connections that are thought of. Those above are counted.
const PAIRS_MAX: usize = 2_000_000;

/// An address outside of the cluster: one of those kept for documentation (RFC 5737).
const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Labels that tell pods of one workload from each other, or one rollout from the next. No selector of people names them.
pub(super) const VOLATILE_LABELS: [&str; 8] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
];

/// Connections, and how many more there would be.
pub(super) struct Pairs {
    pub(super) talks: Vec<Talk>,
    pub(super) left_out: usize,
}

/// One pod of each kind: of those that differ in nothing that policies look at.
pub(super) fn representatives(state: &State) -> Vec<&Arc<Pod>> {
    let mut known = BTreeSet::new();
    let is_first = |pod: &&Arc<Pod>| {
        let identity = &pod.identity;
        let is_stable = |key: &str| !VOLATILE_LABELS.contains(&key);
        let labels: Labels = identity
            .labels
            .iter()
            .filter(|(key, _)| is_stable(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let account = identity.service_account.clone();
        known.insert((
            Arc::clone(&identity.namespace),
            labels,
            identity.ports.clone(),
            account,
            identity.workload.clone(),
            identity.host_network,
        ))
    };
    state.pods.values().filter(|pod| !pod.identity.host_network).filter(is_first).collect()
}

/// From every kind of pod, and from outside, to every port that a kind of pod declares.
pub(super) fn pairs(state: &State) -> Pairs {
    let kinds = representatives(state);
    let outside = Party { peer: Peer::World, ip: OUTSIDE };
    let clients: Vec<Party> = kinds.iter().map(|pod| State::party(pod)).chain([outside]).collect();
    let mut pairs = Pairs { talks: Vec::new(), left_out: 0 };
    for server in &kinds {
        let mut ports: Vec<_> = server.identity.ports.iter().map(|port| (port.protocol, port.port)).collect();
        ports.sort_unstable();
        ports.dedup();
        for (protocol, port) in ports {
            for client in &clients {
                if client.peer.pod().is_some_and(|pod| Arc::ptr_eq(pod, server)) {
                    continue;
                }
                if pairs.talks.len() >= PAIRS_MAX {
                    pairs.left_out += 1;
                    continue;
                }
                let (client, server) = (client.clone(), State::party(server));
                pairs.talks.push(Talk { client, server, protocol, port, icmp_type: None, guessed: false });
            }
        }
    }
    if pairs.left_out > 0 {
        eprintln!("watchfire: {} connections were left out, above {PAIRS_MAX}", pairs.left_out);
    }
    pairs
}
