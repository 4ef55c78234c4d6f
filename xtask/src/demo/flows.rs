//! The table of flows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::processes::{base_name, pod};
use super::table::Table;
use crate::lab;

/// Connections that differ in their ports alone.
#[derive(Default)]
struct Group {
    connections: u64,
    client_program: String,
    server_program: String,
    bytes: u64,
}

/// The lab's connections, those alike in one row.
pub(super) fn table(records: &[Value]) -> String {
    let mut table =
        Table::new(["CLIENT", "PROGRAM", "", "SERVER", "PROGRAM", "COUNT", "BYTES", "VERDICT", "BECAUSE"]);
    for ((client, server, verdict, because, end), group) in groups(records) {
        table.row(vec![
            client,
            group.client_program,
            "→".to_owned(),
            server,
            group.server_program,
            group.connections.to_string(),
            if end.is_empty() { group.bytes.to_string() } else { end },
            verdict,
            because,
        ]);
    }
    table.finish()
}

/// What the agent says about each time that a connection of the lab was made, as its client saw it end.
pub(super) fn verdicts(records: &[Value], connection: &lab::Connection) -> Vec<String> {
    let client = format!("{}:", connection.from.address());
    let server = format!("{}:{}", connection.to.address(), connection.port);
    let is_it = |record: &&Value| {
        is_client_end(record)
            && record["client"]["address"].as_str().is_some_and(|address| address.starts_with(&client))
            && record["server"]["address"] == server.as_str()
    };
    records.iter().filter(is_it).map(|record| text(&record["verdict"]["outcome"])).collect()
}

/// True for the last record of a connection of the lab from its client's end.
fn is_client_end(record: &Value) -> bool {
    let is_last = matches!(record["stage"].as_str(), Some("close" | "failed"));
    is_lab(record) && record["side"] == "client" && is_last
}

/// True for a flow on the lab's network.
pub(super) fn is_lab(record: &Value) -> bool {
    let starts = |end: &str| {
        record[end]["address"]
            .as_str()
            .is_some_and(|address| address.starts_with(&format!("{}.", lab::NETWORK)))
    };
    record["type"] == "flow" && (starts("client") || starts("server"))
}

type Key = (String, String, String, String, String);

fn groups(records: &[Value]) -> BTreeMap<Key, Group> {
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    // Each end of a connection is recorded; the server's fills in what the client's cannot know.
    let mut servers: BTreeMap<String, String> = BTreeMap::new();
    for record in records.iter().filter(|record| is_lab(record)) {
        let server = end(&record["server"], true);
        if record["side"] == "server" {
            servers.insert(server.clone(), base_name(&record["process"]));
        }
        if !is_client_end(record) {
            continue;
        }
        let failure = if record["stage"] == "failed" { text(&record["close_reason"]) } else { String::new() };
        let key = (
            end(&record["client"], false),
            server,
            text(&record["verdict"]["outcome"]),
            text(&record["because"]),
            failure,
        );
        let group = groups.entry(key).or_default();
        group.connections += 1;
        group.client_program = base_name(&record["process"]);
        let counted = |name: &str| record["counters"][name].as_u64().unwrap_or_default();
        group.bytes += counted("bytes_sent") + counted("bytes_received");
    }
    for ((_, server, ..), group) in &mut groups {
        group.server_program = servers.get(server).cloned().unwrap_or_else(|| "-".to_owned());
    }
    groups
}

/// A pod by name, anything else by address; with the port where that says which service it is.
fn end(view: &Value, with_port: bool) -> String {
    let address = view["address"].as_str().unwrap_or_default();
    let (ip, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let who = pod(&view["pod"]).unwrap_or_else(|| format!("{} {ip}", text(&view["kind"])));
    if with_port { format!("{who}:{port}") } else { who }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_ends_of_like_connections_make_one_row() {
        let flow = |side: &str, program: &str, port: u16| {
            json!({"type": "flow", "side": side, "stage": "close", "process": {"binary": program},
                "client": {"address": format!("10.244.7.66:{port}"), "kind": "world"},
                "server": {"address": "10.244.7.30:5432", "kind": "pod", "pod": {"namespace": "shop", "name": "db"}},
                "verdict": {"outcome": "denied"}, "because": "isolated",
                "counters": {"bytes_sent": 3, "bytes_received": 4}})
        };
        let elsewhere = json!({"type": "flow", "side": "client", "stage": "close",
            "client": {"address": "127.0.0.1:1"}, "server": {"address": "127.0.0.1:2"}});
        let records = [
            flow("client", "/b/nc", 1),
            flow("server", "/b/redis", 1),
            flow("client", "/b/nc", 2),
            elsewhere,
        ];
        assert_eq!(groups(&records).len(), 1);
        let asked = |at: usize| verdicts(&records, &lab::CONNECTIONS[at]);
        assert_eq!((asked(3), asked(0)), (vec!["denied".to_owned(); 2], Vec::new()));
        let text = table(&records);
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let expected =
            ["world", "10.244.7.66", "nc", "→", "shop/db:5432", "redis", "2", "14", "denied", "isolated"];
        assert_eq!(row, expected);
    }
}
