//! `metadata` of every object.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::bounded::{LabelMap, List, Text};
use crate::{ControllerRef, ObjectKey};

/// Most entries of `metadata.ownerReferences`.
pub const MANIFEST_OWNERS_MAX: usize = 64;

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) name: Text,
    pub(super) namespace: Option<Text>,
    pub(super) uid: Option<Text>,
    pub(super) resource_version: Option<Text>,
    #[serde(default)]
    pub(super) labels: LabelMap,
    pub(super) annotations: Option<Annotations>,
    pub(super) creation_timestamp: Option<UnixSeconds>,
    pub(super) deletion_timestamp: Option<UnixSeconds>,
    #[serde(default)]
    owner_references: List<Owner, MANIFEST_OWNERS_MAX>,
}

/// The annotations that mean something here; no other is kept.
#[derive(Deserialize, Debug)]
pub(super) struct Annotations {
    #[serde(rename = "kubernetes.io/config.mirror")]
    pub(super) mirror: Option<Text>,
}

#[derive(Deserialize, Debug)]
struct Owner {
    kind: Text,
    name: Text,
    controller: Option<bool>,
}

impl Meta {
    pub(super) fn key(&self) -> ObjectKey {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.0.clone()).unwrap_or_default();
        ObjectKey { namespace: text(&self.namespace), name: self.name.0.clone(), uid: text(&self.uid) }
    }

    pub(super) fn version(&self) -> String {
        self.resource_version.as_ref().map(|version| version.0.clone()).unwrap_or_default()
    }

    pub(super) fn controller(&self) -> Option<ControllerRef> {
        let owner = self.owner_references.0.iter().find(|owner| owner.controller == Some(true))?;
        Some(ControllerRef { kind: owner.kind.0.clone(), name: owner.name.0.clone() })
    }
}

/// An RFC 3339 time, as seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnixSeconds(pub(super) i64);

impl<'de> Deserialize<'de> for UnixSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        match text.parse::<Timestamp>() {
            Ok(time) => Ok(Self(time.as_second())),
            Err(_) => Err(de::Error::custom(format_args!("found `{text}`, expected a time as of RFC 3339"))),
        }
    }
}
