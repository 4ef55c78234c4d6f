//! JSON schemas of every kind that the API server has, made of its own OpenAPI description.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{fed, kubeconform, text};
use crate::kube::Kube;

const REFERENCE: &str = "#/definitions/";

/// A folder with a schema for each kind, named as [`kubeconform`] looks for them.
pub(super) struct Schemas {
    folder: TempDir,
}

impl Schemas {
    /// Those of a server, once it describes every kind that it has.
    pub(super) fn of(kube: &Kube) -> Self {
        let mut openapi = Value::Null;
        // Custom resources come into the description a while after they are defined.
        let defined = kube.json(&["get", "customresourcedefinitions"]);
        crate::kube::until("a description of all kinds", || {
            let answer = kube.run(["get", "--raw", "/openapi/v2"]);
            openapi = serde_json::from_str(&answer).unwrap();
            let kinds = kinds(&openapi["definitions"]);
            let is_described = |definition: &Value| {
                let spec = &definition["spec"];
                kinds.iter().any(|(_, of)| {
                    text(of, "group") == text(spec, "group") && of["kind"] == spec["names"]["kind"]
                })
            };
            defined["items"].as_array().unwrap().iter().all(is_described)
        });
        let schemas = Self { folder: tempfile::tempdir().unwrap() };
        let definitions = openapi["definitions"].as_object().unwrap();
        for (name, of) in kinds(&openapi["definitions"]) {
            let schema = standalone(definitions, &name);
            let file = schemas.file(text(&of, "group"), text(&of, "version"), text(&of, "kind"));
            std::fs::write(file, schema.to_string()).unwrap();
        }
        schemas
    }

    /// Whether the server has such a kind.
    pub(super) fn has(&self, api_version: &str, kind: &str) -> bool {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.file(group, version, kind).is_file()
    }

    /// Checks manifests; what is wrong with them.
    pub(super) fn check(&self, manifests: &str) -> Result<(), String> {
        fed(kubeconform(self.folder.path()), manifests)
    }

    fn file(&self, group: &str, version: &str, kind: &str) -> PathBuf {
        // kubeconform takes what is before the slash for the group, of `v1` too.
        let group = if group.is_empty() { version } else { group };
        self.folder.path().join(format!("{group}_{version}_{}.json", kind.to_lowercase()))
    }
}

/// The names of definitions that are kinds, with what the API calls them.
fn kinds(definitions: &Value) -> Vec<(String, Value)> {
    let all = definitions.as_object().unwrap().iter();
    all.flat_map(|(name, definition)| {
        let of = definition["x-kubernetes-group-version-kind"].as_array().cloned().unwrap_or_default();
        of.into_iter().map(|of| (name.clone(), of))
    })
    .collect()
}

/// A definition with all that it refers to.
fn standalone(definitions: &Map<String, Value>, name: &str) -> Value {
    let (mut needed, mut waiting) = (BTreeSet::from([name.to_owned()]), VecDeque::from([name.to_owned()]));
    let mut kept = Map::new();
    while let Some(name) = waiting.pop_front() {
        let mut definition = definitions[&name].clone();
        closed(&mut definition);
        for other in references(&definition) {
            if needed.insert(other.clone()) {
                waiting.push_back(other);
            }
        }
        kept.insert(name, definition);
    }
    json!({ "$schema": "http://json-schema.org/draft-07/schema#", "$ref": format!("{REFERENCE}{name}"), "definitions": kept })
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(target) if key == "$ref" => vec![target.trim_start_matches(REFERENCE).to_owned()],
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Makes a schema say that there are no other fields than those that it names, and which texts may be numbers.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_open = fields.contains_key("additionalProperties")
                || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            // `properties` may be the name of a field as well.
            if fields.get("properties").is_some_and(Value::is_object)
                && fields.contains_key("type")
                && !is_open
            {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            let description = fields.get("description").and_then(Value::as_str).unwrap_or_default();
            let may_be_number = fields.get("format").is_some_and(|format| format == "int-or-string")
                || description.starts_with("Quantity is a fixed-point");
            if may_be_number {
                fields.insert("type".to_owned(), json!(["string", "number"]));
                fields.remove("format");
            }
            fields.values_mut().for_each(closed);
        }
        Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}
