//! Policy files: YAML streams, lists and JSON. One bad object costs itself and nothing else.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::Policy;
use crate::compile::DEFAULT_NAMESPACE;
use crate::kind::{Kind, Text, shortened};
use crate::split::{Document, split};
use crate::yaml::read;

/// What a file holds.
#[derive(Clone, Default, Debug)]
pub struct Parsed {
    /// Policies that are evaluated, in file order.
    pub policies: Vec<Arc<Policy>>,
    /// Objects of kinds that this engine does not evaluate.
    pub ignored: Vec<Ignored>,
    /// Objects that cannot be read or that the API would refuse.
    pub rejected: Vec<Rejection>,
}

/// An object, as far as it says what it is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ObjectId {
    /// `apiVersion`.
    pub api_version: Option<String>,
    /// `kind`.
    pub kind: Option<String>,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: Option<String>,
}

/// An object that plays no part in verdicts because of its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ignored {
    /// Line of the file on which the object begins, from 1.
    pub line: u64,
    /// The object.
    pub object: ObjectId,
}

/// An object that was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: {}{reason}", prefix(.object))]
pub struct Rejection {
    /// The file, as the caller named it.
    pub file: String,
    /// Line of the mistake where it is known, of the object otherwise, from 1.
    pub line: u64,
    /// The object.
    pub object: ObjectId,
    /// The place in the object, what was expected and what was found.
    pub reason: String,
}

/// What is done with an object.
enum Role {
    Policy(Kind),
    /// Its items are read; what they are of where it says so.
    List {
        of: Option<(String, String)>,
    },
    Other,
}

#[derive(Deserialize)]
struct List {
    items: Option<Vec<Spanned<Value>>>,
}

/// Reads every object of a file. `file` is only used to say where a mistake is.
#[must_use]
pub fn parse_documents(file: &str, text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for document in split(text) {
        parsed.document(file, &document);
    }
    parsed
}

/// Reads every object of a file as a value, those in lists one by one, each with the line on which it begins. `file` is
/// only used to say where a mistake is.
#[must_use]
pub fn parse_values(file: &str, text: &str) -> (Vec<(u64, Value)>, Vec<Rejection>) {
    let (mut values, mut rejected) = (Vec::new(), Vec::new());
    for document in split(text) {
        let line_in_file = |line: Option<u64>| document.first_line + line.unwrap_or(1).saturating_sub(1);
        let mut reject = |line: Option<u64>, object, reason| {
            let line = line.map_or_else(|| document.object_line(), |line| line_in_file(Some(line)));
            rejected.push(Rejection { file: file.to_owned(), line, object, reason });
        };
        let tree = match read::<Value>(document.text) {
            Ok(tree) => tree,
            Err(error) => {
                reject(error.line, ObjectId::default(), shortened(error.reason));
                continue;
            }
        };
        let object = ObjectId::of(&tree);
        let is_list =
            object.kind.as_deref().is_some_and(|kind| kind.ends_with("List")) && tree.get("items").is_some();
        if !is_list {
            values.push((document.object_line(), tree));
            continue;
        }
        match read::<List>(document.text) {
            Ok(list) => {
                let of = (
                    object.kind.as_deref().and_then(|kind| kind.strip_suffix("List")),
                    object.api_version.as_deref(),
                );
                for item in list.items.into_iter().flatten() {
                    values.push((line_in_file(Some(item.referenced.line())), with_kind(item.value, of)));
                }
            }
            Err(error) => reject(error.line, object, error.reason),
        }
    }
    (values, rejected)
}

/// An item of a list; where it does not say what it is, it is what the list is of.
fn with_kind(mut item: Value, (kind, api_version): (Option<&str>, Option<&str>)) -> Value {
    if let (Some(fields), Some(kind), Some(api_version)) = (item.as_object_mut(), kind, api_version)
        && !kind.is_empty()
        && !fields.contains_key("kind")
    {
        fields.insert("kind".to_owned(), kind.into());
        fields.insert("apiVersion".to_owned(), api_version.into());
    }
    item
}

/// Reads one object that has been read as a value already. None of a kind that is not evaluated; the error says the place
/// in the object, what was expected and what was found.
pub fn parse_object(value: Value) -> Result<Option<Arc<Policy>>, String> {
    let object = ObjectId::of(&value);
    match object.classify()? {
        Role::Policy(kind) => {
            kind.read(Text::Value(value)).map(|policy| Some(Arc::new(policy))).map_err(|error| error.reason)
        }
        Role::List { .. } => Err("a list is not expected here".to_owned()),
        Role::Other => Ok(None),
    }
}

impl Parsed {
    fn document(&mut self, file: &str, document: &Document<'_>) {
        let line_in_file = |line: Option<u64>| document.first_line + line.unwrap_or(1).saturating_sub(1);
        let reject = |line, object, reason| Rejection { file: file.to_owned(), line, object, reason };
        let line = document.object_line();
        let object = match read::<Value>(document.text) {
            Ok(tree) => ObjectId::of(&tree),
            Err(error) => {
                let rejection =
                    reject(line_in_file(error.line), ObjectId::default(), shortened(error.reason));
                return self.rejected.push(rejection);
            }
        };
        match object.classify() {
            Err(reason) => self.rejected.push(reject(line, object, reason)),
            Ok(Role::Other) => self.ignored.push(Ignored { line, object }),
            // Read anew from the text, because only then does a mistake know its line.
            Ok(Role::Policy(kind)) => match kind.read(Text::Document(document.text)) {
                Ok(policy) => self.policies.push(Arc::new(policy)),
                Err(error) => {
                    let line = error.line.map_or(line, |line| line_in_file(Some(line)));
                    self.rejected.push(reject(line, object, error.reason));
                }
            },
            Ok(Role::List { of }) => match read::<List>(document.text) {
                Ok(list) => {
                    for item in list.items.into_iter().flatten() {
                        self.item(file, line_in_file(Some(item.referenced.line())), item.value, of.as_ref());
                    }
                }
                Err(error) => {
                    self.rejected.push(reject(line_in_file(error.line), object, error.reason));
                }
            },
        }
    }

    /// An item of a list; `of` are apiVersion and kind of those that do not say it themselves.
    fn item(&mut self, file: &str, line: u64, mut value: Value, of: Option<&(String, String)>) {
        if let Some((api_version, kind)) = of {
            value = with_kind(value, (Some(kind), Some(api_version)));
        }
        let object = ObjectId::of(&value);
        let outcome = match object.classify() {
            Ok(Role::Policy(kind)) => kind
                .read(Text::Value(value))
                .map(|policy| self.policies.push(Arc::new(policy)))
                .map_err(|error| error.reason),
            Ok(Role::List { .. }) => Err("a list inside a list is not expected".to_owned()),
            Ok(Role::Other) => {
                self.ignored.push(Ignored { line, object });
                return;
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            self.rejected.push(Rejection { file: file.to_owned(), line, object, reason });
        }
    }
}

impl ObjectId {
    fn of(value: &Value) -> Self {
        let text = |pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).map(|text| shortened(text.to_owned()))
        };
        Self {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }

    fn classify(&self) -> Result<Role, String> {
        let kind = self.kind.as_deref().ok_or("kind is required")?;
        let api_version = self.api_version.as_deref().ok_or("apiVersion is required")?;
        if let Some(kind) = Kind::of(api_version, kind) {
            return Ok(Role::Policy(kind));
        }
        Ok(match kind.strip_suffix("List") {
            Some("") if api_version == "v1" => Role::List { of: None },
            Some(item) if Kind::of(api_version, item).is_some() => {
                Role::List { of: Some((api_version.to_owned(), item.to_owned())) }
            }
            _ => Role::Other,
        })
    }
}

impl fmt::Display for ObjectId {
    /// Empty where nothing is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        match (&self.kind, &self.name) {
            (Some(kind), Some(name)) => write!(f, "{kind} {namespace}/{name}"),
            (Some(kind), None) => write!(f, "{kind} without a name"),
            (None, Some(name)) => write!(f, "{namespace}/{name}"),
            (None, None) => Ok(()),
        }
    }
}

fn prefix(object: &ObjectId) -> String {
    let object = object.to_string();
    if object.is_empty() { object } else { format!("{object}: ") }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
