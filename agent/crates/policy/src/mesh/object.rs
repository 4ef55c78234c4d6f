//! Istio's objects as written. Unknown fields are refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::netpol::{ObjectMeta, Skipped};
use crate::selector::LabelSelector;

/// An object around a spec.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Object<S> {
    #[serde(default, rename = "apiVersion")]
    _api_version: Skipped,
    #[serde(default, rename = "kind")]
    _kind: Skipped,
    pub(crate) metadata: Option<ObjectMeta>,
    pub(crate) spec: Option<S>,
    #[serde(default, rename = "status")]
    _status: Skipped,
}

/// `WorkloadSelector`, which has labels alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WorkloadSelector {
    pub(crate) match_labels: Option<BTreeMap<String, String>>,
}

impl WorkloadSelector {
    pub(crate) fn labels(&self) -> LabelSelector {
        LabelSelector { match_labels: self.match_labels.clone(), match_expressions: None }
    }
}

/// `PeerAuthentication`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PeerAuthenticationSpec {
    pub(crate) selector: Option<WorkloadSelector>,
    pub(crate) mtls: Option<Mtls>,
    pub(crate) port_level_mtls: Option<BTreeMap<String, Mtls>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mtls {
    pub(crate) mode: Option<String>,
}

/// `AuthorizationPolicy`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AuthorizationSpec {
    pub(crate) selector: Option<WorkloadSelector>,
    pub(crate) target_ref: Option<Skipped>,
    pub(crate) target_refs: Option<Vec<Skipped>>,
    pub(crate) action: Option<String>,
    pub(crate) provider: Option<Skipped>,
    pub(crate) rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) from: Option<Vec<From>>,
    pub(crate) to: Option<Vec<To>>,
    pub(crate) when: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    pub(crate) source: Option<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct To {
    pub(crate) operation: Option<Operation>,
}

type Strings = Option<Vec<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Source {
    pub(crate) principals: Strings,
    pub(crate) not_principals: Strings,
    pub(crate) namespaces: Strings,
    pub(crate) not_namespaces: Strings,
    pub(crate) service_accounts: Strings,
    pub(crate) not_service_accounts: Strings,
    pub(crate) ip_blocks: Strings,
    pub(crate) not_ip_blocks: Strings,
    pub(crate) remote_ip_blocks: Strings,
    pub(crate) not_remote_ip_blocks: Strings,
    pub(crate) request_principals: Strings,
    pub(crate) not_request_principals: Strings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Operation {
    pub(crate) ports: Strings,
    pub(crate) not_ports: Strings,
    pub(crate) hosts: Strings,
    pub(crate) not_hosts: Strings,
    pub(crate) methods: Strings,
    pub(crate) not_methods: Strings,
    pub(crate) paths: Strings,
    pub(crate) not_paths: Strings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Condition {
    pub(crate) key: String,
    pub(crate) values: Strings,
    pub(crate) not_values: Strings,
}
