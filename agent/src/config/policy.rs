//! How policies are read.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use watchfire_policy::{CiliumOptions, Enforcement};

use super::findings::OfNamespaces;

/// Whose reading of policies is followed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DialectChoice {
    /// Cilium's where anything is known of Cilium, the API's elsewhere.
    #[default]
    Auto,
    K8s,
    Cilium,
}

impl FromStr for DialectChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "k8s" => Ok(Self::K8s),
            "cilium" => Ok(Self::Cilium),
            _ => Err(format!("found `{text}`, expected auto, k8s or cilium")),
        }
    }
}

/// How policies are read, and what is said of flows that began near to their change.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct PolicyConfig {
    pub(crate) dialect: DialectChoice,
    pub(crate) stale_window_seconds: StaleSeconds,
    pub(crate) candidates: Option<PathBuf>,
    pub(crate) mode: Mode,
    pub(crate) modes: OfNamespaces<Mode>,
    pub(crate) cilium: CiliumConfig,
}

/// What is made of candidates in a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// They are judged beside the policies in force.
    #[default]
    Candidate,
    /// Nothing.
    Watch,
}

/// Time before and after a change in which a flow may have been let through, or not, by what was in force on the other side
/// of it; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct StaleSeconds(u64);

impl StaleSeconds {
    const MAX: u64 = 60;

    pub(crate) const fn nanoseconds(self) -> u64 {
        self.0 * 1_000_000_000
    }
}

impl Default for StaleSeconds {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u64> for StaleSeconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, String> {
        match seconds {
            0..=Self::MAX => Ok(Self(seconds)),
            _ => Err(format!("found {seconds}, expected a whole number from 0 to {}", Self::MAX)),
        }
    }
}

/// Cilium's own options, by Cilium's names, as far as they change what policies say.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Cilium's own")]
pub(crate) struct CiliumConfig {
    cluster_name: String,
    enable_ipv4: bool,
    enable_ipv6: bool,
    enable_policy: EnablePolicy,
    allow_localhost: AllowLocalhost,
    policy_cidr_match_mode: Vec<CidrMatch>,
    enable_node_selector_labels: bool,
    enable_extended_ip_protocols: bool,
    policy_default_local_cluster: bool,
    enable_host_firewall: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EnablePolicy {
    Default,
    Always,
    Never,
}

/// `auto` is `always` in Kubernetes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AllowLocalhost {
    Auto,
    Always,
    Policy,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CidrMatch {
    Nodes,
    Pods,
}

impl Default for CiliumConfig {
    fn default() -> Self {
        // Exhaustive, so that no option is without its key.
        let CiliumOptions {
            cluster,
            ipv4,
            ipv6,
            enforcement,
            allow_localhost,
            cidr_matches_nodes,
            cidr_matches_pods,
            node_selector_labels,
            extended_protocols,
            default_local_cluster,
            host_firewall,
        } = CiliumOptions::default();
        let nodes = cidr_matches_nodes.then_some(CidrMatch::Nodes);
        let pods = cidr_matches_pods.then_some(CidrMatch::Pods);
        Self {
            cluster_name: cluster.to_string(),
            enable_ipv4: ipv4,
            enable_ipv6: ipv6,
            enable_policy: match enforcement {
                Enforcement::Default => EnablePolicy::Default,
                Enforcement::Always => EnablePolicy::Always,
                Enforcement::Never => EnablePolicy::Never,
            },
            allow_localhost: if allow_localhost { AllowLocalhost::Auto } else { AllowLocalhost::Policy },
            policy_cidr_match_mode: nodes.into_iter().chain(pods).collect(),
            enable_node_selector_labels: node_selector_labels,
            enable_extended_ip_protocols: extended_protocols,
            policy_default_local_cluster: default_local_cluster,
            enable_host_firewall: host_firewall,
        }
    }
}

impl CiliumConfig {
    /// As the policy engine takes it.
    pub(crate) fn options(&self) -> CiliumOptions {
        CiliumOptions {
            cluster: Arc::from(self.cluster_name.as_str()),
            ipv4: self.enable_ipv4,
            ipv6: self.enable_ipv6,
            enforcement: match self.enable_policy {
                EnablePolicy::Default => Enforcement::Default,
                EnablePolicy::Always => Enforcement::Always,
                EnablePolicy::Never => Enforcement::Never,
            },
            allow_localhost: self.allow_localhost != AllowLocalhost::Policy,
            cidr_matches_nodes: self.policy_cidr_match_mode.contains(&CidrMatch::Nodes),
            cidr_matches_pods: self.policy_cidr_match_mode.contains(&CidrMatch::Pods),
            node_selector_labels: self.enable_node_selector_labels,
            extended_protocols: self.enable_extended_ip_protocols,
            default_local_cluster: self.policy_default_local_cluster,
            host_firewall: self.enable_host_firewall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_engine() {
        assert_eq!(CiliumConfig::default().options(), CiliumOptions::default());
    }

    #[test]
    fn options_have_the_names_that_cilium_gives_them() {
        let text = r#"{"cluster-name": "west", "enable-ipv6": true, "enable-policy": "always",
                       "allow-localhost": "policy", "policy-cidr-match-mode": ["nodes"]}"#;
        let options = serde_json::from_str::<CiliumConfig>(text).unwrap().options();
        let expected = CiliumOptions {
            cluster: Arc::from("west"),
            ipv6: true,
            enforcement: Enforcement::Always,
            allow_localhost: false,
            cidr_matches_nodes: true,
            ..CiliumOptions::default()
        };
        assert_eq!(options, expected);
        let error =
            serde_json::from_str::<CiliumConfig>(r#"{"enable-ip-v6": true}"#).unwrap_err().to_string();
        assert!(error.contains("enable-ip-v6") && error.contains("enable-ipv6"), "{error}");
    }
}
