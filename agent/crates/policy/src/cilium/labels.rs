//! Selectors as Cilium matches them: on labels with sources, which every peer has, not only pods.

use std::net::IpAddr;

use ipnet::IpNet;
use watchfire_model::{Identity, UnknownReason};

use super::filter::is_identity_label;
use super::key::{NAMESPACE, PodKey, Source};
use crate::Match;
use crate::connection::Party;
use crate::selector::{METADATA_NAME, Requirement, Selector, Test};
use crate::side::Context;

/// All requirements of a selector; none of them selects everything.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct LabelMatcher {
    requirements: Box<[LabelRequirement]>,
    /// Whether a pod has to be of this cluster, unless Cilium's default is otherwise.
    local_cluster: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct LabelRequirement {
    source: Source,
    key: Box<str>,
    pod_key: PodKey,
    /// The block that the key writes down.
    block: Option<IpNet>,
    test: Test,
}

/// Something that a peer must have to be meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor<'a> {
    Block(IpNet),
    /// A label of the pod, with its value.
    Label(&'a str, &'a str),
    Namespace(&'a str),
}

/// Keys under which others than pods have labels.
const RESERVED: [&str; 6] = ["host", "remote-node", "kube-apiserver", "world", "world-ipv4", "world-ipv6"];

/// What a peer has under a key.
enum Found<'a> {
    Value(&'a str),
    Absent,
    Unknown(UnknownReason),
}

impl From<bool> for Found<'_> {
    /// Labels that are there or not have no value.
    fn from(is_there: bool) -> Self {
        if is_there { Self::Value("") } else { Self::Absent }
    }
}

impl LabelMatcher {
    /// From keys that have their source in front, as `k8s:app`.
    pub(crate) fn new(requirements: impl IntoIterator<Item = (String, Test)>, local_cluster: bool) -> Self {
        let requirements = requirements
            .into_iter()
            .map(|(key, test)| {
                let (source, key) = key.split_once(':').unwrap_or(("any", &key));
                let source = Source::of(source);
                LabelRequirement {
                    source,
                    pod_key: PodKey::of(key),
                    block: block(source, key),
                    key: key.into(),
                    test,
                }
            })
            .collect();
        Self { requirements, local_cluster }
    }

    /// The pods of a namespace that a selector of the Kubernetes API selects.
    pub(crate) fn pods(namespace: &str, pods: &Selector, local_cluster: bool) -> Self {
        let own = (format!("k8s:{NAMESPACE}"), Test::Equals(namespace.into()));
        Self::new(of_kubernetes(pods, "").chain([own]), local_cluster)
    }

    /// The pods that one selector selects of the namespaces that another selects.
    pub(crate) fn pods_of(namespaces: &Selector, pods: Option<&Selector>, local_cluster: bool) -> Self {
        let prefix = format!("{}.", super::key::NAMESPACE_LABELS);
        let any = namespaces.requirements().is_empty().then(|| (format!("k8s:{NAMESPACE}"), Test::Exists));
        let pods = pods.into_iter().flat_map(|pods| of_kubernetes(pods, ""));
        Self::new(of_kubernetes(namespaces, &prefix).chain(any).chain(pods), local_cluster)
    }

    /// Something that only pods have, and none but those that are meant; a label sooner than the namespace.
    pub(crate) fn anchor(&self) -> Option<Anchor<'_>> {
        let of_pods = self.requirements.iter().filter_map(|requirement| match &requirement.test {
            Test::Equals(value)
                if requirement.source == Source::Kubernetes
                    || (requirement.source == Source::Any && !RESERVED.contains(&&*requirement.key)) =>
            {
                Some((requirement, &**value))
            }
            _ => None,
        });
        let mut namespace = None;
        for (requirement, value) in of_pods {
            match requirement.pod_key {
                PodKey::Label => return Some(Anchor::Label(&requirement.key, value)),
                PodKey::Namespace => namespace = Some(Anchor::Namespace(value)),
                _ => {}
            }
        }
        namespace
    }

    /// Whether pods of an identity, as subjects of policy, have the labels.
    pub(crate) fn selects(&self, identity: &Identity, context: &Context<'_>) -> Match {
        self.all(|requirement| requirement.on_pod(identity, context))
    }

    /// Whether a node, as a subject of policy, has the labels: those of the node object as the host's endpoint has them
    /// (`InitWithNodeLabels` of pkg/endpoint).
    pub(crate) fn selects_node(&self, name: Option<&str>, context: &Context<'_>) -> Match {
        self.all(|requirement| requirement.on_host_endpoint(name, context))
    }

    /// Whether the peer is meant.
    pub(crate) fn matches(&self, context: &Context<'_>) -> Match {
        if self.means_all_alike(context) { Match::Yes } else { self.matches_labels(context) }
    }

    /// Whether the peer has the labels.
    pub(crate) fn matches_labels(&self, context: &Context<'_>) -> Match {
        let names_a_cluster = self.local_cluster && context.options.default_local_cluster;
        match context.side.peer {
            Party::Pod(pod) => self.all(|requirement| requirement.on_pod(&pod.identity, context)),
            // What no label says the cluster of.
            Party::World if names_a_cluster => Match::No,
            Party::Node(_) if names_a_cluster && !context.options.node_selector_labels => Match::No,
            Party::World => self.all(|requirement| requirement.on_world(context.side.peer_ip, context)),
            Party::Node(name) => self.all(|requirement| requirement.on_node(name, context)),
            Party::Unresolved if self.requirements.is_empty() && !names_a_cluster => Match::Yes,
            Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
        }
    }

    /// Whether the selector means all pods or all addresses outside, since it means the identity that stands for them all and
    /// has no labels but its own: it does if it asks for the absence of labels alone (pkg/policy/aggregate.go of Cilium 1.20).
    /// Names of ports are looked up at the peers themselves.
    fn means_all_alike(&self, context: &Context<'_>) -> bool {
        let stands_for_it = match context.side.peer {
            Party::Pod(_) | Party::World => true,
            // Their own identity stands for no others.
            Party::Node(name) => {
                context.options.node_selector_labels && is_own_node(name, context) == Match::No
            }
            Party::Unresolved => false,
        };
        let asks_for_absence = |requirement: &LabelRequirement| requirement.test.holds(None);
        let names_a_cluster = self.local_cluster && context.options.default_local_cluster;
        stands_for_it
            && !context.side.port_by_name
            && !names_a_cluster
            && self.requirements.iter().all(asks_for_absence)
    }

    fn all<'a>(&self, look_up: impl Fn(&LabelRequirement) -> Found<'a>) -> Match {
        let mut so_far = Match::Yes;
        for requirement in &self.requirements {
            so_far = so_far
                & match look_up(requirement) {
                    Found::Value(value) => requirement.test.holds(Some(value)).into(),
                    Found::Absent => requirement.test.holds(None).into(),
                    Found::Unknown(reason) => Match::Unknown(reason),
                };
            if so_far == Match::No {
                break;
            }
        }
        so_far
    }
}

/// Requirements of a selector of the Kubernetes API.
fn of_kubernetes(selector: &Selector, prefix: &str) -> impl Iterator<Item = (String, Test)> {
    selector
        .requirements()
        .iter()
        .map(move |Requirement { key, test }| (format!("k8s:{prefix}{key}"), test.clone()))
}

impl LabelRequirement {
    fn on_pod<'a>(&self, identity: &'a Identity, context: &Context<'a>) -> Found<'a> {
        if !self.source.includes(Source::Kubernetes) {
            return Found::Absent;
        }
        let value = match &self.pod_key {
            PodKey::Namespace => Some(&*identity.namespace),
            PodKey::NamespaceLabel(key) if **key == *METADATA_NAME => Some(&*identity.namespace),
            PodKey::NamespaceLabel(key) => match context.world.namespace_labels(&identity.namespace) {
                Some(labels) => labels.get(&**key).map(String::as_str),
                None => return Found::Unknown(UnknownReason::PeerUnresolved),
            },
            PodKey::Cluster => Some(&*context.options.cluster),
            PodKey::ServiceAccount => identity.service_account.as_deref(),
            PodKey::Label => identity.labels.get(&*self.key).map(String::as_str),
            PodKey::Filtered => None,
        };
        value.map_or(Found::Absent, Found::Value)
    }

    fn on_host_endpoint<'a>(&self, name: Option<&str>, context: &Context<'a>) -> Found<'a> {
        if self.source.includes(Source::Reserved) && &*self.key == "host" {
            return true.into();
        }
        if !self.source.includes(Source::Kubernetes) || !is_identity_label(&self.key) {
            return Found::Absent;
        }
        match name.and_then(|name| context.world.node_labels(name)) {
            Some(labels) => labels.get(&*self.key).map_or(Found::Absent, |value| Found::Value(value)),
            None => Found::Unknown(UnknownReason::NodeUnresolved),
        }
    }

    fn on_node<'a>(&self, name: Option<&str>, context: &Context<'a>) -> Found<'a> {
        if self.source.includes(Source::Reserved) {
            let is_there = match &*self.key {
                "host" => Some(is_own_node(name, context)),
                "remote-node" => Some(!is_own_node(name, context)),
                "kube-apiserver" => Some(is_api_server(context)),
                _ => None,
            };
            match is_there {
                Some(Match::Unknown(reason)) => return Found::Unknown(reason),
                Some(found) => return (found == Match::Yes).into(),
                None => {}
            }
        }
        if !context.options.node_selector_labels {
            return Found::Absent;
        }
        if self.source.includes(Source::Kubernetes) && self.pod_key == PodKey::Cluster {
            return Found::Value(&context.options.cluster);
        }
        if self.source.includes(Source::Node) {
            return match name.and_then(|name| context.world.node_labels(name)) {
                Some(labels) => labels.get(&*self.key).map_or(Found::Absent, |value| Found::Value(value)),
                None => Found::Unknown(UnknownReason::NodeUnresolved),
            };
        }
        Found::Absent
    }

    fn on_world<'a>(&self, address: IpAddr, context: &Context<'a>) -> Found<'a> {
        if self.source.includes(Source::Reserved) {
            if *self.key == *world_label(address, context) {
                return true.into();
            }
            if &*self.key == "kube-apiserver" {
                return match is_api_server(context) {
                    Match::Unknown(reason) => Found::Unknown(reason),
                    found => (found == Match::Yes).into(),
                };
            }
        }
        self.block.is_some_and(|block| block.contains(&address)).into()
    }
}

/// The block that a key of the source `cidr` writes, with dashes for colons (pkg/labels/cidr.go).
fn block(source: Source, key: &str) -> Option<IpNet> {
    if source != Source::Cidr {
        return None;
    }
    key.replace('-', ":").parse().ok()
}

/// The label of addresses outside: by family where Cilium handles the other family as well (pkg/labels/cidr.go).
pub(crate) fn world_label(address: IpAddr, context: &Context<'_>) -> &'static str {
    match address {
        IpAddr::V4(_) if context.options.ipv6 => "world-ipv4",
        IpAddr::V6(_) if context.options.ipv4 => "world-ipv6",
        _ => "world",
    }
}

/// Whether the peer is the node that the subject runs on.
pub(crate) fn is_own_node(peer: Option<&str>, context: &Context<'_>) -> Match {
    let own = match context.side.subject {
        Party::Pod(pod) => pod.node.as_deref().map(String::as_str),
        Party::Node(name) => name,
        Party::World | Party::Unresolved => None,
    };
    match (peer, own) {
        (Some(peer), Some(own)) => (peer == own).into(),
        _ => Match::Unknown(UnknownReason::NodeUnresolved),
    }
}

/// Whether the peer's address is one of the API server's.
pub(crate) fn is_api_server(context: &Context<'_>) -> Match {
    context.world.api_server().map_or(Match::Unknown(UnknownReason::ApiServerUnresolved), |addresses| {
        addresses.iter().any(|address| address.to_canonical() == context.side.peer_ip).into()
    })
}
