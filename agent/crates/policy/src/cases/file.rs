//! Case files as written, read into cases that can be run.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use watchfire_model::Dialect;

use super::cluster::{Cluster, NamespaceSource, NodeSource, PodSource, ServiceSource};
use super::probe::Probe;
use super::table::{self, Row};
use crate::document::parse_object;
use crate::split::split;
use crate::yaml::{from_value, read};
use crate::{CiliumOptions, Policy};

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
    /// Whose reading it is written for, where it says so.
    pub(super) dialect: Option<Dialect>,
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
        cluster: Box<Cluster>,
        options: CiliumOptions,
        policies: Vec<Arc<Policy>>,
        probes: Vec<Probe>,
        /// Policies that are refused, with the reason: the cluster would not have them.
        refused: Vec<String>,
    },
    /// Answered already.
    Table(Vec<Row>),
    /// Cannot be judged by this engine, or should not be; with the reason.
    Skipped(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseSource {
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
    services: Option<Vec<ServiceSource>>,
    names: Option<HashMap<IpAddr, Vec<Arc<str>>>>,
    api_server: Option<Vec<IpAddr>>,
    options: Option<OptionsSource>,
    probes: Vec<Probe>,
    known_wrong: Option<KnownWrong>,
}

/// Switches of Cilium that differ from how it is installed.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Cilium's own")]
struct OptionsSource {
    ipv6: bool,
    node_selector_labels: bool,
    extended_protocols: bool,
    deny_localhost: bool,
    host_firewall: bool,
}

impl From<OptionsSource> for CiliumOptions {
    fn from(source: OptionsSource) -> Self {
        let OptionsSource { ipv6, node_selector_labels, extended_protocols, deny_localhost, host_firewall } =
            source;
        let allow_localhost = !deny_localhost;
        Self {
            ipv6,
            node_selector_labels,
            extended_protocols,
            allow_localhost,
            host_firewall,
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum KnownWrong {
    Flag(bool),
    Reason(String),
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
        let dialect = match file.get("dialect").map(Value::as_str) {
            None => None,
            Some(Some("k8s")) => Some(Dialect::K8s),
            Some(Some("cilium")) => Some(Dialect::Cilium),
            Some(_) => {
                return Err(CaseFileError::NotACaseFile("its \"dialect\" is neither k8s nor cilium"));
            }
        };
        let mut cases: Vec<_> = cases
            .into_iter()
            .enumerate()
            .map(|(index, case)| Case::read(index, case, &file))
            .collect::<Result<_, _>>()?;
        if let Some((name, rows)) = table::beside_the_cases(&file) {
            cases.push(Case::table(name.to_owned(), rows)?);
        }
        Ok(Self { dialect, cases })
    }
}

/// What a case has from its file where it has none of its own.
const SHARED: [&str; 7] = ["namespaces", "pods", "nodes", "services", "names", "api_server", "options"];

impl Case {
    fn read(index: usize, mut source: Value, file: &Value) -> Result<Self, CaseFileError> {
        let text = |field: &str| source.get(field).and_then(Value::as_str).map(str::to_owned);
        let id = text("id").or_else(|| text("name")).unwrap_or_else(|| format!("#{index}"));

        if let Some(rows) = table::read(&source, file) {
            return Self::table(id, rows);
        }

        // Before anything else: files written for other dialects carry fields of their own.
        let (mut policies, mut refused) = (Vec::new(), Vec::new());
        let objects = source.get_mut("policies").map(Value::take).unwrap_or_default();
        for (index, object) in objects.as_array().into_iter().flatten().enumerate() {
            let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            match parse_object(object.clone()) {
                Ok(Some(policy)) => policies.push(policy),
                Ok(None) => {
                    let content = Content::Skipped(format!("kind {kind} is not evaluated"));
                    return Ok(Self { id, content });
                }
                Err(reason) => refused.push(format!("policies[{index}]: {reason}")),
            }
        }
        if source.get("probes").is_none() {
            return Ok(Self { id, content: Content::Skipped("it has no probes".to_owned()) });
        }
        for field in SHARED {
            if let (Some(case), Some(shared)) = (source.as_object_mut(), file.get(field)) {
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
        let (cluster, options, probes) = case.into_parts();
        for probe in &probes {
            cluster.check(probe).map_err(fail)?;
        }
        let cluster = Box::new(cluster);
        Ok(Self { id, content: Content::Runnable { cluster, options, policies, probes, refused } })
    }

    fn table(id: String, rows: Result<Vec<Row>, String>) -> Result<Self, CaseFileError> {
        match rows {
            Ok(rows) => Ok(Self { id, content: Content::Table(rows) }),
            Err(reason) => Err(CaseFileError::Case { case: id, reason }),
        }
    }
}

impl CaseSource {
    pub(super) fn into_parts(self) -> (Cluster, CiliumOptions, Vec<Probe>) {
        let mut cluster = Cluster::new(self.namespaces, self.pods, self.nodes);
        cluster.tell(self.services, self.names, self.api_server);
        (cluster, self.options.unwrap_or_default().into(), self.probes)
    }
}
