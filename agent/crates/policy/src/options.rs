//! How Cilium is configured, as far as it changes what policies say.

use std::sync::Arc;

/// Cilium's configuration. The default is that of a new installation (Helm values of 1.20).
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Cilium's own")]
pub struct CiliumOptions {
    /// `cluster-name`
    pub cluster: Arc<str>,
    /// `enable-ipv4`: with both families, addresses outside are `world-ipv4` and `world-ipv6`.
    pub ipv4: bool,
    /// `enable-ipv6`
    pub ipv6: bool,
    /// `enable-policy`
    pub enforcement: Enforcement,
    /// `allow-localhost`: whether a pod's own node may reach it where nothing denies that.
    pub allow_localhost: bool,
    /// `policy-cidr-match-mode` with `nodes`.
    pub cidr_matches_nodes: bool,
    /// `policy-cidr-match-mode` with `pods`.
    pub cidr_matches_pods: bool,
    /// `enable-node-selector-labels`, without which policies that select peers by node labels are refused.
    pub node_selector_labels: bool,
    /// `enable-extended-ip-protocols`, without which policies with ports that have no number are refused.
    pub extended_protocols: bool,
    /// `enable-host-firewall`, without which policies that select nodes have no effect.
    pub host_firewall: bool,
    /// `policy-default-local-cluster`: selectors that name no cluster mean this one.
    pub default_local_cluster: bool,
}

/// When pods are isolated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enforcement {
    /// Once a policy selects them.
    Default,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Default for CiliumOptions {
    fn default() -> Self {
        Self {
            cluster: Arc::from("default"),
            ipv4: true,
            ipv6: false,
            enforcement: Enforcement::Default,
            allow_localhost: true,
            cidr_matches_nodes: false,
            cidr_matches_pods: false,
            node_selector_labels: false,
            extended_protocols: false,
            host_firewall: false,
            default_local_cluster: true,
        }
    }
}
