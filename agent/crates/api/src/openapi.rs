//! The description of the API (OpenAPI 3.1).

use serde_json::Value;

const DOCUMENT: &str = include_str!("../openapi.json");

/// The document that is served.
#[must_use]
pub fn openapi() -> Value {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("the tests read it");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document
}
