//! What flow and DNS records tell, in words that all ways of showing them share.

use serde_json::Value;

use crate::command::observe::field::{number, pod, process, text};

/// The moment, with the reason where there is one: `close fin`, `dropped NO_SOCKET`, `dns`.
pub(in crate::command) fn event(record: &Value) -> String {
    let stage = match text(record, "/type") {
        "flow" => text(record, "/stage"),
        other => other,
    };
    let reasons = [text(record, "/close_reason"), text(record, "/drop/reason")];
    let parts = [stage].into_iter().chain(reasons).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// The verdict, or how DNS answered.
pub(in crate::command) fn result(record: &Value) -> &str {
    match (text(record, "/type"), text(record, "/rcode")) {
        ("dns", "") => "no-answer",
        ("dns", rcode) => rcode,
        _ => text(record, "/verdict/outcome"),
    }
}

/// `A db.example → 10.0.0.7, 10.0.0.8`
pub(in crate::command) fn question(record: &Value) -> String {
    let answers = answers(record);
    let arrow = if answers.is_empty() { "" } else { " → " };
    format!("{} {}{arrow}{}", text(record, "/query_type"), text(record, "/query"), answers.join(", "))
}

/// What was answered, shortest form.
pub(super) fn answers(record: &Value) -> Vec<String> {
    let answers = record.pointer("/answers").and_then(Value::as_array);
    let told = |answer: &Value| match (text(answer, "/type"), text(answer, "/data")) {
        (kind, "") => kind.to_owned(),
        ("A" | "AAAA", data) => data.to_owned(),
        (kind, data) => format!("{kind} {data}"),
    };
    answers.into_iter().flatten().map(told).collect()
}

/// The process, or why it is not known.
pub(in crate::command) fn actor(record: &Value) -> String {
    match (record.pointer("/process"), text(record, "/process_unknown")) {
        (None, "") => String::new(),
        (None, why) => format!("? ({why})"),
        (known, _) => process(known),
    }
}

/// What decided.
pub(in crate::command) fn because(record: &Value) -> String {
    text(record, "/because").to_owned()
}

/// What there is to tell besides ends, event, result and process.
pub(in crate::command) fn details(record: &Value) -> Vec<String> {
    let mut details = vec![icmp(record), drops(record)];
    details.extend(counters(record));
    details.extend([tls(record), plaintext(record)]);
    let times = [
        ("handshake", "/handshake_us", 1),
        ("latency", "/latency_us", 1),
        ("duration", "/duration_ns", 1000),
    ];
    for (name, pointer, per_us) in times {
        if let Some(time) = record.pointer(pointer).and_then(Value::as_u64) {
            details.push(format!("{name} {}", duration(time / per_us)));
        }
    }
    if record["truncated"] == true {
        details.push("answer cut short".to_owned());
    }
    details.retain(|detail| !detail.is_empty());
    details
}

pub(super) fn icmp(record: &Value) -> String {
    let Some(icmp) = record.pointer("/icmp") else { return String::new() };
    let [kind, code, id] = ["/type", "/code", "/id"].map(|pointer| number(icmp, pointer));
    let name = match (text(record, "/protocol"), kind) {
        // IANA, ICMP and ICMPv6 type numbers.
        ("ICMP", 8) | ("ICMPv6", 128) => "echo request".to_owned(),
        _ => format!("type {kind} code {code}"),
    };
    if id == 0 { name } else { format!("{name} id {id}") }
}

fn drops(record: &Value) -> String {
    match number(record, "/drop/packets") {
        0 => String::new(),
        1 => "1 packet dropped".to_owned(),
        packets => format!("{packets} packets dropped"),
    }
}

fn counters(record: &Value) -> Vec<String> {
    let Some(counters) = record.pointer("/counters") else { return Vec::new() };
    let count = |name: &str| number(counters, &format!("/{name}"));
    let mut parts = Vec::new();
    // An attempt that failed has moved nothing, and that is no news.
    if text(record, "/stage") != "failed" || count("bytes_sent") + count("bytes_received") > 0 {
        parts.push(format!("{} bytes sent, {} received", count("bytes_sent"), count("bytes_received")));
    }
    for unit in ["segments", "datagrams"] {
        if counters.get(format!("{unit}_sent")).is_some() {
            let [sent, received] = ["sent", "received"].map(|way| count(&format!("{unit}_{way}")));
            parts.push(format!("{sent}/{received} {unit}"));
        }
    }
    if count("retransmits") > 0 {
        parts.push(format!("{} retransmitted", count("retransmits")));
    }
    if count("srtt_us") > 0 {
        parts.push(format!("srtt {}", duration(count("srtt_us"))));
    }
    parts
}

fn tls(record: &Value) -> String {
    let Some(tls) = record.pointer("/tls") else { return String::new() };
    let alpn = list(tls, "/alpn", ",");
    let parts = ["TLS", text(tls, "/sni"), &alpn];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn plaintext(record: &Value) -> String {
    if record["plaintext"] == true { "plaintext on a port for TLS".to_owned() } else { String::new() }
}

/// Texts of a list with something between them.
pub(super) fn list(value: &Value, pointer: &str, separator: &str) -> String {
    let texts = value.pointer(pointer).and_then(Value::as_array);
    texts.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(separator)
}

/// Microseconds in a unit in which they are short.
pub(super) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}µs"),
        1_000..1_000_000 => format!("{}.{:03}ms", us / 1_000, us % 1_000),
        _ => format!("{}.{:03}s", us / 1_000_000, us / 1_000 % 1_000),
    }
}

/// `→`, marked where the direction was guessed.
pub(super) fn arrow(record: &Value) -> &'static str {
    if record["direction_guessed"] == true { "→?" } else { "→" }
}

/// Address and port of an end.
pub(in crate::command) fn address(end: &Value) -> (&str, &str) {
    text(end, "/address").rsplit_once(':').unwrap_or((text(end, "/address"), "0"))
}

/// The best name of an end with its port, and what it is where the name does not say.
pub(super) fn end(end: &Value) -> (String, String) {
    let (ip, port) = address(end);
    // ICMP has none.
    let port = if port == "0" { String::new() } else { format!(":{port}") };
    let kind = match (text(end, "/kind"), text(end, "/detail")) {
        ("node", node) => format!("(node {node})"),
        ("", _) => String::new(),
        (kind, _) => format!("({kind})"),
    };
    match (pod(end.pointer("/pod")), pod(end.pointer("/service")), text(end, "/names/0")) {
        (Some(pod), ..) => (format!("{pod}{port}"), String::new()),
        (None, Some(service), _) => (format!("{service}{port}"), format!("(service{})", backend(end))),
        (None, None, "") => (format!("{ip}{port}"), kind),
        (None, None, name) => (format!("{name}{port}"), kind),
    }
}

/// Who a service's address led to, as ` → 10.0.0.7:8443`; nothing for other ends.
pub(in crate::command) fn backend(end: &Value) -> String {
    match (end.pointer("/backend"), text(end, "/backend/address")) {
        (None, _) => String::new(),
        (Some(_), "") => " → ?".to_owned(),
        (Some(_), address) => format!(" → {address}"),
    }
}

/// `2026-01-02T03:04:05.678901234Z` → `2026-01-02 03:04:05.678`.
pub(super) fn time(record: &Value) -> String {
    let time = text(record, "/time");
    time.get(..23).map_or_else(|| time.to_owned(), |time| time.replacen('T', " ", 1))
}
