//! The kinds of objects that are judged by, and how each is read.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::compile as admin;
use crate::admin::compile::Version;
use crate::cilium::{compile as cilium, object};
use crate::compile::InvalidPolicy;
use crate::yaml::{ReadError, from_value, read};
use crate::{NetworkPolicy, Policy};

/// A kind of object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    NetworkPolicy,
    CiliumNetworkPolicy,
    CiliumClusterwideNetworkPolicy,
    CiliumCidrGroup,
    Admin(Version),
}

/// Longest reason that is given, in bytes.
const REASON_BYTES_MAX: usize = 1024;

const KINDS: [(&str, &str, Kind); 8] = [
    ("networking.k8s.io/v1", "NetworkPolicy", Kind::NetworkPolicy),
    ("cilium.io/v2", "CiliumNetworkPolicy", Kind::CiliumNetworkPolicy),
    ("cilium.io/v2", "CiliumClusterwideNetworkPolicy", Kind::CiliumClusterwideNetworkPolicy),
    ("cilium.io/v2", "CiliumCIDRGroup", Kind::CiliumCidrGroup),
    ("cilium.io/v2alpha1", "CiliumCIDRGroup", Kind::CiliumCidrGroup),
    ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", Kind::Admin(Version::Admin)),
    ("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy", Kind::Admin(Version::Baseline)),
    ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", Kind::Admin(Version::Cluster)),
];

/// Where an object is read from.
pub(crate) enum Text<'a> {
    /// From its text, so that a mistake knows its line.
    Document(&'a str),
    Value(Value),
}

impl Kind {
    pub(crate) fn of(api_version: &str, kind: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|(version, name, _)| (*version, *name) == (api_version, kind))
            .map(|(.., kind)| *kind)
    }

    pub(crate) fn read(self, text: Text<'_>) -> Result<Policy, ReadError> {
        self.compile(text).map_err(|ReadError { line, reason }| ReadError { line, reason: shortened(reason) })
    }

    fn compile(self, text: Text<'_>) -> Result<Policy, ReadError> {
        match self {
            Self::NetworkPolicy => text.compile(|object: &NetworkPolicy| Policy::try_from(object)),
            Self::CiliumNetworkPolicy => text.compile(|object| cilium::policy(object, false)),
            Self::CiliumClusterwideNetworkPolicy => {
                text.compile(|object: &object::CiliumPolicy| cilium::policy(object, true))
            }
            Self::CiliumCidrGroup => text.compile(cilium::group),
            Self::Admin(version) => text.compile(|object| admin::policy(object, version)),
        }
    }
}

/// Cuts what repeats a text of any length to one that can be logged.
pub(crate) fn shortened(mut text: String) -> String {
    if text.len() > REASON_BYTES_MAX {
        let end = (0..=REASON_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

impl Text<'_> {
    fn compile<T: DeserializeOwned>(
        self,
        compile: impl FnOnce(&T) -> Result<Policy, InvalidPolicy>,
    ) -> Result<Policy, ReadError> {
        let nowhere = |reason| ReadError { line: None, reason };
        let object = match self {
            Self::Document(text) => read(text)?,
            Self::Value(value) => from_value(value).map_err(nowhere)?,
        };
        compile(&object).map_err(|error| nowhere(error.to_string()))
    }
}
