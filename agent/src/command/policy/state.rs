//! What connections are judged by: pods, namespaces, nodes, services, names and policies, wherever they are known from.

mod agent;
mod case;
mod read;
mod workloads;

pub(super) use read::policy_file;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_inventory::{Directory, HostNet, Moment, Resolver, ServiceObject};
use watchfire_model::{Dialect, Labels, Peer, Pod, Timebase};
use watchfire_model::{PolicyRef, Protocol, Verdict};
use watchfire_policy::{
    CiliumOptions, Connection, Endpoint, Explanation, Policy, PolicySet, Rejection, Service, World,
};

/// Nothing is told of in the past here: one moment is as good as another.
const NOW: Moment = Moment { boot_ns: 1, timebase: Timebase { boot_epoch_ns: 0 } };

/// A state.
pub(super) struct State {
    /// Policies that can be judged by, in the order in which they were read.
    pub(super) policies: Vec<Arc<Policy>>,
    /// Where each was read, as `file:line`.
    pub(super) places: HashMap<Arc<PolicyRef>, String>,
    /// Objects that cannot be used.
    pub(super) mistakes: Vec<Rejection>,
    /// All of them, as the dialect reads them.
    pub(super) set: PolicySet,
    /// Pods by namespace and name.
    pub(super) pods: BTreeMap<(String, String), Arc<Pod>>,
    pub(super) services: Vec<ServiceObject>,
    pub(super) directory: Directory,
    /// Addresses of nodes, by name.
    pub(super) nodes: BTreeMap<String, Vec<IpAddr>>,
    facts: Facts,
}

/// What policies ask for beside the two ends.
#[derive(Default)]
struct Facts {
    node_labels: HashMap<String, Labels>,
    services: Option<Vec<Service>>,
    names: HashMap<IpAddr, Vec<Arc<str>>>,
    /// Whether addresses without names are known to have none.
    names_are_complete: bool,
    api_server: Option<Vec<IpAddr>>,
}

/// One end of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Party {
    pub(super) peer: Peer,
    pub(super) ip: IpAddr,
}

/// A connection with its ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Talk {
    pub(super) client: Party,
    pub(super) server: Party,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) icmp_type: Option<u8>,
    pub(super) guessed: bool,
}

impl Talk {
    fn connection(&self) -> Connection<'_> {
        Connection {
            protocol: self.protocol,
            client: Endpoint { peer: &self.client.peer, ip: self.client.ip },
            server: Endpoint { peer: &self.server.peer, ip: self.server.ip },
            server_port: self.port,
            icmp_type: self.icmp_type,
            direction_guessed: self.guessed,
        }
    }
}

impl State {
    pub(super) fn judge(&self, set: &PolicySet, talk: &Talk) -> Verdict {
        set.judge(self, &talk.connection())
    }

    /// As [`Self::explain`], without what differs.
    pub(super) fn trials(&self, set: &PolicySet, talk: &Talk) -> Explanation {
        set.trials(self, &talk.connection())
    }

    pub(super) fn explain(&self, set: &PolicySet, talk: &Talk) -> Explanation {
        set.explain(self, &talk.connection())
    }

    /// A set of other policies, with Cilium configured as it is here.
    pub(super) fn set_in(
        &self,
        dialect: Dialect,
        policies: impl IntoIterator<Item = Arc<Policy>>,
    ) -> PolicySet {
        let options: CiliumOptions = self.set.options().clone();
        PolicySet::with_options(dialect, options, policies)
    }

    /// Who has an address.
    pub(super) fn holder(&self, ip: IpAddr) -> Peer {
        let (host, node) = (HostNet::default(), Arc::from(""));
        Resolver { directory: &self.directory, host: &host, node: &node }.address(ip, NOW.boot_ns)
    }

    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        self.pods.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// A pod as an end of a connection. One without an address stands at the unspecified one, which no narrower block than
    /// that of all addresses has.
    pub(super) fn party(pod: &Arc<Pod>) -> Party {
        let ip = pod.ips.iter().next().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        Party { peer: Peer::Pod(Arc::clone(pod)), ip }
    }

    /// An address is told to be one of the API server's.
    pub(super) fn learn_api_server(&mut self, ip: IpAddr) {
        let known = self.facts.api_server.get_or_insert_default();
        if !known.contains(&ip.to_canonical()) {
            known.push(ip.to_canonical());
        }
    }

    /// Names are told of an address.
    pub(super) fn learn_names(&mut self, ip: IpAddr, names: impl IntoIterator<Item = Arc<str>>) {
        let known = self.facts.names.entry(ip.to_canonical()).or_default();
        for name in names {
            if !known.contains(&name) {
                known.push(name);
            }
        }
    }

    /// Addresses that have a name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        let is_it =
            |known: &Arc<str>| known.trim_end_matches('.').eq_ignore_ascii_case(name.trim_end_matches('.'));
        self.facts.names.iter().filter(move |(_, names)| names.iter().any(is_it)).map(|(ip, _)| *ip)
    }

    /// Where a policy was read, as `file:line`.
    pub(super) fn place(&self, policy: &PolicyRef) -> Option<&str> {
        self.places.get(policy).map(String::as_str)
    }
}

impl World for State {
    fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.directory.namespace(namespace).map(|namespace| &namespace.labels)
    }

    fn node_labels(&self, node: &str) -> Option<&Labels> {
        self.facts.node_labels.get(node)
    }

    fn names(&self, address: IpAddr) -> Option<&[Arc<str>]> {
        match self.facts.names.get(&address.to_canonical()) {
            Some(names) => Some(names),
            None => self.facts.names_are_complete.then_some(&[]),
        }
    }

    fn services(&self) -> Option<&[Service]> {
        self.facts.services.as_deref()
    }

    fn api_server(&self) -> Option<&[IpAddr]> {
        self.facts.api_server.as_deref()
    }
}
