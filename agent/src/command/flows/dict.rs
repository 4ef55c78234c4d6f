//! `-o dict`: everything that a record tells, one KEY: value a line.

use serde_json::Value;

use super::describe::{self, duration, list};
use super::line::{Line, Style};
use crate::command::observe::field::{number, pod, text};

/// Width of the keys, characters.
const KEY_WIDTH: usize = 18;

/// What stands behind each record.
const SEPARATOR: &str = "------------";

pub(super) fn block(record: &Value, color: bool) -> String {
    let mut block = String::new();
    for (key, value) in entries(record).into_iter().filter(|(_, value)| !value.is_empty()) {
        let mut line = Line::new(color);
        line.push(Style::Plain, &format!("{key:>KEY_WIDTH$}: "));
        let style = if key == "VERDICT" || key == "ANSWER" { Style::of_result(&value) } else { Style::Plain };
        line.push(style, &value);
        block.push_str(&line.finish());
        block.push('\n');
    }
    block + SEPARATOR
}

fn entries(record: &Value) -> Vec<(&'static str, String)> {
    let of = |pointer: &str| text(record, pointer).to_owned();
    let is = |name: &str, said: &str| if record[name] == true { said.to_owned() } else { String::new() };
    let time = |pointer: &str, per_us: u64| {
        let time = record.pointer(pointer).and_then(Value::as_u64);
        time.map(|time| duration(time / per_us)).unwrap_or_default()
    };
    let is_dns = text(record, "/type") == "dns";
    let mut entries = vec![
        ("TIME", of("/time")),
        ("NODE", of("/node")),
        ("TYPE", of("/type")),
        ("STAGE", of("/stage")),
        ("PROTOCOL", of("/protocol")),
        ("ICMP", describe::icmp(record)),
    ];
    let client = ["CLIENT", "CLIENT ADDRESS", "CLIENT NAMES", "CLIENT SERVICE", "CLIENT BACKEND"];
    let server = ["SERVER", "SERVER ADDRESS", "SERVER NAMES", "SERVER SERVICE", "SERVER BACKEND"];
    entries.extend(end(client, &record["client"]));
    entries.extend(end(server, &record["server"]));
    let answer = if is_dns { describe::result(record).to_owned() } else { String::new() };
    entries.extend([
        ("OBSERVED AT", of("/side")),
        ("DIRECTION", is("direction_guessed", "guessed")),
        ("VERDICT", of("/verdict/outcome")),
        ("EGRESS", side(record.pointer("/verdict/egress"))),
        ("INGRESS", side(record.pointer("/verdict/ingress"))),
        ("BECAUSE", of("/because")),
        ("CLOSE REASON", of("/close_reason")),
        ("DROP REASON", of("/drop/reason")),
        ("PACKETS DROPPED", count(record, "/drop/packets")),
        ("QUERY", of("/query")),
        ("QUERY TYPE", of("/query_type")),
        ("ANSWER", answer),
        ("ANSWERS", describe::answers(record).join(", ")),
        ("LATENCY", time("/latency_us", 1)),
        ("TRUNCATED", is("truncated", "the answer was cut short")),
        ("OPENED", of("/opened")),
        ("ORIGIN", of("/origin")),
        ("HANDSHAKE", time("/handshake_us", 1)),
        ("DURATION", time("/duration_ns", 1000)),
    ]);
    entries.extend(counters(record));
    entries.extend([
        ("TLS SERVER NAME", of("/tls/sni")),
        ("TLS ALPN", list(record, "/tls/alpn", ", ")),
        ("TLS VERSIONS", list(record, "/tls/versions", ", ")),
        ("TLS JA4", of("/tls/ja4")),
        ("PLAINTEXT", is("plaintext", "on a port for TLS")),
        ("PROCESS", describe::actor(record)),
        ("EXECUTABLE", of("/process/binary")),
        ("COMMAND LINE", list(record, "/process/args", " ")),
        ("COMMUNITY ID", of("/community_id")),
    ]);
    entries
}

fn end(keys: [&'static str; 5], end: &Value) -> Vec<(&'static str, String)> {
    let (name, kind) = describe::end(end);
    let backend = end.pointer("/backend").map(|backend| match text(backend, "/address") {
        "" => text(backend, "/by").to_owned(),
        address => format!("{address} (by {})", text(backend, "/by")),
    });
    let values = [
        format!("{name} {kind}"),
        text(end, "/address").to_owned(),
        list(end, "/names", ", "),
        pod(end.pointer("/service")).unwrap_or_default(),
        backend.unwrap_or_default(),
    ];
    keys.into_iter().zip(values).collect()
}

/// `deny-default`, with the reason where there is one.
fn side(verdict: Option<&Value>) -> String {
    let Some(verdict) = verdict else { return String::new() };
    match (text(verdict, "/verdict"), text(verdict, "/reason")) {
        (verdict, "") => verdict.to_owned(),
        (verdict, reason) => format!("{verdict}: {reason}"),
    }
}

fn counters(record: &Value) -> Vec<(&'static str, String)> {
    let time = |pointer: &str| match number(record, pointer) {
        0 => String::new(),
        us => duration(us),
    };
    vec![
        ("BYTES SENT", count(record, "/counters/bytes_sent")),
        ("BYTES RECEIVED", count(record, "/counters/bytes_received")),
        ("SEGMENTS SENT", count(record, "/counters/segments_sent")),
        ("SEGMENTS RECEIVED", count(record, "/counters/segments_received")),
        ("RETRANSMITS", count(record, "/counters/retransmits")),
        ("DATAGRAMS SENT", count(record, "/counters/datagrams_sent")),
        ("DATAGRAMS RECEIVED", count(record, "/counters/datagrams_received")),
        ("SMOOTHED RTT", time("/counters/srtt_us")),
        ("MINIMUM RTT", time("/counters/min_rtt_us")),
    ]
}

fn count(record: &Value, pointer: &str) -> String {
    record.pointer(pointer).and_then(Value::as_u64).map(|count| count.to_string()).unwrap_or_default()
}
