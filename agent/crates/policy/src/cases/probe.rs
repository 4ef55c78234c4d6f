//! One connection of a case and what is expected of it.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use watchfire_model::{Outcome, Protocol, SideVerdict};

/// An end of a probe as written.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Target {
    /// `namespace/name` of a pod.
    Pod(String),
    /// Something else.
    Other(Address),
}

/// An address: a node's, a pod's that no one else has, or one outside the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    /// Whether the inventory is to know nothing about it.
    #[serde(default)]
    pub(super) unresolved: bool,
}

/// One connection and what policy must say about it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub(super) from: Target,
    pub(super) to: Target,
    /// The address used, where the server has several.
    pub(super) to_ip: Option<IpAddr>,
    pub(super) proto: Protocol,
    #[serde(default)]
    pub(super) port: u16,
    pub(super) icmp_type: Option<u8>,
    #[serde(default)]
    pub(super) guessed: bool,
    /// Upstream expects policy to apply to a pod that talks to itself.
    #[serde(default)]
    pub(super) loopback: bool,
    pub(super) expect: Expectation,
    pub(super) expect_egress: Option<SideExpectation>,
    pub(super) expect_ingress: Option<SideExpectation>,
    /// The deciding rule or list of policies, as verdicts print it.
    pub(super) because: Option<String>,
}

/// What is expected of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// Allowed, exempt or not covered.
    Allow,
    /// Denied, in whichever way.
    Deny,
    /// Cannot be known.
    Unknown,
    /// No policy covers it.
    NotCovered,
}

/// What is expected of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SideExpectation {
    /// Allowed, exempt or not covered.
    Allow,
    /// Denied, in whichever way.
    Deny,
    /// Denied because nothing allows it.
    DefaultDeny,
    /// Denied by a rule.
    PolicyDeny,
    /// Cannot be known.
    Unknown,
    /// Policy does not touch it.
    Exempt,
    /// No policy covers it.
    NotCovered,
}

impl Expectation {
    /// Whether the outcome is as expected.
    #[must_use]
    pub const fn is_met_by(self, outcome: Outcome) -> bool {
        matches!(
            (self, outcome),
            (Self::Allow, Outcome::Allowed | Outcome::NotCovered)
                | (Self::Deny, Outcome::Denied)
                | (Self::Unknown, Outcome::Unknown)
                | (Self::NotCovered, Outcome::NotCovered)
        )
    }
}

impl From<&SideVerdict> for SideExpectation {
    /// The narrowest expectation that the verdict meets.
    fn from(side: &SideVerdict) -> Self {
        match side {
            SideVerdict::Allow { .. } => Self::Allow,
            SideVerdict::DenyRule { .. } => Self::PolicyDeny,
            SideVerdict::DenyDefault { .. } => Self::DefaultDeny,
            SideVerdict::NotCovered => Self::NotCovered,
            SideVerdict::Exempt { .. } => Self::Exempt,
            SideVerdict::Unknown { .. } => Self::Unknown,
        }
    }
}

impl SideExpectation {
    /// Whether the verdict is as expected.
    #[must_use]
    pub const fn is_met_by(self, side: &SideVerdict) -> bool {
        use SideVerdict as V;
        matches!(
            (self, side),
            (Self::Allow, V::Allow { .. } | V::Exempt { .. } | V::NotCovered)
                | (Self::Deny, V::DenyRule { .. } | V::DenyDefault { .. })
                | (Self::DefaultDeny, V::DenyDefault { .. })
                | (Self::PolicyDeny, V::DenyRule { .. })
                | (Self::Unknown, V::Unknown { .. })
                | (Self::Exempt, V::Exempt { .. })
                | (Self::NotCovered, V::NotCovered)
        )
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Unknown => "unknown",
            Self::NotCovered => "not-covered",
        })
    }
}

impl fmt::Display for SideExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::DefaultDeny => "default-deny",
            Self::PolicyDeny => "policy-deny",
            Self::Unknown => "unknown",
            Self::Exempt => "exempt",
            Self::NotCovered => "not-covered",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => f.write_str(name),
            Self::Other(address) => write!(f, "{}", address.ip),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, to_ip, proto, port, .. } = self;
        write!(f, "{from} -> {to}")?;
        if let Some(ip) = to_ip {
            write!(f, " ({ip})")?;
        }
        write!(f, " {proto}/{port}")
    }
}
