//! From a record's JSON to the values of its fields.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use watchfire_model::WallTime;

use super::{Field, Kind, Take};

/// One value of a field. Addresses are texts: so they are read by whoever reads the tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cell {
    Text(String),
    Int(i64),
}

/// The value of a field; none where the record lacks it or has it in another form.
pub(crate) fn cell(field: &Field, record: &Value) -> Option<Cell> {
    let taken = field.takes.iter().find_map(|take| taken(*take, record))?;
    match (field.kind, taken) {
        (Kind::Int, Cell::Text(text)) => text.parse().ok().map(Cell::Int),
        (Kind::Time, Cell::Text(text)) => text.parse().ok().map(|WallTime(ns)| Cell::Int(ns)),
        (Kind::Text | Kind::Ip, Cell::Int(number)) => Some(Cell::Text(number.to_string())),
        (_, taken) => Some(taken),
    }
}

fn taken(take: Take, record: &Value) -> Option<Cell> {
    match take {
        Take::At(path) => match record.pointer(path)? {
            Value::String(text) => Some(Cell::Text(text.clone())),
            Value::Bool(is_so) => Some(Cell::Text(is_so.to_string())),
            // What does not fit stays in the record alone.
            Value::Number(number) => number.as_i64().map(Cell::Int),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        },
        Take::IpOf(path) => {
            let text = record.pointer(path)?.as_str()?;
            let ip = text.parse().map(|address: SocketAddr| address.ip()).or_else(|_| text.parse());
            ip.ok().map(|ip: IpAddr| Cell::Text(ip.to_string()))
        }
        Take::PortOf(path) => {
            let address: SocketAddr = record.pointer(path)?.as_str()?.parse().ok()?;
            Some(Cell::Int(address.port().into()))
        }
        Take::Object(path) => {
            let object = record.pointer(path)?;
            let part = |key| object.get(key).and_then(Value::as_str);
            Some(Cell::Text(format!("{}/{}", part("namespace")?, part("name")?)))
        }
        Take::Words(path) => {
            let words = record.pointer(path)?.as_array()?.iter().filter_map(Value::as_str);
            Some(Cell::Text(words.collect::<Vec<_>>().join(" ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, record: &str) -> Option<Cell> {
        cell(Field::named(name).unwrap(), &serde_json::from_str(record).unwrap())
    }

    #[test]
    fn values_are_taken_from_where_they_stand() {
        let text = |text: &str| Some(Cell::Text(text.to_owned()));
        let flow = r#"{"time":"1970-01-01T00:00:00.000000007Z","type":"flow","cookie":18446744073709551615,
            "client":{"address":"10.0.1.5:40112","pod":{"namespace":"shop","name":"web"}},
            "server":{"address":"[2001:db8::7]:5432","names":["a","b"]},"plaintext":true,
            "process":{"pid":7,"args":["x","y z"]}}"#;
        for (name, expected) in [
            ("time", Some(Cell::Int(7))),
            ("src.ip", text("10.0.1.5")),
            ("src.port", Some(Cell::Int(40112))),
            ("src.pod", text("shop/web")),
            ("src.namespace", text("shop")),
            ("dst.ip", text("2001:db8::7")),
            ("dst.names", text("a b")),
            ("dst.pod", None),
            ("plaintext", text("true")),
            ("process.args", text("x y z")),
            ("process.pid", Some(Cell::Int(7))),
            ("cookie", None),
        ] {
            assert_eq!(value(name, flow), expected, "{name}");
        }
        assert_eq!(value("process.pod", r#"{"pod":{"namespace":"a","name":"b"}}"#), text("a/b"));
        assert_eq!(value("result", r#"{"result":-13}"#), Some(Cell::Int(-13)));
    }

    #[test]
    fn what_has_another_form_is_absent() {
        for (name, record) in [
            ("src.ip", r#"{"client":{"address":"nowhere"}}"#),
            ("src.port", r#"{"client":{"address":"10.0.0.1"}}"#),
            ("src.pod", r#"{"client":{"pod":{"name":"x"}}}"#),
            ("time", r#"{"time":"yesterday"}"#),
            ("node", r#"{"node":{}}"#),
            ("src.pod", "[]"),
        ] {
            assert_eq!(value(name, record), None, "{record}");
        }
    }
}
