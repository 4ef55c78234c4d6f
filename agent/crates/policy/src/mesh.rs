//! Istio's policies as far as a node can see: a layer of its own above the network's, and never merged with it.
//!
//! `PeerAuthentication` says whether plaintext may come in, `AuthorizationPolicy` who may. What is said over a connection is not
//! judged: where a rule turns on it, the answer is `Unknown` (istio.io/latest/docs/reference/config/security; ztunnel
//! `src/rbac.rs`; istiod `pilot/pkg/serviceregistry/kube/controller/ambient/authorization.go`).

mod authentication;
mod authorization;
mod judge;
mod object;
mod rules;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use watchfire_model::{Pod, PolicyRef};

use crate::Selector;
use crate::yaml::from_value;

pub use authentication::{MtlsMode, PeerAuthentication};
pub use authorization::{Authorization, AuthorizationAction};
pub use judge::MeshSet;
pub use rules::{AuthorizationRules, StringMatch};

/// Namespace whose policies hold for the whole mesh where nothing else is configured (`MeshConfig.rootNamespace`).
pub const ROOT_NAMESPACE: &str = "istio-system";

/// A policy of the mesh.
#[derive(Clone, PartialEq, Debug)]
pub enum MeshPolicy {
    /// Who may come in.
    Authorization(Arc<Authorization>),
    /// Whether plaintext may come in.
    Authentication(Arc<PeerAuthentication>),
}

/// How the client of a connection showed who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport<'a> {
    /// It did not.
    Plaintext,
    /// By a certificate.
    Mutual(MeshIdentity<'a>),
    /// By a certificate, and it is not known whose.
    MutualUnknown,
    /// It is not known whether it did.
    Unknown,
}

/// An identity of the mesh: `trust domain/ns/namespace/sa/service account`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeshIdentity<'a> {
    /// Trust domain.
    pub trust_domain: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Service account.
    pub service_account: &'a str,
}

/// A connection to a pod, as it left the mesh's own encapsulation.
#[derive(Clone, Copy, Debug)]
pub struct MeshConnection<'a> {
    /// The pod that answers.
    pub server: &'a Pod,
    /// How the client showed who it is.
    pub transport: Transport<'a>,
    /// The client's address.
    pub source: IpAddr,
    /// Address at the pod.
    pub destination: IpAddr,
    /// Port at the pod; none within a tunnel.
    pub port: Option<u16>,
}

/// What the mesh's policies say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MeshVerdict {
    /// A rule allows it.
    Allow {
        /// The policy.
        policy: Arc<PolicyRef>,
        /// Position in its `rules`.
        rule: usize,
    },
    /// A rule denies it.
    DenyRule {
        /// The policy.
        policy: Arc<PolicyRef>,
        /// Position in its `rules`.
        rule: usize,
    },
    /// Policies that allow apply and none allows it.
    DenyDefault {
        /// Those policies.
        policies: Vec<Arc<PolicyRef>>,
    },
    /// It is plaintext where mutual TLS is required.
    DenyPlaintext {
        /// The policy that requires it.
        policy: Arc<PolicyRef>,
    },
    /// No policy applies.
    NotCovered,
    /// Cannot be known.
    Unknown {
        /// Why.
        reason: MeshUnknown,
    },
}

/// Why the mesh's policies give no verdict.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MeshUnknown {
    /// Whether the client showed who it is.
    Mtls,
    /// As whom it did.
    Identity,
    /// A rule turns on the port, which a tunnel hides.
    Port,
    /// A rule turns on what is said over the connection.
    L7,
    /// Something outside decides (`CUSTOM`).
    External,
}

/// Whom a policy of the mesh is about.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Scope {
    pub(crate) namespace: String,
    /// None for all workloads of the namespace, and of the mesh where it is the root namespace.
    pub(crate) selector: Option<Selector>,
}

impl Scope {
    fn covers(&self, pod: &Pod, root: &str) -> bool {
        match &self.selector {
            None => *self.namespace == *pod.identity.namespace || self.namespace == root,
            Some(selector) => {
                *self.namespace == *pod.identity.namespace && selector.matches(&pod.identity.labels)
            }
        }
    }
}

/// Reads a policy of the mesh; none of another kind. The error says what is wrong.
pub fn parse_mesh_object(value: Value) -> Result<Option<MeshPolicy>, String> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let dry_run = value.pointer("/metadata/annotations/istio.io~1dry-run").and_then(Value::as_str);
    let is_dry_run = dry_run.is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let is_security = matches!(text("apiVersion"), "security.istio.io/v1" | "security.istio.io/v1beta1");
    match (is_security, text("kind")) {
        (true, "AuthorizationPolicy") => {
            let compiled = authorization::compile(&from_value(value)?).map_err(|error| error.to_string())?;
            Ok(Some(MeshPolicy::Authorization(Arc::new(Authorization { is_dry_run, ..compiled }))))
        }
        (true, "PeerAuthentication") => {
            let compiled = authentication::compile(&from_value(value)?).map_err(|error| error.to_string())?;
            Ok(Some(MeshPolicy::Authentication(Arc::new(compiled))))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
