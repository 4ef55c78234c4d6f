//! How kinds are named in the Kubernetes API.

use std::fmt;

use crate::ResourceKind;

impl ResourceKind {
    /// All kinds; those that tell who is who come first.
    pub const ALL: [Self; 14] = [
        Self::Namespace,
        Self::Node,
        Self::Pod,
        Self::Service,
        Self::EndpointSlice,
        Self::NetworkPolicy,
        Self::CiliumNetworkPolicy,
        Self::CiliumClusterwideNetworkPolicy,
        Self::CiliumCidrGroup,
        Self::AdminNetworkPolicy,
        Self::BaselineAdminNetworkPolicy,
        Self::ClusterNetworkPolicy,
        Self::PeerAuthentication,
        Self::AuthorizationPolicy,
    ];

    /// `kind`
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::CiliumNetworkPolicy => "CiliumNetworkPolicy",
            Self::CiliumClusterwideNetworkPolicy => "CiliumClusterwideNetworkPolicy",
            Self::CiliumCidrGroup => "CiliumCIDRGroup",
            Self::AdminNetworkPolicy => "AdminNetworkPolicy",
            Self::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
        }
    }

    /// The resource in paths and in access rules.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::NetworkPolicy => "networkpolicies",
            Self::CiliumNetworkPolicy => "ciliumnetworkpolicies",
            Self::CiliumClusterwideNetworkPolicy => "ciliumclusterwidenetworkpolicies",
            Self::CiliumCidrGroup => "ciliumcidrgroups",
            Self::AdminNetworkPolicy => "adminnetworkpolicies",
            Self::BaselineAdminNetworkPolicy => "baselineadminnetworkpolicies",
            Self::ClusterNetworkPolicy => "clusternetworkpolicies",
            Self::PeerAuthentication => "peerauthentications",
            Self::AuthorizationPolicy => "authorizationpolicies",
        }
    }

    /// Group before the `/` of `apiVersion`; empty for the core group, which has no `/`.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Namespace | Self::Node | Self::Pod | Self::Service => "",
            Self::EndpointSlice => "discovery.k8s.io",
            Self::NetworkPolicy => "networking.k8s.io",
            Self::CiliumNetworkPolicy | Self::CiliumClusterwideNetworkPolicy | Self::CiliumCidrGroup => {
                "cilium.io"
            }
            Self::AdminNetworkPolicy | Self::BaselineAdminNetworkPolicy | Self::ClusterNetworkPolicy => {
                "policy.networking.k8s.io"
            }
            Self::PeerAuthentication | Self::AuthorizationPolicy => "security.istio.io",
        }
    }

    /// Versions of the group that are understood, best first.
    pub const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Namespace
            | Self::Node
            | Self::Pod
            | Self::Service
            | Self::EndpointSlice
            | Self::NetworkPolicy => &["v1"],
            Self::CiliumNetworkPolicy | Self::CiliumClusterwideNetworkPolicy => &["v2"],
            Self::CiliumCidrGroup => &["v2", "v2alpha1"],
            Self::AdminNetworkPolicy | Self::BaselineAdminNetworkPolicy => &["v1alpha1"],
            Self::ClusterNetworkPolicy => &["v1alpha2"],
            Self::PeerAuthentication | Self::AuthorizationPolicy => &["v1", "v1beta1"],
        }
    }

    /// `apiVersion` with one of the [`versions`](Self::versions).
    pub fn api_version(self, version: &str) -> String {
        match self.group() {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }

    /// Whether a policy engine reads objects of this kind, so that they are kept whole.
    pub const fn is_policy(self) -> bool {
        !matches!(self, Self::Namespace | Self::Node | Self::Pod | Self::Service | Self::EndpointSlice)
    }

    /// The kind of an object by what it says of itself. None for what is not asked for; an error for a version that is
    /// not understood.
    pub(super) fn of(api_version: &str, kind: &str) -> Result<Option<Self>, String> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let found = Self::ALL.into_iter().find(|known| known.name() == kind && known.group() == group);
        match found {
            Some(known) if !known.versions().contains(&version) => {
                let expected: Vec<_> =
                    known.versions().iter().map(|version| known.api_version(version)).collect();
                Err(format!("found `{api_version}`, expected {}", expected.join(" or ")))
            }
            found => Ok(found),
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
