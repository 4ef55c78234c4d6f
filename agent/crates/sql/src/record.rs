//! `json_text`: what stands in a record and has no column.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray as _, StringViewArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::Value;

/// `json_text(record, pointer)`: the value at a place (RFC 6901) as a text, such as `json_text(record, '/client/kind')`;
/// objects and lists as JSON. NULL where there is none.
pub(crate) fn json_text() -> ScalarUDF {
    let types = vec![DataType::Utf8View, DataType::Utf8View];
    create_udf("json_text", types, DataType::Utf8View, Volatility::Immutable, Arc::new(invoke))
}

fn invoke(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let (records, pointers) = (arrays[0].as_string_view(), arrays[1].as_string_view());
    let texts: StringViewArray =
        records.iter().zip(pointers).map(|(record, pointer)| text_at(record?, pointer?)).collect();
    Ok(ColumnarValue::Array(Arc::new(texts) as ArrayRef))
}

fn text_at(record: &str, pointer: &str) -> Option<String> {
    let record: Value = serde_json::from_str(record).ok()?;
    match record.pointer(pointer)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_texts() {
        let record = r#"{"a":{"b":["x",7]},"n":null,"t":true,"s/l":"y"}"#;
        for (pointer, expected) in [
            ("/a/b/0", Some("x")),
            ("/a/b/1", Some("7")),
            ("/a/b", Some(r#"["x",7]"#)),
            ("/a/b/2", None),
            ("/n", None),
            ("/t", Some("true")),
            ("/s~1l", Some("y")),
            ("a", None),
        ] {
            assert_eq!(text_at(record, pointer).as_deref(), expected, "{pointer}");
        }
        assert_eq!(text_at("no JSON", ""), None);
    }
}
