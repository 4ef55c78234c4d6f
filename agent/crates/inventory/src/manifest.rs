//! Objects as they are written: by the Kubernetes API, by kubelet, or by hand in a manifest. Read straight into what is
//! kept of them; whatever else they say is passed over and never allocated.

mod bounded;
mod kind;
mod meta;
mod node;
mod pod;
mod policy;
mod service;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use bounded::{MANIFEST_LABELS_MAX, MANIFEST_TEXT_BYTES_MAX};
pub use meta::MANIFEST_OWNERS_MAX;
pub use node::{MANIFEST_NODE_ADDRESSES_MAX, MANIFEST_POD_CIDRS_MAX};
pub use pod::{MANIFEST_CONTAINERS_MAX, MANIFEST_POD_IPS_MAX, MANIFEST_PORTS_MAX};
pub use policy::MANIFEST_POLICY_BYTES_MAX;
pub use service::{MANIFEST_ENDPOINT_ADDRESSES_MAX, MANIFEST_ENDPOINTS_MAX, MANIFEST_SERVICE_IPS_MAX};

use crate::{Object, ObjectKey, ResourceKind};
use meta::Meta;

/// Longest name that an error repeats, bytes.
const ERROR_NAME_BYTES_MAX: usize = 256;

/// An object and how it is known.
#[derive(Clone, PartialEq, Debug)]
pub struct Manifest {
    /// What is kept of it.
    pub object: Object,
    /// Its name.
    pub key: ObjectKey,
    /// `metadata.resourceVersion`; empty where there is none.
    pub resource_version: String,
}

impl Manifest {
    fn new(metadata: &Meta, object: Object) -> Self {
        Self { object, key: metadata.key(), resource_version: metadata.version() }
    }
}

/// Why an object was not taken.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[error("{kind} {}{}: {message}", Name(.key), At(.path))]
pub struct ManifestError {
    /// `kind`
    pub kind: String,
    /// Its name, as far as it could be read.
    pub key: Box<ObjectKey>,
    /// `metadata.resourceVersion`, as far as it could be read.
    pub resource_version: String,
    /// Path of what is wrong, e.g. `status.podIPs[0].ip`; empty for the whole.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}

struct Name<'a>(&'a ObjectKey);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.namespace.as_str(), self.0.name.as_str()) {
            (_, "") => f.write_str("without a name"),
            ("", name) => f.write_str(name),
            (namespace, name) => write!(f, "{namespace}/{name}"),
        }
    }
}

struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// What is wrong within an object.
struct Wrong {
    path: String,
    message: String,
}

impl Wrong {
    fn top(message: &str) -> Self {
        Self { path: String::new(), message: message.to_owned() }
    }
}

/// Reads an object by its `apiVersion` and `kind`. None for a kind that is not asked for.
pub fn object(value: Value) -> Result<Option<Manifest>, ManifestError> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let missing = [("apiVersion", &api_version), ("kind", &kind)];
    if let Some((field, _)) = missing.into_iter().find(|(_, text)| text.is_empty()) {
        let kind = if kind.is_empty() { "object" } else { &kind };
        return Err(failed(kind, Named::of(&value), Wrong::top(&format!("missing field `{field}`"))));
    }
    match ResourceKind::of(&api_version, &kind) {
        Ok(None) => Ok(None),
        Ok(Some(known)) => {
            let named = Named::of(&value);
            read(known, &api_version, value).map(Some).map_err(|wrong| failed(&kind, named, wrong))
        }
        Err(message) => {
            let wrong = Wrong { path: "apiVersion".to_owned(), message };
            Err(failed(&kind, Named::of(&value), wrong))
        }
    }
}

/// Reads an object whose kind is known, from JSON that need not tell it: entries of lists, and answers that carry
/// metadata alone, do not.
pub fn object_of(kind: ResourceKind, api_version: &str, json: &str) -> Result<Manifest, ManifestError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = read(kind, api_version, &mut deserializer);
    let mut ended =
        |_: &Manifest| deserializer.end().map_err(|_| Wrong::top("found more text behind the object"));
    read.and_then(|manifest| ended(&manifest).map(|()| manifest)).map_err(|wrong| {
        let named = serde_json::from_str(json).unwrap_or_default();
        failed(kind.name(), named, wrong)
    })
}

/// What is read of an object.
trait Written: DeserializeOwned {
    fn metadata(&self) -> &Meta;
    fn into_object(self) -> Result<Object, Wrong>;
}

fn read<'de, D: Deserializer<'de>>(
    kind: ResourceKind,
    api_version: &str,
    source: D,
) -> Result<Manifest, Wrong> {
    match kind {
        ResourceKind::Namespace => written::<node::Namespace, _>(source),
        ResourceKind::Node => written::<node::Node, _>(source),
        ResourceKind::Pod => written::<pod::Pod, _>(source),
        ResourceKind::Service => written::<service::Service, _>(source),
        ResourceKind::EndpointSlice => written::<service::EndpointSlice, _>(source),
        _ => {
            let (policy, metadata) = policy::read(kind, api_version, parse(source)?)?;
            Ok(Manifest::new(&metadata, Object::Policy(policy)))
        }
    }
}

fn written<'de, T: Written, D: Deserializer<'de>>(source: D) -> Result<Manifest, Wrong> {
    let written: T = parse(source)?;
    let (key, resource_version) = (written.metadata().key(), written.metadata().version());
    Ok(Manifest { object: written.into_object()?, key, resource_version })
}

fn parse<'de, T: Deserialize<'de>, D: Deserializer<'de>>(source: D) -> Result<T, Wrong> {
    serde_path_to_error::deserialize(source).map_err(|error| {
        let path = error.path().to_string();
        let path = if matches!(path.as_str(), "." | "?") { String::new() } else { path };
        let message = error.into_inner().to_string();
        // The place within a text that nobody sees says less than the path.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Wrong { path, message }
    })
}

/// The name of an object that may be malformed everywhere else.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    metadata: NamedMetadata,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct NamedMetadata {
    namespace: Value,
    name: Value,
    uid: Value,
    resource_version: Value,
}

impl Named {
    fn of(value: &Value) -> Self {
        let text = |field: &str| value["metadata"][field].clone();
        let (namespace, name, uid) = (text("namespace"), text("name"), text("uid"));
        Self { metadata: NamedMetadata { namespace, name, uid, resource_version: text("resourceVersion") } }
    }
}

fn failed(kind: &str, named: Named, Wrong { path, message }: Wrong) -> ManifestError {
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text[..text.floor_char_boundary(ERROR_NAME_BYTES_MAX)].to_owned()
    };
    let NamedMetadata { namespace, name, uid, resource_version } = &named.metadata;
    let key = ObjectKey { namespace: text(namespace), name: text(name), uid: text(uid) };
    ManifestError {
        kind: kind.to_owned(),
        key: Box::new(key),
        resource_version: text(resource_version),
        path,
        message,
    }
}
