//! What is read out of records.

use serde_json::Value;

pub(in crate::command) fn pod(pod: Option<&Value>) -> Option<String> {
    pod.map(|pod| format!("{}/{}", text(pod, "/namespace"), text(pod, "/name")))
}

pub(in crate::command) fn process(process: Option<&Value>) -> String {
    let Some(process) = process else { return "?".to_owned() };
    format!("{}[{}]", binary_name(process), number(process, "/pid"))
}

/// The file name of the executable.
pub(in crate::command) fn binary_name(process: &Value) -> &str {
    text(process, "/binary").rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("?")
}

pub(in crate::command) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(in crate::command) fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
