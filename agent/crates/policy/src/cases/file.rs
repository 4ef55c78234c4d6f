//! Case files as written, read into cases that can be run.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use watchfire_model::{ContainerPort, Identity, Labels, Peer, Pod};

use super::probe::{Address, Probe, Target};
use crate::Policy;
use crate::document::parse_object;
use crate::split::split;
use crate::yaml::{from_value, read};

/// Why a case file cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CaseFileError {
    /// The file is something else: no `cases` at its top, or several documents.
    #[error("not a case file: {0}")]
    NotACaseFile(&'static str),
    /// The file is neither YAML nor JSON, or its top is not as expected.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Line, from 1.
        line: u64,
        /// What was expected and what was found.
        reason: String,
    },
    /// A case is not as expected.
    #[error("case {case}: {reason}")]
    Case {
        /// Its id.
        case: String,
        /// What was expected and what was found.
        reason: String,
    },
}

/// A case file.
#[derive(Clone, Debug)]
pub struct CaseFile {
    pub(super) cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) id: String,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Runnable {
        cluster: Cluster,
        policies: Vec<Arc<Policy>>,
        probes: Vec<Probe>,
    },
    /// Cannot be judged by this engine, or should not be; with the reason.
    Skipped(String),
    /// One of its policies is refused, with the reason.
    Refused(String),
}

/// The world of a case.
#[derive(Clone, Default, Debug)]
pub(super) struct Cluster {
    pub(super) namespaces: HashMap<String, Labels>,
    pods: HashMap<String, (Arc<Pod>, IpAddr)>,
    nodes: HashMap<IpAddr, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseSource {
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "group")]
    _group: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
    #[serde(rename = "id")]
    _id: Option<String>,
    #[serde(rename = "policies")]
    _policies: Option<IgnoredAny>,
    namespaces: Option<Vec<NamespaceSource>>,
    pods: Option<Vec<PodSource>>,
    nodes: Option<Vec<NodeSource>>,
    probes: Vec<Probe>,
    known_wrong: Option<KnownWrong>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum KnownWrong {
    Flag(bool),
    Reason(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamespaceSource {
    name: String,
    labels: Option<Labels>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodSource {
    namespace: String,
    name: String,
    ip: IpAddr,
    ips: Option<Vec<IpAddr>>,
    labels: Option<Labels>,
    ports: Option<Vec<ContainerPort>>,
    host_network: Option<bool>,
    service_account: Option<String>,
    node: Option<String>,
}

#[derive(Clone, Deserialize)]
struct NodeSource {
    name: String,
    ip: Option<IpAddr>,
    ips: Option<Vec<IpAddr>>,
}

impl CaseFile {
    /// Reads a case file. Cases with policies of kinds that this engine does not evaluate, and those known to be wrong,
    /// are kept by name.
    pub fn parse(text: &str) -> Result<Self, CaseFileError> {
        if split(text).len() > 1 {
            return Err(CaseFileError::NotACaseFile("it holds several documents"));
        }
        let mut file: Value = read(text)
            .map_err(|error| CaseFileError::Syntax { line: error.line.unwrap_or(1), reason: error.reason })?;
        let cases = match file.get_mut("cases").map(Value::take) {
            Some(Value::Array(cases)) => cases,
            Some(_) => return Err(CaseFileError::NotACaseFile("its \"cases\" is no list")),
            None => return Err(CaseFileError::NotACaseFile("it has no \"cases\"")),
        };
        let shared = |field: &str| file.get(field).cloned().unwrap_or_default();
        let (pods, nodes) = (shared("pods"), shared("nodes"));
        cases
            .into_iter()
            .enumerate()
            .map(|(index, case)| Case::read(index, case, &pods, &nodes))
            .collect::<Result<_, _>>()
            .map(|cases| Self { cases })
    }
}

impl Case {
    fn read(index: usize, mut source: Value, pods: &Value, nodes: &Value) -> Result<Self, CaseFileError> {
        let text = |field: &str| source.get(field).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").or_else(|| text("name")).unwrap_or_else(|| format!("#{index}"));

        // Before anything else: files written for other dialects carry fields of their own.
        let mut policies = Vec::new();
        let objects = source.get_mut("policies").map(Value::take).unwrap_or_default();
        for (index, object) in objects.as_array().into_iter().flatten().enumerate() {
            let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            match parse_object(object.clone()) {
                Ok(Some(policy)) => policies.push(policy),
                Ok(None) => {
                    let content = Content::Skipped(format!("kind {kind} is not evaluated"));
                    return Ok(Self { id, content });
                }
                Err(reason) => {
                    let content = Content::Refused(format!("policies[{index}]: {reason}"));
                    return Ok(Self { id, content });
                }
            }
        }
        if source.get("probes").is_none() {
            return Ok(Self { id, content: Content::Skipped("it has no probes".to_owned()) });
        }
        for (field, shared) in [("pods", pods), ("nodes", nodes)] {
            if let (Some(case), false) = (source.as_object_mut(), shared.is_null()) {
                case.entry(field).or_insert_with(|| shared.clone());
            }
        }
        let fail = |reason| CaseFileError::Case { case: id.clone(), reason };
        let case: CaseSource = from_value(source).map_err(fail)?;
        match case.known_wrong {
            Some(KnownWrong::Reason(reason)) => {
                return Ok(Self { id, content: Content::Skipped(format!("known to be wrong: {reason}")) });
            }
            Some(KnownWrong::Flag(true)) => {
                return Ok(Self { id, content: Content::Skipped("known to be wrong".to_owned()) });
            }
            Some(KnownWrong::Flag(false)) | None => {}
        }
        let cluster = Cluster::new(case.namespaces, case.pods, case.nodes);
        for probe in &case.probes {
            cluster.check(probe).map_err(fail)?;
        }
        Ok(Self { id, content: Content::Runnable { cluster, policies, probes: case.probes } })
    }
}

impl Cluster {
    fn new(
        namespaces: Option<Vec<NamespaceSource>>,
        pods: Option<Vec<PodSource>>,
        nodes: Option<Vec<NodeSource>>,
    ) -> Self {
        let mut cluster = Self::default();
        for namespace in namespaces.into_iter().flatten() {
            cluster.namespaces.insert(namespace.name, namespace.labels.unwrap_or_default());
        }
        for pod in pods.into_iter().flatten() {
            cluster.namespaces.entry(pod.namespace.clone()).or_default();
            cluster
                .pods
                .insert(format!("{}/{}", pod.namespace, pod.name), (Arc::new(pod.clone().into()), pod.ip));
        }
        for node in nodes.into_iter().flatten() {
            for ip in node.ips.into_iter().flatten().chain(node.ip) {
                cluster.nodes.insert(ip, node.name.clone());
            }
        }
        cluster
    }

    /// Who a probe means, and the address they have. None for a pod that the case does not describe.
    pub(super) fn resolve(&self, target: &Target) -> Option<(Peer, IpAddr)> {
        match target {
            Target::Pod(name) => self.pods.get(name).map(|(pod, ip)| (Peer::Pod(Arc::clone(pod)), *ip)),
            Target::Other(Address { ip, unresolved: true }) => {
                Some((Peer::Unresolved("as the case says"), *ip))
            }
            Target::Other(Address { ip, unresolved: false }) => Some((self.owner(*ip), *ip)),
        }
    }

    fn owner(&self, ip: IpAddr) -> Peer {
        if let Some(name) = self.nodes.get(&ip) {
            return Peer::Node { name: name.as_str().into() };
        }
        let mut pods = self.pods.values().filter(|(pod, _)| pod.ips.contains(ip));
        match (pods.next(), pods.next()) {
            (Some((pod, _)), None) => Peer::Pod(Arc::clone(pod)),
            (Some(_), Some(_)) => Peer::Unresolved("several pods have the address"),
            (None, _) => Peer::World,
        }
    }

    fn check(&self, probe: &Probe) -> Result<(), String> {
        [&probe.from, &probe.to]
            .into_iter()
            .find(|target| self.resolve(target).is_none())
            .map_or(Ok(()), |target| Err(format!("probe {probe}: no pod {target} in this case")))
    }
}

impl From<PodSource> for Pod {
    fn from(source: PodSource) -> Self {
        let PodSource { namespace, name, ip, ips, labels, ports, host_network, service_account, node } =
            source;
        let identity = Identity {
            namespace: namespace.into(),
            labels: labels.unwrap_or_default(),
            ports: ports.unwrap_or_default(),
            host_network: host_network.unwrap_or(false),
            service_account: service_account.map(Into::into),
            workload: None,
        };
        Self {
            name: name.into(),
            uid: None,
            identity: Arc::new(identity),
            ips: std::iter::once(ip).chain(ips.into_iter().flatten()).collect(),
            node: node.map(Arc::new),
        }
    }
}
