//! `-o table`: aligned columns.

use serde_json::Value;

use super::describe;
use super::line::{Line, Style};
use crate::command::observe::field::text;

/// Names and widths of the columns, characters. A longer text pushes what follows to the right and is not cut.
const COLUMNS: [(&str, usize); 7] = [
    ("TIME (UTC)", 23),
    ("CLIENT", 30),
    ("SERVER", 36),
    ("PROTOCOL", 8),
    ("VERDICT", 11),
    ("EVENT", 21),
    ("DETAILS, BECAUSE, PROCESS", 0),
];

pub(super) fn header() -> String {
    let mut line = Line::new(false);
    for (name, width) in COLUMNS {
        line.column(Style::Plain, name, width);
    }
    line.finish()
}

pub(super) fn row(record: &Value, color: bool) -> String {
    let end = |end: &Value| {
        let (name, kind) = describe::end(end);
        if kind.is_empty() { name } else { format!("{name} {kind}") }
    };
    let mut rest = describe::details(record);
    if text(record, "/type") == "dns" {
        rest.insert(0, describe::question(record));
    }
    rest.extend([describe::because(record), describe::actor(record)]);
    rest.retain(|part| !part.is_empty());
    // The mark stands where the eye looks for who called whom.
    let client = match describe::arrow(record) {
        "→" => end(&record["client"]),
        arrow => format!("{} {arrow}", end(&record["client"])),
    };
    let result = describe::result(record);
    let cells = [
        (Style::Plain, describe::time(record)),
        (Style::Name, client),
        (Style::Name, end(&record["server"])),
        (Style::Plain, text(record, "/protocol").to_owned()),
        (Style::of_result(result), result.to_owned()),
        (Style::Plain, describe::event(record)),
        (Style::Plain, rest.join(", ")),
    ];
    let mut line = Line::new(color);
    for ((style, cell), (_, width)) in cells.into_iter().zip(COLUMNS) {
        line.column(style, &cell, width);
    }
    line.finish()
}
