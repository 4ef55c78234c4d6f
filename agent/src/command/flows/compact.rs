//! `-o compact`: one line a record, in the order in which the Hubble CLI has it.

use serde_json::Value;

use super::describe;
use super::line::{Line, Style};
use crate::command::observe::field::text;

pub(super) fn line(record: &Value, color: bool) -> String {
    let mut line = Line::new(color);
    line.push(Style::Plain, &format!("{}: ", describe::time(record)));
    end(&mut line, &record["client"]);
    line.push(Style::Plain, &format!("{} ", describe::arrow(record)));
    end(&mut line, &record["server"]);
    let result = describe::result(record);
    line.push(Style::of_result(result), result);
    line.push(Style::Plain, &format!(" {} {}", text(record, "/protocol"), describe::event(record)));
    let mut details = describe::details(record);
    if text(record, "/type") == "dns" {
        line.push(Style::Plain, &format!(" {}", describe::question(record)));
    }
    details.extend([describe::because(record), describe::actor(record)]);
    details.retain(|detail| !detail.is_empty());
    if !details.is_empty() {
        line.push(Style::Plain, &format!(" ({})", details.join(", ")));
    }
    line.finish()
}

fn end(line: &mut Line, end: &Value) {
    let (name, kind) = describe::end(end);
    line.push(Style::Name, &name);
    line.push(Style::Plain, &format!("{}{kind} ", if kind.is_empty() { "" } else { " " }));
}
