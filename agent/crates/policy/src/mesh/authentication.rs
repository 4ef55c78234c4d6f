//! `PeerAuthentication`: whether plaintext may come in.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchfire_model::PolicyRef;

use super::Scope;
use super::object::{Mtls, Object, PeerAuthenticationSpec};
use crate::cilium::compile::name_of;
use crate::compile::{DEFAULT_NAMESPACE, InvalidPolicy, invalid, number, selector};
use crate::netpol::ObjectMeta;

/// What is asked of clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MtlsMode {
    /// What the wider policy says.
    Unset,
    /// Plaintext; who shows who it is may come as well, for the node proxy takes both.
    Disable,
    /// Either.
    Permissive,
    /// Mutual TLS.
    Strict,
}

/// A policy of this kind.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerAuthentication {
    pub(super) reference: Arc<PolicyRef>,
    pub(super) scope: Scope,
    pub(super) mode: MtlsMode,
    pub(super) ports: BTreeMap<u16, MtlsMode>,
}

/// Name and scope of an object of the mesh.
pub(super) fn reference(
    kind: &'static str,
    metadata: Option<&ObjectMeta>,
) -> Result<PolicyRef, InvalidPolicy> {
    let name = name_of(metadata)?;
    let namespace = metadata.and_then(|metadata| metadata.namespace.clone()).filter(|name| !name.is_empty());
    Ok(PolicyRef { kind, namespace: namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()), name })
}

pub(super) fn compile(source: &Object<PeerAuthenticationSpec>) -> Result<PeerAuthentication, InvalidPolicy> {
    let reference = reference("PeerAuthentication", source.metadata.as_ref())?;
    let spec = source.spec.as_ref();
    let labels = spec.and_then(|spec| spec.selector.as_ref()).map(super::object::WorkloadSelector::labels);
    let labels =
        labels.filter(|labels| labels.match_labels.as_ref().is_some_and(|labels| !labels.is_empty()));
    let selector = labels.map(|labels| selector("spec.selector", &labels)).transpose()?;
    let written = spec.and_then(|spec| spec.port_level_mtls.as_ref());
    if selector.is_none() && written.is_some_and(|ports| !ports.is_empty()) {
        return Err(invalid("spec.portLevelMtls", "needs a selector"));
    }
    let mut ports = BTreeMap::new();
    for (port, mtls) in written.into_iter().flatten() {
        let path = format!("spec.portLevelMtls.{port}");
        let port = port.parse().map_err(|_| invalid(&path, "expected a port number"))?;
        ports.insert(number(&path, port)?, mode(&path, Some(mtls))?);
    }
    Ok(PeerAuthentication {
        scope: Scope { namespace: reference.namespace.clone(), selector },
        mode: mode("spec.mtls", spec.and_then(|spec| spec.mtls.as_ref()))?,
        reference: Arc::new(reference),
        ports,
    })
}

fn mode(path: &str, mtls: Option<&Mtls>) -> Result<MtlsMode, InvalidPolicy> {
    Ok(match mtls.and_then(|mtls| mtls.mode.as_deref()) {
        None | Some("UNSET") => MtlsMode::Unset,
        Some("DISABLE") => MtlsMode::Disable,
        Some("PERMISSIVE") => MtlsMode::Permissive,
        Some("STRICT") => MtlsMode::Strict,
        Some(other) => {
            let reason = format!("expected UNSET, DISABLE, PERMISSIVE or STRICT, found \"{other}\"");
            return Err(invalid(format!("{path}.mode"), reason));
        }
    })
}
