//! `pattern` with the names that it has to `accept` and to `reject`.

use serde_json::Value;

use super::{Row, list, text};
use crate::NamePattern;

pub(super) fn rows(case: &Value) -> Result<Vec<Row>, String> {
    let written = text(case, "pattern")?;
    let pattern = NamePattern::pattern(written).map_err(|reason| format!("pattern: {reason}"))?;
    let mut rows = Vec::new();
    for (field, expected) in [("accept", true), ("reject", false)] {
        for name in list(case, field)? {
            let name = name.as_str().ok_or_else(|| format!("{field}: expected a list of names"))?;
            rows.push(Row::new(format!("{written} on {name:?}"), expected, pattern.matches(name)));
        }
    }
    Ok(rows)
}
