//! Records as lines with aligned columns.

use serde_json::Value;

use super::event;
use super::field::{number, pod, process, text};
use super::finding;
use crate::command::flows::describe;
use crate::command::flows::printable;

/// Widths of all columns but the last, characters. A longer text pushes what follows to the right and is not cut.
const WIDTHS: [usize; 4] = [12, 15, 11, 66];

/// Names of the columns.
pub(in crate::command) const HEADER: &str = "TIME (UTC)    EVENT            RESULT       CLIENT → SERVER, OR POD AND SUBJECT                                 PROCESS, BECAUSE";

/// One record or notice as a line.
pub(in crate::command) fn row(record: &Value) -> String {
    let time = clock(text(record, "/time"));
    let columns = match text(record, "/type") {
        "flow" => [
            time,
            describe::event(record),
            describe::result(record).to_owned(),
            ends(record),
            remarks(record),
        ],
        "dns" => [
            time,
            "dns".to_owned(),
            describe::result(record).to_owned(),
            format!("{} {}", ends(record), describe::question(record)),
            remarks(record),
        ],
        "process" => [
            time,
            text(record, "/action").to_owned(),
            String::new(),
            place(record),
            format!(
                "{}  {}{}{}",
                process(record.pointer("/process")),
                command_line(record),
                exit(record),
                image(record)
            ),
        ],
        "finding" => [
            time,
            finding::event(record),
            finding::result(record),
            text(record, "/title").to_owned(),
            finding::remarks(record),
        ],
        "api-access" => [
            time,
            "api-access".to_owned(),
            number(record, "/answer/status").to_string(),
            event::subject(record),
            caller(record),
        ],
        "loss" => [time, "loss".to_owned(), String::new(), loss(record), String::new()],
        "observer-loss" => [
            time,
            "loss".to_owned(),
            String::new(),
            format!(
                "{} records are not shown: they came faster than they were read here",
                number(record, "/lost")
            ),
            String::new(),
        ],
        // What the security families have in common.
        _ if record.pointer("/operation").is_some() => [
            time,
            text(record, "/operation").to_owned(),
            event::result(record),
            format!("{} {}", place(record), event::subject(record)),
            event::ancestry(record),
        ],
        other => [time, other.to_owned(), String::new(), record.to_string(), String::new()],
    };
    line(&columns)
}

/// Where it happened: the pod, or the node.
fn place(record: &Value) -> String {
    pod(record.pointer("/process/pod")).unwrap_or_else(|| text(record, "/node").to_owned())
}

/// Who asked the API, and how much that was.
fn caller(record: &Value) -> String {
    let who = match (text(record, "/caller/user"), text(record, "/caller/address")) {
        ("", "") => format!("uid {} pid {}", number(record, "/caller/uid"), number(record, "/caller/pid")),
        ("", address) => address.to_owned(),
        (user, address) => format!("{user} at {address}"),
    };
    format!("{who}  {} records", number(record, "/answer/records"))
}

pub(in crate::command) fn loss(record: &Value) -> String {
    let (lost, suppressed) = (number(record, "/lost"), number(record, "/suppressed"));
    let whose = pod(record.pointer("/pod")).or_else(|| Some(text(record, "/cgroup").to_owned()));
    let whose = whose.filter(|whose| !whose.is_empty()).map(|whose| format!(" of {whose}"));
    let suppressed =
        if suppressed > 0 { format!(", {suppressed} held back by the rate limit") } else { String::new() };
    format!("{lost} {} records{} were lost{suppressed}", text(record, "/kind"), whose.unwrap_or_default())
}

/// What is remarkable in a new image.
fn image(record: &Value) -> String {
    let flags = ["setuid", "setgid", "fileless", "drift", "shell_with_tty"];
    let flags = flags.into_iter().filter(|&flag| record[flag] == true).map(|flag| flag.replace('_', "-"));
    let script = record.pointer("/script").and_then(Value::as_str).map(|script| format!("script {script}"));
    let remarks: Vec<_> = flags.chain(script).collect();
    if remarks.is_empty() { String::new() } else { format!("  [{}]", remarks.join(", ")) }
}

fn line(columns: &[String; 5]) -> String {
    let mut line = String::new();
    for (i, column) in columns.iter().enumerate() {
        // Arguments are the watched process's own words and may hold terminal control sequences.
        let printable = printable(column);
        line.push_str(&printable);
        if let Some(width) = WIDTHS.get(i) {
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(printable.chars().count()) + 2));
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// `2026-01-02T03:04:05.678901234Z` → `03:04:05.678`.
fn clock(time: &str) -> String {
    time.get(11..23).unwrap_or(time).to_owned()
}

pub(in crate::command) fn ends(flow: &Value) -> String {
    let guessed = if flow["direction_guessed"] == true { "?" } else { "" };
    format!("{} →{guessed} {}", endpoint(&flow["client"], false), endpoint(&flow["server"], true))
}

/// Who did it, what there is to tell of it, and what decided.
fn remarks(record: &Value) -> String {
    let parts = [describe::actor(record), describe::details(record).join(", "), describe::because(record)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// The client's port says nothing to a reader; the server's does.
fn endpoint(end: &Value, with_port: bool) -> String {
    let (ip, port) = describe::address(end);
    let port = if with_port && port != "0" { format!(":{port}") } else { String::new() };
    let name = text(end, "/names/0");
    let name = if name.is_empty() { String::new() } else { format!("{name} ") };
    match (pod(end.pointer("/pod")), pod(end.pointer("/service")), text(end, "/kind")) {
        (Some(pod), ..) => format!("{pod} {ip}{port}"),
        (None, Some(service), _) => format!("service {service} {ip}{port}{}", describe::backend(end)),
        (None, None, "node") => format!("node {} {name}{ip}{port}", text(end, "/detail")),
        (None, None, kind) => format!("{kind} {name}{ip}{port}"),
    }
}

pub(in crate::command) fn command_line(record: &Value) -> String {
    let args = record.pointer("/process/args").and_then(Value::as_array);
    args.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

pub(in crate::command) fn exit(record: &Value) -> String {
    let number = |pointer| record.pointer(pointer).and_then(Value::as_u64);
    match (number("/exit/code"), number("/exit/signal")) {
        (_, Some(signal)) => format!("  signal {signal}"),
        (Some(code), None) if code != 0 => format!("  exit {code}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_aligned_under_the_header() {
        let position = |line: &str, part: &str| {
            let (before, _) = line.split_once(part).unwrap_or_else(|| panic!("{part} in {line}"));
            before.chars().count()
        };
        let flow = json!({
            "time": "2026-01-02T03:04:05.678901234Z", "type": "flow", "stage": "open",
            "verdict": {"outcome": "denied"}, "because": "isolated by NetworkPolicy/shop/default-deny",
            "client": {"address": "10.1.0.1:40000", "kind": "pod", "pod": {"namespace": "shop", "name": "frontend"}},
            "server": {"address": "[fd00::2]:5432", "kind": "unresolved"},
            "process": {"pid": 7, "binary": "/usr/bin/curl"},
        });
        let flow = row(&flow);
        assert!(flow.starts_with(
            "03:04:05.678  open             denied       shop/frontend 10.1.0.1 → unresolved [fd00::2]:5432"
        ));
        assert!(flow.ends_with("curl[7]  isolated by NetworkPolicy/shop/default-deny"), "{flow}");
        let process = row(&json!({
            "time": "2026-01-02T03:04:05.678901234Z", "type": "process", "action": "exit", "node": "node-a",
            "process": {"pid": 7, "binary": "/bin/sh", "args": ["sh", "-c", "exit 3"]}, "exit": {"code": 3},
        }));
        assert!(process.ends_with("sh[7]  sh -c exit 3  exit 3"), "{process}");
        let file = row(&json!({
            "time": "2026-01-02T03:04:05.678901234Z", "type": "file", "operation": "open", "node": "node-a",
            "path": "/etc/shadow", "access": ["read"], "result": -13, "error": "EACCES",
            "process": {"pid": 7, "binary": "/bin/cat", "pod": {"namespace": "shop", "name": "frontend"}},
            "ancestors": [{"pid": 1, "binary": "/bin/bash"}],
        }));
        assert!(file.contains("shop/frontend /etc/shadow read"), "{file}");
        for (line, parts) in [
            (&file, ["open", "EACCES", "shop/frontend", "bash › cat[7]"]),
            (&flow, ["open", "denied", "shop/frontend", "curl[7]"]),
            (&process, ["exit", "", "node-a", "sh[7]"]),
        ] {
            for (part, name) in parts.into_iter().zip(["EVENT", "RESULT", "CLIENT", "PROCESS"]) {
                assert!(part.is_empty() || position(line, part) == position(HEADER, name), "{name}: {line}");
            }
        }
    }

    #[test]
    fn drops_answers_services_and_names_are_told() {
        let time = "2026-01-02T03:04:05.678901234Z";
        let frontend = json!({"address": "10.1.0.1:40000", "kind": "pod",
                              "pod": {"namespace": "shop", "name": "frontend"}});
        let dropped = row(&json!({
            "time": time, "type": "flow", "stage": "dropped", "protocol": "UDP", "because": "peer not resolved",
            "verdict": {"outcome": "unknown"}, "drop": {"reason": "NO_SOCKET", "packets": 2}, "client": frontend,
            "server": {"address": "10.96.0.1:53", "kind": "world", "service": {"namespace": "kube", "name": "dns"},
                       "backend": {"by": "unresolved"}},
            "process": {"pid": 7, "binary": "/usr/bin/dig"},
        }));
        let expected = "03:04:05.678  dropped NO_SOCKET  unknown      shop/frontend 10.1.0.1 → service kube/dns 10.96.0.1:53 → ?";
        assert!(dropped.starts_with(expected), "{dropped}");
        assert!(dropped.ends_with("dig[7]  2 packets dropped  peer not resolved"), "{dropped}");
        let dns = row(&json!({
            "time": time, "type": "dns", "protocol": "UDP", "rcode": "NOERROR", "latency_us": 900,
            "query": "db.example", "query_type": "A", "answers": [{"type": "A", "data": "10.0.0.7"}],
            "client": frontend, "server": {"address": "10.96.0.1:53", "kind": "world", "names": ["ns.example"]},
            "process_unknown": "before-start",
        }));
        let expected = "03:04:05.678  dns              NOERROR      shop/frontend 10.1.0.1 → world ns.example 10.96.0.1:53 A db.example → 10.0.0.7";
        assert!(dns.starts_with(expected), "{dns}");
        assert!(dns.ends_with("? (before-start)  latency 900µs"), "{dns}");
    }

    #[test]
    fn remarkable_images_are_marked() {
        let exec = json!({"type": "process", "action": "exec", "process": {"pid": 7, "binary": "/bin/sh"},
                          "setuid": true, "drift": false, "fileless": true, "script": "/tmp/x"});
        assert!(row(&exec).ends_with("[setuid, fileless, script /tmp/x]"), "{}", row(&exec));
    }

    #[test]
    fn losses_are_told_and_control_characters_are_not_passed_on() {
        assert!(row(&json!({"type": "observer-loss", "lost": 3})).contains("3 records are not shown"));
        let loss = json!({"type": "loss", "kind": "tcp-open", "lost": 2});
        assert!(row(&loss).ends_with("2 tcp-open records were lost"));
        let loss = json!({"type": "loss", "kind": "file", "lost": 0, "suppressed": 9, "cgroup": "/a"});
        assert!(row(&loss).ends_with("0 file records of /a were lost, 9 held back by the rate limit"));
        let exec = json!({"type": "process", "action": "exec", "process": {"args": ["\u{1b}[2J"]}});
        assert!(row(&exec).ends_with("\\u{1b}[2J"));
    }
}
