//! Cilium's policy objects as written (pkg/policy/api, pkg/k8s/apis/cilium.io/v2).
//!
//! Every field is an `Option`, because absent and empty mean different things. Unknown fields are refused: a policy of
//! which a part is not understood must not be judged by the rest of it.

use serde::Deserialize;

use super::external::ExternalGroup;
use crate::netpol::{IntOrString, ObjectMeta, Skipped};
use crate::{LabelSelector, LabelSelectorRequirement};

/// `CiliumNetworkPolicy` and `CiliumClusterwideNetworkPolicy`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CiliumPolicy {
    #[serde(default, rename = "apiVersion")]
    _api_version: Skipped,
    #[serde(default, rename = "kind")]
    _kind: Skipped,
    pub(crate) metadata: Option<ObjectMeta>,
    pub(crate) spec: Option<RuleSource>,
    pub(crate) specs: Option<Vec<RuleSource>>,
    #[serde(default, rename = "status")]
    _status: Skipped,
}

/// `Rule`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RuleSource {
    pub(crate) endpoint_selector: Option<LabelSelector>,
    pub(crate) node_selector: Option<LabelSelector>,
    pub(crate) ingress: Option<Vec<Element>>,
    pub(crate) ingress_deny: Option<Vec<Element>>,
    pub(crate) egress: Option<Vec<Element>>,
    pub(crate) egress_deny: Option<Vec<Element>>,
    pub(crate) enable_default_deny: Option<DefaultDeny>,
    #[serde(default, rename = "labels")]
    _labels: Skipped,
    #[serde(default, rename = "description")]
    _description: Skipped,
    #[serde(default, rename = "log")]
    _log: Skipped,
}

/// `DefaultDenyConfig`.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultDeny {
    pub(crate) ingress: Option<bool>,
    pub(crate) egress: Option<bool>,
}

/// `IngressRule`, `IngressDenyRule`, `EgressRule` and `EgressDenyRule`: which fields each may have is checked once it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Element {
    #[serde(rename = "fromEndpoints")]
    pub(crate) from_endpoints: Option<Vec<LabelSelector>>,
    #[serde(rename = "fromNodes")]
    pub(crate) from_nodes: Option<Vec<LabelSelector>>,
    #[serde(rename = "fromEntities")]
    pub(crate) from_entities: Option<Vec<String>>,
    #[serde(rename = "fromCIDR")]
    pub(crate) from_cidr: Option<Vec<String>>,
    #[serde(rename = "fromCIDRSet")]
    pub(crate) from_cidr_set: Option<Vec<CidrRule>>,
    #[serde(rename = "fromGroups")]
    pub(crate) from_groups: Option<Vec<ExternalGroup>>,
    #[serde(rename = "fromRequires")]
    pub(crate) from_requires: Option<Vec<Skipped>>,
    #[serde(rename = "toEndpoints")]
    pub(crate) to_endpoints: Option<Vec<LabelSelector>>,
    #[serde(rename = "toNodes")]
    pub(crate) to_nodes: Option<Vec<LabelSelector>>,
    #[serde(rename = "toEntities")]
    pub(crate) to_entities: Option<Vec<String>>,
    #[serde(rename = "toCIDR")]
    pub(crate) to_cidr: Option<Vec<String>>,
    #[serde(rename = "toCIDRSet")]
    pub(crate) to_cidr_set: Option<Vec<CidrRule>>,
    #[serde(rename = "toGroups")]
    pub(crate) to_groups: Option<Vec<ExternalGroup>>,
    #[serde(rename = "toRequires")]
    pub(crate) to_requires: Option<Vec<Skipped>>,
    #[serde(rename = "toServices")]
    pub(crate) to_services: Option<Vec<ServiceSource>>,
    #[serde(rename = "toFQDNs")]
    pub(crate) to_fqdns: Option<Vec<FqdnSelector>>,
    #[serde(rename = "toPorts")]
    pub(crate) to_ports: Option<Vec<PortRule>>,
    pub(crate) icmps: Option<Vec<IcmpRule>>,
    pub(crate) authentication: Option<Authentication>,
    /// Served by no released version, though an example of Cilium's has it: the API server drops it.
    #[serde(default, rename = "auth")]
    _auth: Skipped,
}

/// `CIDRRule`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CidrRule {
    pub(crate) cidr: Option<String>,
    pub(crate) cidr_group_ref: Option<String>,
    pub(crate) cidr_group_selector: Option<LabelSelector>,
    pub(crate) except: Option<Vec<String>>,
}

/// `Service`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ServiceSource {
    pub(crate) k8s_service: Option<ServiceName>,
    pub(crate) k8s_service_selector: Option<ServiceSelector>,
}

/// `K8sServiceNamespace`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ServiceName {
    pub(crate) service_name: Option<String>,
    pub(crate) namespace: Option<String>,
}

/// `K8sServiceSelectorNamespace`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceSelector {
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) namespace: Option<String>,
}

/// `FQDNSelector` and `PortRuleDNS`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct FqdnSelector {
    pub(crate) match_name: Option<String>,
    pub(crate) match_pattern: Option<String>,
}

/// `PortRule` and `PortDenyRule`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortRule {
    pub(crate) ports: Option<Vec<PortProtocol>>,
    pub(crate) rules: Option<L7Rules>,
    pub(crate) listener: Option<Skipped>,
    #[serde(rename = "serverNames")]
    pub(crate) server_names: Option<Vec<String>>,
    #[serde(rename = "terminatingTLS")]
    pub(crate) terminating_tls: Option<Skipped>,
    #[serde(rename = "originatingTLS")]
    pub(crate) originating_tls: Option<Skipped>,
}

/// `PortProtocol`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PortProtocol {
    pub(crate) port: Option<String>,
    pub(crate) end_port: Option<i64>,
    pub(crate) protocol: Option<String>,
}

/// `L7Rules`; those of other protocols were served before 1.19.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct L7Rules {
    pub(crate) http: Option<Vec<HttpRule>>,
    pub(crate) dns: Option<Vec<FqdnSelector>>,
    pub(crate) kafka: Option<Vec<Skipped>>,
    pub(crate) l7proto: Option<String>,
    pub(crate) l7: Option<Vec<Skipped>>,
}

/// `PortRuleHTTP`, of which nothing is judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct HttpRule {
    #[serde(default, rename = "path")]
    _path: Skipped,
    #[serde(default, rename = "method")]
    _method: Skipped,
    #[serde(default, rename = "host")]
    _host: Skipped,
    #[serde(default, rename = "headers")]
    _headers: Skipped,
    pub(crate) header_matches: Option<Vec<HeaderMatch>>,
}

/// `HeaderMatch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderMatch {
    pub(crate) name: Option<String>,
    pub(crate) mismatch: Option<String>,
    #[serde(default, rename = "value")]
    _value: Skipped,
    #[serde(default, rename = "secret")]
    _secret: Skipped,
}

/// `ICMPRule`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IcmpRule {
    pub(crate) fields: Option<Vec<IcmpField>>,
}

/// `ICMPField`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IcmpField {
    pub(crate) family: Option<String>,
    #[serde(rename = "type")]
    pub(crate) icmp_type: Option<IntOrString>,
}

/// `Authentication`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Authentication {
    pub(crate) mode: Option<String>,
}

/// `CiliumCIDRGroup`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CidrGroup {
    #[serde(default, rename = "apiVersion")]
    _api_version: Skipped,
    #[serde(default, rename = "kind")]
    _kind: Skipped,
    pub(crate) metadata: Option<ObjectMeta>,
    pub(crate) spec: Option<CidrGroupSpec>,
}

/// `CiliumCIDRGroupSpec`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CidrGroupSpec {
    #[serde(rename = "externalCIDRs")]
    pub(crate) external_cidrs: Option<Vec<String>>,
}

/// Keys of a selector, wherever they stand.
pub(crate) fn keys(selector: &LabelSelector) -> impl Iterator<Item = &str> {
    let pairs = selector.match_labels.iter().flatten().map(|(key, _)| key.as_str());
    let expressions = selector.match_expressions.iter().flatten();
    pairs.chain(expressions.map(|LabelSelectorRequirement { key, .. }| key.as_str()))
}
